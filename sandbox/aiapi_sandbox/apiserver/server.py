"""The HTTP server: middleware, and the routing of requests to their handlers."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web

from aiapi_sandbox.apimachinery.errors import ApiError, method_not_allowed, not_implemented
from aiapi_sandbox.apiserver import discovery
from aiapi_sandbox.apiserver.audit import AuditLog
from aiapi_sandbox.apiserver.authentication import TokenAuthenticator
from aiapi_sandbox.apiserver.crd_handler import CRDHandler
from aiapi_sandbox.apiserver.openapi import OpenApiService
from aiapi_sandbox.apiserver.pod_logs import LogSource, stream_log
from aiapi_sandbox.apiserver.read_handlers import get_object, list_objects
from aiapi_sandbox.apiserver.request_body import MAX_BODY, parse_body, read_body
from aiapi_sandbox.apiserver.request_info import (
    NoSuchPathError,
    RequestInfo,
    RequestOptions,
    parse_options,
    parse_request_info,
)
from aiapi_sandbox.apiserver.response import (
    ResponseTransformer,
    json_response,
    negotiate_output,
)
from aiapi_sandbox.apiserver.scale import get_scale, put_scale
from aiapi_sandbox.apiserver.tls import Certificates
from aiapi_sandbox.apiserver.watch_handler import watch
from aiapi_sandbox.apiserver.write_handlers import WriteHandlers, delete_options
from aiapi_sandbox.storage.store import Store

_log = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ApiServer:
    """Serves a Store as a Kubernetes API. `logs` is set by the kubelet, if there is one."""

    def __init__(  # noqa: PLR0913 - all are keyword-only with defaults
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
        self.authenticator = TokenAuthenticator()
        self.authenticator.add(self.token, "sandbox-admin")
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self._openapi = OpenApiService(store.registry)
        CRDHandler(store).attach()

    @property
    def url(self) -> str:
        scheme = "https" if self.certificates else "http"
        return f"{scheme}://{self._host}:{self._port}"

    async def start(self) -> None:
        app = web.Application(
            client_max_size=MAX_BODY,
            middlewares=[self._audit_response, self._handle_errors, self._authenticate],
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

    # --- middleware

    @web.middleware
    async def _audit_response(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        response = await handler(request)
        if self._audit:
            user = self.authenticator.authenticate(request) or "system:anonymous"
            self._audit.response_complete(request, user, response.status)
        return response

    @web.middleware
    async def _handle_errors(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            return json_response(error.as_status(), status=error.status)
        except NoSuchPathError:
            return web.Response(status=404, text="404 page not found\n")
        except (ConnectionResetError, asyncio.CancelledError):
            raise
        except Exception:  # noqa: BLE001 - answer 500 instead of closing the connection
            _log.exception("%s %s failed", request.method, request.path)
            message = "Internal error occurred: see the sandbox's log"
            failure = ApiError(500, "InternalError", message)
            return json_response(failure.as_status(), status=500)

    @web.middleware
    async def _authenticate(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        user = self.authenticator.authenticate(request)
        if user is None:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        if self._audit:
            self._audit.request_received(request, user)
        return await handler(request)

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
            return self._openapi.respond(request)
        found = discovery.respond(path, request.headers.get("Accept"), self.store.registry)
        if found is not None:
            return found
        if (kind := discovery.access_review_kind(path)) is not None:
            return await self._review_access(request, kind)
        info = parse_request_info(path, self.store.registry)
        return await self._serve(request, info)

    async def _review_access(self, request: web.Request, kind: str) -> web.Response:
        """Access reviews always allow: the sandbox does not enforce authorization."""
        if request.method != "POST":
            raise method_not_allowed()
        raw = await read_body(request)
        body = parse_body(raw, content_type=request.content_type, kind=kind)
        status = {"allowed": True, "reason": "the sandbox allows everything"}
        return json_response({**body, "status": status}, status=201)

    async def _serve(self, request: web.Request, info: RequestInfo) -> web.StreamResponse:
        options = parse_options(request)
        if info.subresource == "log":
            if self.logs is None:
                raise not_implemented("pods/log without a node")
            pod = self.store.peek(info.gvr, info.namespace, info.name)
            return await stream_log(request, info, pod, self.logs)
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
            delete = delete_options(body, kind, dict(request.query))
            return writes.delete(delete) if info.name else writes.delete_collection(delete)
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
