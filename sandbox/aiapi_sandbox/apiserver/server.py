"""The HTTP server: authentication, and the way from a request to its handler."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import web

from aiapi_sandbox.apimachinery.errors import ApiError, Obj, method_not_allowed, not_implemented
from aiapi_sandbox.apiserver import discovery
from aiapi_sandbox.apiserver.audit import AuditLog
from aiapi_sandbox.apiserver.crd_handler import CRDHandler
from aiapi_sandbox.apiserver.openapi import OpenApiService
from aiapi_sandbox.apiserver.read_handlers import get_object, list_objects
from aiapi_sandbox.apiserver.request_info import (
    MAX_BODY,
    NoSuchPathError,
    RequestInfo,
    RequestOptions,
    number,
    parse_body,
    parse_options,
    parse_request_info,
    read_body,
)
from aiapi_sandbox.apiserver.response import (
    ResponseTransformer,
    json_response,
    negotiate_output,
    parse_accept,
)
from aiapi_sandbox.apiserver.scale import get_scale, put_scale
from aiapi_sandbox.apiserver.tls import Certificates
from aiapi_sandbox.apiserver.watch_handler import watch
from aiapi_sandbox.apiserver.write_handlers import WriteHandlers, delete_options
from aiapi_sandbox.storage.store import Store

_log = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class PodLogOptions:
    """What `kubectl logs` asks for."""

    namespace: str
    pod: str
    container: str
    follow: bool
    previous: bool
    tail_lines: int | None
    since_seconds: int | None
    timestamps: bool


LogSource = Callable[[PodLogOptions], AsyncIterator[bytes]]


class ApiServer:
    """Serves a Store as a Kubernetes API. Whoever runs pods sets `logs`."""

    def __init__(  # noqa: PLR0913 - each has a default, and all are given by name
        self,
        store: Store,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        certificates: Certificates | None = None,
        audit: AuditLog | None = None,
    ) -> None:
        self.store = store
        self.token = token or secrets.token_urlsafe(32)
        self.certificates = certificates
        self.logs: LogSource | None = None
        self._audit = audit
        self._users = {self.token: "sandbox-admin"}  # names by bearer token
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self._openapi = OpenApiService(store.registry)
        CRDHandler(store).attach()

    def add_user(self, token: str, name: str) -> None:
        """Let in who comes with this token, as a pod does with its service account's."""
        self._users[token] = name

    def remove_user(self, token: str) -> None:
        self._users.pop(token, None)

    @property
    def url(self) -> str:
        scheme = "https" if self.certificates else "http"
        return f"{scheme}://{self._host}:{self._port}"

    async def start(self) -> None:
        app = web.Application(
            client_max_size=MAX_BODY, middlewares=[self._audited, self._errors, self._auth]
        )
        app.router.add_route("*", "/{path:.*}", self._route)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        context = self.certificates.server_context() if self.certificates else None
        site = web.TCPSite(self._runner, self._host, self._port, ssl_context=context)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self.store.close()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None
        if self._audit:
            self._audit.close()

    # --- around every request

    @web.middleware
    async def _audited(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        answer = await handler(request)
        if self._audit:
            user = self._user(request) or "system:anonymous"
            self._audit.answered(request, user, answer.status)
        return answer

    @web.middleware
    async def _errors(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            return json_response(error.as_status(), status=error.status)
        except NoSuchPathError:
            return web.Response(status=404, text="404 page not found\n")
        except (ConnectionResetError, asyncio.CancelledError):
            raise
        except Exception:  # noqa: BLE001 - one bad request must not look like a lost connection
            _log.exception("%s %s failed", request.method, request.path)
            message = "Internal error occurred: see the sandbox's log"
            failure = ApiError(500, "InternalError", message)
            return json_response(failure.as_status(), status=500)

    @web.middleware
    async def _auth(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        user = self._user(request)
        if user is None:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        if self._audit:
            self._audit.begun(request, user)
        return await handler(request)

    def _user(self, request: web.Request) -> str | None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        sent = given.strip().encode()
        known = [
            name for token, name in self._users.items() if hmac.compare_digest(token.encode(), sent)
        ]
        return known[0] if known and scheme.lower() == "bearer" else None

    # --- routing

    async def _route(self, request: web.Request) -> web.StreamResponse:
        path = request.path.rstrip("/")
        if not path:
            raise NoSuchPathError
        if path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        if path == "/version":
            return json_response(discovery.VERSION)
        if path.startswith("/openapi/"):
            return self._openapi.answer(request)
        if (found := self._discover(request, path)) is not None:
            return found
        if (kind := discovery.review(path)) is not None:
            return await self._review(request, kind)
        info = parse_request_info(path, self.store.registry)
        return await self._serve(request, info)

    def _discover(self, request: web.Request, path: str) -> web.Response | None:
        parts = path.split("/")[1:]
        registry = self.store.registry
        if parts in (["api"], ["apis"]):
            for entry in parse_accept(request.headers.get("Accept")):
                if entry.get("as") == discovery.AGGREGATED and entry.get("v") == "v2":
                    body = discovery.aggregated(registry, core=parts == ["api"])
                    response = json_response(body)
                    kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
                    response.headers["Content-Type"] = kind
                    return response
            core = parts == ["api"]
            return json_response(
                discovery.api_versions() if core else discovery.api_groups(registry)
            )
        found: Obj | None = None
        if parts[0] == "api" and len(parts) == 2:
            found = discovery.api_resources(registry, "", parts[1])
        elif parts[0] == "apis" and len(parts) == 2:
            found = discovery.api_group(registry, parts[1])
        elif parts[0] == "apis" and len(parts) == 3:
            found = discovery.api_resources(registry, parts[1], parts[2])
        return json_response(found) if found is not None else None

    async def _review(self, request: web.Request, kind: str) -> web.Response:
        """Authorization is not enforced here: everybody with a token may do everything."""
        if request.method != "POST":
            raise method_not_allowed()
        sent = await read_body(request)
        body = parse_body(sent, content_type=request.content_type, kind=kind)
        status = {"allowed": True, "reason": "the sandbox allows everything"}
        return json_response({**body, "status": status}, status=201)

    async def _serve(self, request: web.Request, info: RequestInfo) -> web.StreamResponse:
        options = parse_options(request)
        if info.subresource == "log":
            return await self._log(request, info)
        if info.subresource == "scale":
            return await self._scale(request, info, options)
        transformer = ResponseTransformer(
            info.resource, negotiate_output(request.headers.get("Accept")), options.include_object
        )
        if request.method == "GET":
            if options.watch:
                return await watch(request, self.store, info, options, transformer)
            if info.name:
                return get_object(self.store, info, transformer)
            return list_objects(self.store, info, options, transformer)
        return await self._write(request, info, options, transformer)

    async def _write(
        self,
        request: web.Request,
        info: RequestInfo,
        options: RequestOptions,
        transformer: ResponseTransformer,
    ) -> web.Response:
        body = await read_body(request)
        kind = request.content_type
        writes = WriteHandlers(self.store, info, options, transformer)
        if request.method == "POST" and not info.name:
            return writes.create(body, kind)
        if request.method == "DELETE" and not info.subresource:
            how = delete_options(body, kind, dict(request.query))
            return writes.delete(how) if info.name else writes.delete_all(how)
        if info.name and request.method == "PUT":
            return writes.replace(body, kind)
        if info.name and request.method == "PATCH":
            return writes.patch(body, kind)
        raise method_not_allowed()

    async def _scale(
        self, request: web.Request, info: RequestInfo, options: RequestOptions
    ) -> web.Response:
        if request.method == "GET":
            return get_scale(self.store, info)
        if request.method not in ("PUT", "PATCH"):
            raise method_not_allowed()
        body = await read_body(request)
        return put_scale(self.store, info, options, body=body, content_type=request.content_type)

    async def _log(self, request: web.Request, info: RequestInfo) -> web.StreamResponse:
        if self.logs is None:
            raise not_implemented("pods/log without a node")
        pod = self.store.peek(info.gvr, info.namespace, info.name)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        chunks = self.logs(_log_request(request, info, pod))
        with suppress(ConnectionResetError):  # the client has seen enough
            async for chunk in chunks:
                if not response.prepared:
                    await response.prepare(request)
                await response.write(chunk)
            if not response.prepared:
                await response.prepare(request)
        return response


def _log_request(request: web.Request, info: RequestInfo, pod: Obj) -> PodLogOptions:
    query = request.query
    names = [container["name"] for container in pod["spec"].get("containers") or ()]
    container = query.get("container") or (names[0] if len(names) == 1 else "")
    if not container:
        choices = " ".join(names)
        message = (
            f"a container name must be specified for pod {info.name}, choose one of: [{choices}]"
        )
        raise ApiError(400, "BadRequest", message)
    started_before = [each["name"] for each in pod["spec"].get("initContainers") or ()]
    if container not in (*names, *started_before):
        message = f"container {container} is not valid for pod {info.name}"
        raise ApiError(400, "BadRequest", message)
    return PodLogOptions(
        namespace=info.namespace,
        pod=info.name,
        container=container,
        follow=query.get("follow") == "true",
        previous=query.get("previous") == "true",
        tail_lines=number(dict(query), "tailLines") if "tailLines" in query else None,
        since_seconds=number(dict(query), "sinceSeconds") if "sinceSeconds" in query else None,
        timestamps=query.get("timestamps") == "true",
    )
