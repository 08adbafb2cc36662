"""One connection pool to the Kubernetes API: credentials, deadlines and retries.

Requests use the official client (``kubernetes.aio``), which supports kubeconfig files, exec
plugins, in-cluster tokens and TLS. Its typed models are not used: building and validating them
costs more CPU than the request, and server-side apply takes plain dictionaries.
"""

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from aiapi_operator.cluster import errors, proxy, tls
from aiapi_operator.cluster.contexts import UNREADABLE
from aiapi_operator.cluster.redirects import refuse_redirects

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"

DEADLINE = 15.0
"""Seconds for one request including its retries."""
ATTEMPT = 8.0
"""Seconds for one attempt."""
_BACKOFF_START = 0.2
_BACKOFF_MAX = 5.0
_POOL_SIZE = 32
_UNLIMITED = 0
_WATCH = "WATCH"

RequestObserver = Callable[[str, str, float], None]
"""Called after each attempt: verb, outcome (a status code or ``error``), seconds."""


class NotConfiguredError(Exception):
    """There is no kubeconfig, and no service account of a pod."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Address and credentials of the API server, for another client of the same cluster."""

    server: str
    ca_path: str | None
    verify: bool
    scheme: str | None
    token: str | None
    username: str | None
    password: str | None
    certificate_path: str | None
    private_key_path: str | None


@dataclass(frozen=True, slots=True)
class Request:
    """One API request. ``deadline`` includes its retries."""

    method: str
    path: str
    _: KW_ONLY
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    content_type: str = "application/json"
    deadline: float = DEADLINE
    is_text: bool = False
    """Whether the answer is plain text."""
    accept: str = "application/json"


async def load_configuration(
    kubeconfig: Path | None, *, context: str | None = None
) -> Configuration:
    """The given kubeconfig or KUBECONFIG, else the pod's service account, else ~/.kube/config."""
    configuration = Configuration()
    is_given = kubeconfig is not None or context is not None or "KUBECONFIG" in os.environ
    try:
        if not is_given and _in_cluster(configuration):
            return configuration
        # The client reads KUBECONFIG once, when it is imported.
        path = str(kubeconfig) if kubeconfig is not None else os.environ.get("KUBECONFIG")
        await load_kube_config(  # type: ignore[no-untyped-call] # the client's gap
            config_file=path, context=context, client_configuration=configuration
        )
    except (ConfigException, OSError) as error:
        raise NotConfiguredError(str(error)) from error
    except UNREADABLE as error:
        raise NotConfiguredError(f"{path or '~/.kube/config'} is not a valid kubeconfig") from error
    return configuration


def _in_cluster(configuration: Configuration) -> bool:
    try:
        load_incluster_config(  # type: ignore[no-untyped-call] # the client's gap
            client_configuration=configuration
        )
    except ConfigException:
        return False
    return True


class Connection:
    """Sends requests. Each ends by its deadline with an answer or a ``ClusterError``."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        kubeconfig: Path | None = None,
        context: str | None = None,
        observer: RequestObserver | None = None,
    ) -> None:
        configuration.client_session_kwargs = {"middlewares": (refuse_redirects,)}
        self._kubeconfig = kubeconfig
        self._context = context
        self._observer = observer or (lambda _verb, _outcome, _seconds: None)
        proxy.use_environment_once(configuration)
        # A stream occupies a connection for minutes, so streams do not count against the pool.
        configuration.connection_pool_maxsize = _UNLIMITED
        self._streams = ApiClient(configuration)
        configuration.connection_pool_maxsize = _POOL_SIZE
        self._client = ApiClient(configuration)
        for client in (self._client, self._streams):
            tls.accept_cluster_ca(client.rest_client.ssl_context)

    @classmethod
    async def open(
        cls,
        kubeconfig: Path | None,
        *,
        context: str | None = None,
        observer: RequestObserver | None = None,
    ) -> Self:
        """Connect with the configuration that ``load_configuration`` finds."""
        configuration = await load_configuration(kubeconfig, context=context)
        return cls(configuration, kubeconfig=kubeconfig, context=context, observer=observer)

    async def close(self) -> None:
        """Close the pool and all streams."""
        for client in (self._client, self._streams):
            await client.close()  # type: ignore[no-untyped-call] # the client's gap

    async def endpoint(self) -> Endpoint:
        """The credentials, read again, for another client."""
        configuration = await load_configuration(self._kubeconfig, context=self._context)
        key = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        scheme, _, token = (key or "").partition(" ")
        return Endpoint(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            verify=configuration.verify_ssl,
            scheme=scheme or None,
            token=token or None,
            username=configuration.username or None,
            password=configuration.password or None,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
        )

    async def send(self, request: Request) -> Any:
        """Send one request and return the parsed answer. See ``send_raw``."""
        body = await self.send_raw(request)
        if request.is_text:
            return body.decode("utf-8", "replace")
        return json.loads(body) if body else None

    async def send_raw(self, request: Request) -> bytes:
        """Send one request and return the body of the answer.

        Retries with jittered backoff while the API server sheds load (429), fails (5xx) or
        cannot be reached. Any other error is raised immediately, also a certificate that is not
        trusted.
        """
        end = time.monotonic() + request.deadline
        delay = _BACKOFF_START
        renewed = False
        while True:
            try:
                return await self._attempt(request, end)
            except errors.Unauthorized:
                if renewed:
                    raise
                renewed = True
                await self._renew_credentials()
            except errors.Untrusted:
                raise
            except (errors.TooManyRequests, errors.Unavailable) as failure:
                jittered = delay * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, not a secret
                pause = max(failure.retry_after, jittered)
                if time.monotonic() + pause >= end:
                    raise
                await asyncio.sleep(pause)
                delay = min(delay * 2, _BACKOFF_MAX)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[aiohttp.StreamReader]:
        """Send one request and read its answer as it comes, until ``request.deadline``.

        It is not retried: only the caller knows where to continue. After a 401, the next request
        has new credentials.
        """
        try:
            async with asyncio.timeout(request.deadline):
                answer = await self._open_stream(request)
                try:
                    yield answer.content
                finally:
                    _abort(answer)
        except errors.Unauthorized:
            await self._renew_credentials()
            raise
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(error) from error

    async def _open_stream(self, request: Request) -> aiohttp.ClientResponse:
        started, outcome = time.monotonic(), "error"
        try:
            async with asyncio.timeout(ATTEMPT):
                response = await self._call(self._streams, request, request.deadline)
                outcome = str(response.status)
                if response.status >= 300:
                    body: bytes = await response.read()
                    raise errors.from_answer(response.status, response.headers, body)
            opened: aiohttp.ClientResponse = response.response
            return opened
        finally:
            self._observer(_WATCH, outcome, time.monotonic() - started)

    async def _attempt(self, request: Request, end: float) -> bytes:
        seconds = max(0.1, min(ATTEMPT, end - time.monotonic()))
        started = time.monotonic()
        outcome = "error"
        try:
            async with asyncio.timeout(seconds):
                status, headers, body = await self._exchange(request, seconds)
            outcome = str(status)
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(error) from error
        finally:
            self._observer(request.method, outcome, time.monotonic() - started)
        if status >= 300:
            raise errors.from_answer(status, headers, body)
        return body

    async def _exchange(
        self, request: Request, seconds: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        response = await self._call(self._client, request, seconds)
        body: bytes = await response.read()
        return response.status, response.headers, body

    async def _call(self, client: ApiClient, request: Request, seconds: float) -> Any:
        _, url, headers, _, _ = await client.param_serialize(
            request.method,
            request.path,
            query_params=list(request.query.items()),
            header_params={"Accept": request.accept, "Content-Type": request.content_type},
            auth_settings=["BearerToken"],
        )
        return await client.call_api(
            request.method,
            url,
            headers,
            request.body,
            _request_timeout=aiohttp.ClientTimeout(total=seconds),
        )

    async def _renew_credentials(self) -> None:
        """Read the credentials again: tokens from files and exec plugins expire."""
        try:
            fresh = await load_configuration(self._kubeconfig, context=self._context)
        except NotConfiguredError:
            return
        self._client.configuration.api_key = fresh.api_key


def _abort(answer: aiohttp.ClientResponse) -> None:
    """Close at once. An ordinary end of TLS waits for the server, for up to 30 s."""
    if answer.connection is not None and answer.connection.transport is not None:
        answer.connection.transport.abort()
    answer.close()


def _unreachable(error: BaseException) -> errors.Unavailable:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _untrusted(error.certificate_error)
    detail = str(error) or type(error).__name__
    return errors.Unavailable(f"the Kubernetes API did not answer: {detail}", reason="Unreachable")


def _untrusted(error: Exception) -> errors.Untrusted:
    detail = getattr(error, "verify_message", "") or str(error)
    return errors.Untrusted(
        f"the Kubernetes API's certificate is not trusted: {detail.rstrip('.')}", reason="Untrusted"
    )
