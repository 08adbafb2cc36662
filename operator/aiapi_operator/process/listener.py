"""The operator's listening sockets, on IPv6 and IPv4 alike."""

import os
import socket

ANY = "::"
"""All addresses of the pod."""
_ANY_IPV4 = "0.0.0.0"  # noqa: S104 - probes come from the node, metrics from Prometheus
_BACKLOG = 128


class ListenError(Exception):
    """An address or port on which the operator cannot listen."""


def bind(host: str, port: int, option: str) -> socket.socket:
    """A bound socket; port 0 selects a free one. The error names the ``option`` of the port.

    ``::`` includes IPv4, and is only that where the kernel has no IPv6.
    """
    if host == ANY and not socket.has_dualstack_ipv6():
        host = _ANY_IPV4
    try:
        return socket.create_server(
            (host, port),
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            backlog=_BACKLOG,
            dualstack_ipv6=host == ANY,
        )
    except OSError as error:
        raise ListenError(
            f"cannot listen on {host_port(host, port)}: {_reason(error)};"
            f" choose another address or port with {option}"
        ) from error


def _reason(error: OSError) -> str:
    # Python adds the address to the text of an error of the system.
    if isinstance(error, socket.gaierror) or error.errno is None:
        return str(error.strerror or error)
    return os.strerror(error.errno)


def host_port(host: str, port: int) -> str:
    """As in a URL: IPv6 addresses go in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
