"""GET: single objects and lists."""

from __future__ import annotations

import base64
import json
from itertools import islice

from aiohttp import web

from aiapi_sandbox.apimachinery.errors import Obj, bad_request
from aiapi_sandbox.apiserver.conversion import to_storage
from aiapi_sandbox.apiserver.request_info import RequestInfo, RequestOptions
from aiapi_sandbox.apiserver.response import ResponseTransformer, json_response
from aiapi_sandbox.kinds.resources import ApiResource
from aiapi_sandbox.storage.store import Store


def get_object(store: Store, info: RequestInfo, transformer: ResponseTransformer) -> web.Response:
    obj = store.peek(info.gvr, info.namespace, info.name)
    return json_response(transformer.object(obj))


def list_objects(
    store: Store, info: RequestInfo, options: RequestOptions, transformer: ResponseTransformer
) -> web.Response:
    """A page of a list. Pages come from the current state, not from a snapshot."""
    start = _decode_continue(options.continue_token) if options.continue_token else None
    found = store.scan(
        info.gvr,
        info.namespace or None,
        options.label_selector,
        to_storage_fields(info.resource, options.field_selector),
    )
    rest = [obj for obj in found if start is None or _location(obj) > start]
    page = list(islice(rest, options.limit or None))
    meta: Obj = {"resourceVersion": str(store.version)}
    if len(page) < len(rest):
        meta["continue"] = _encode_continue(store.version, page[-1])
        if not (options.label_selector or options.field_selector):
            meta["remainingItemCount"] = len(rest) - len(page)
    return json_response(transformer.object_list(page, meta))


def to_storage_fields(resource: ApiResource, selector: str) -> str:
    """A field selector with the field names of the storage version."""
    if not selector or resource.storage is None:
        return selector
    terms = []
    for term in selector.split(","):
        head, dot, tail = term.partition(".")
        names = {key for key in to_storage(resource, {head: ""}) if key != "apiVersion"}
        terms.append(f"{names.pop() if dot else head}{dot}{tail}")
    return ",".join(terms)


def _location(obj: Obj) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _encode_continue(version: int, last: Obj) -> str:
    namespace, name = _location(last)
    token = {"v": "meta.k8s.io/v1", "rv": version, "start": f"{namespace}/{name}"}
    text = json.dumps(token, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode_continue(token: str) -> tuple[str, str]:
    try:
        padded = token + "=" * (-len(token) % 4)
        start = json.loads(base64.urlsafe_b64decode(padded))["start"]
        namespace, _, name = start.rpartition("/")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise bad_request("continue key is not valid: illegal base64 data") from None
    return namespace, name
