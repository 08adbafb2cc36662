"""The proxy to the API server, read from the environment once per connection.

By default the client asks aiohttp to read the environment and ``~/.netrc``, which it does in a
thread before each request. That costs more CPU than the request. Credentials come from the
kubeconfig alone, so nothing in ``~/.netrc`` is meant for the API server.
"""

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from kubernetes.aio.client import Configuration


def use_environment_once(configuration: Configuration) -> None:
    """Use the kubeconfig's proxy, else the environment's, and read neither again."""
    others = configuration.client_session_kwargs or {}
    configuration.client_session_kwargs = {**others, "trust_env": False}
    if not configuration.proxy:
        configuration.proxy = _from_environment(configuration.host)


def _from_environment(server: str) -> str | None:
    url = urlsplit(server)
    if url.hostname is not None and proxy_bypass(url.hostname):
        return None
    proxy = getproxies().get(url.scheme)
    # As in aiohttp, which does not use a proxy of the environment that speaks TLS itself.
    return None if proxy is None or urlsplit(proxy).scheme == "https" else proxy
