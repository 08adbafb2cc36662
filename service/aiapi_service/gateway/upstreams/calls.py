"""Calls to upstreams, with the body that each upstream understands."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiapi_service.gateway.upstreams.settings import Kind
from aiapi_service.gateway.upstreams.target import UpstreamTarget

CHAT_PATH = "/chat/completions"
COMPLETIONS_PATH = "/completions"
RESPONSES_PATH = "/responses"
EMBEDDINGS_PATH = "/embeddings"
MODELS_PATH = "/models"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call. A repeatable one may be sent again although an upstream may have processed it."""

    path: str
    body: bytes = b""
    kind: Kind = "chat"
    model: str = ""
    method: str = "POST"
    repeatable: bool = False
    data: Mapping[str, Any] | None = None
    """The caller's request, from which the body for a particular upstream is made."""
    adds_usage: bool = False
    """The body has `stream_options` that the caller did not send, to count tokens."""
    content_type: str = ""
    """The type of the body, when it is not JSON."""
    query: str = ""
    is_unknown: bool = False
    """A path of the caller that is passed through."""

    def body_for(self, target: UpstreamTarget, *, adds_usage: bool) -> bytes:
        """The body with the upstream's name of the model, with or without `stream_options`."""
        name = target.model(self.model)
        if self.data is None or (name == self.model and adds_usage == self.adds_usage):
            return self.body
        data = {**self.data, "model": name}
        if adds_usage:
            data["stream_options"] = with_usage(data.get("stream_options"))
        return json.dumps(data).encode()


def with_usage(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """The `stream_options` that request the usage."""
    return {**(options or {}), "include_usage": True}


def chat_call(
    data: Mapping[str, Any], raw: bytes, *, path: str = CHAT_PATH, adds_usage: bool = False
) -> Call:
    """A call for text. Sends the original bytes if nothing changes."""
    return Call(path=path, body=raw, model=str(data["model"]), data=data, adds_usage=adds_usage)


def embeddings_call(data: Mapping[str, Any], raw: bytes) -> Call:
    """A call for embeddings, which may be repeated."""
    return Call(
        path=EMBEDDINGS_PATH,
        body=raw,
        kind="embeddings",
        model=str(data["model"]),
        data=data,
        repeatable=True,
    )
