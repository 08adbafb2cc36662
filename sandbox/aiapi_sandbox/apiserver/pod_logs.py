"""The `log` subresource of pods."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import web

from aiapi_sandbox.apimachinery.errors import ApiError, Obj
from aiapi_sandbox.apiserver.request_info import RequestInfo, parse_number


@dataclass(frozen=True)
class PodLogOptions:
    """The pod, the container and the options of a log request."""

    namespace: str
    pod: str
    container: str
    follow: bool
    previous: bool
    tail_lines: int | None
    since_seconds: int | None
    timestamps: bool


LogSource = Callable[[PodLogOptions], AsyncIterator[bytes]]


async def stream_log(
    request: web.Request, info: RequestInfo, pod: Obj, source: LogSource
) -> web.StreamResponse:
    """Stream a container's log. Errors before the first chunk become the response's status."""
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    chunks = source(_parse_options(request, info, pod))
    with suppress(ConnectionResetError):  # the client closed the stream
        async for chunk in chunks:
            if not response.prepared:
                await response.prepare(request)
            await response.write(chunk)
        if not response.prepared:
            await response.prepare(request)
    return response


def _parse_options(request: web.Request, info: RequestInfo, pod: Obj) -> PodLogOptions:
    query = request.query
    names = [container["name"] for container in pod["spec"].get("containers") or ()]
    container = query.get("container") or (names[0] if len(names) == 1 else "")
    if not container:
        choices = " ".join(names)
        message = (
            f"a container name must be specified for pod {info.name}, choose one of: [{choices}]"
        )
        raise ApiError(400, "BadRequest", message)
    init_names = [each["name"] for each in pod["spec"].get("initContainers") or ()]
    if container not in (*names, *init_names):
        message = f"container {container} is not valid for pod {info.name}"
        raise ApiError(400, "BadRequest", message)
    return PodLogOptions(
        namespace=info.namespace,
        pod=info.name,
        container=container,
        follow=query.get("follow") == "true",
        previous=query.get("previous") == "true",
        tail_lines=parse_number(dict(query), "tailLines") if "tailLines" in query else None,
        since_seconds=parse_number(dict(query), "sinceSeconds")
        if "sinceSeconds" in query
        else None,
        timestamps=query.get("timestamps") == "true",
    )
