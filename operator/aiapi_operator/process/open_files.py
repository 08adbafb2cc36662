"""The limit of open files. Each connection to a pod is one, and the usual soft limit is 1024."""

import resource

_MOST = 65_536
_RESERVED = 256
"""For the API server, the served ports and the libraries' own files."""


def connections() -> int:
    """Raise the soft limit as far as the hard limit allows. Returns the room for connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    open_files = most if soft == resource.RLIM_INFINITY else soft
    return max(open_files - _RESERVED, open_files // 2)
