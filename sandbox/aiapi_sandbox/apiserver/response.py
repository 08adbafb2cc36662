"""Responses in the format that the client accepts: object, Table or PartialObjectMetadata."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web

from aiapi_sandbox.apimachinery.errors import ApiError, Obj
from aiapi_sandbox.apiserver.conversion import to_served
from aiapi_sandbox.apiserver.table_convertor import column_definitions, row
from aiapi_sandbox.kinds.resources import ApiResource

OutputForm = Literal["object", "table", "partial"]
_PARTIAL_KINDS = ("PartialObjectMetadata", "PartialObjectMetadataList")


@dataclass(frozen=True)
class ResponseTransformer:
    """Transforms stored objects into the negotiated format."""

    resource: ApiResource
    form: OutputForm
    include_object: str = "Metadata"

    def object(self, obj: Obj) -> Obj:
        if self.form == "table":
            return self.table([obj], obj["metadata"].get("resourceVersion", ""))
        return self._item(obj)

    def _item(self, obj: Obj) -> Obj:
        return partial_metadata(obj) if self.form == "partial" else to_served(self.resource, obj)

    def object_list(self, objects: list[Obj], meta: Obj) -> Obj:
        if self.form == "table":
            table = self.table(objects, meta["resourceVersion"])
            return {**table, "metadata": meta}
        if self.form == "partial":
            kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
        else:
            kind, version = self.resource.list_kind, self.resource.gvr.api_version
        items = [self._item(obj) for obj in objects]
        return {"kind": kind, "apiVersion": version, "metadata": meta, "items": items}

    def table(self, objects: list[Obj], version: str, *, headers: bool = True) -> Obj:
        return {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": {"resourceVersion": version} if version else {},
            "columnDefinitions": column_definitions(self.resource) if headers else [],
            "rows": [self._row(obj) for obj in objects],
        }

    def _row(self, obj: Obj) -> Obj:
        cells: Obj = {"cells": row(self.resource, obj)}
        if self.include_object == "Object":
            cells["object"] = to_served(self.resource, obj)
        elif self.include_object == "Metadata":
            cells["object"] = partial_metadata(obj)
        return cells


def partial_metadata(obj: Obj) -> Obj:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": obj["metadata"],
    }


def parse_accept(header: str | None) -> list[dict[str, str]]:
    """The media types of an Accept header, with their parameters."""
    result = []
    for part in (header or "*/*").split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        entry = {"type": name.lower()}
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            entry[key.strip()] = value.strip()
        result.append(entry)
    return result


def negotiate_output(header: str | None) -> OutputForm:
    for entry in parse_accept(header):
        if entry["type"] not in ("application/json", "application/*", "*/*"):
            continue
        requested = entry.get("as")
        if requested is None:
            return "object"
        if entry.get("g") == "meta.k8s.io" and entry.get("v") == "v1":
            if requested == "Table":
                return "table"
            if requested in _PARTIAL_KINDS:
                return "partial"
    raise ApiError(
        406,
        "NotAcceptable",
        "only the following media types are accepted: application/json",
    )


def json_response(body: Any, *, status: int = 200, warnings: tuple[str, ...] = ()) -> web.Response:
    response = web.Response(status=status, body=encode(body), content_type="application/json")
    for warning in warnings:
        text = warning.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{text}"')
    return response


def encode(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
