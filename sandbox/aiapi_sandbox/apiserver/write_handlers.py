"""Creating, replacing, patching and deleting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast, get_args

from aiohttp import web

from aiapi_sandbox.apimachinery.errors import ApiError, Obj, bad_request, not_found
from aiapi_sandbox.apimachinery.selectors import parse_fields
from aiapi_sandbox.apiserver.conversion import to_served, to_storage
from aiapi_sandbox.apiserver.decoding import require_object, validate_fields
from aiapi_sandbox.apiserver.managed_fields import FieldManager, UpdateTracker
from aiapi_sandbox.apiserver.patches import json_patch, merge_patch, strategic_patch
from aiapi_sandbox.apiserver.read_handlers import to_storage_fields
from aiapi_sandbox.apiserver.request_info import (
    JSON,
    RequestInfo,
    RequestOptions,
    expect_kind,
    number,
    parse_body,
)
from aiapi_sandbox.apiserver.resize_admission import admit_resize
from aiapi_sandbox.apiserver.response import ResponseTransformer, json_response
from aiapi_sandbox.apiserver.server_side_apply import ApplyTracker, apply, require_field_manager
from aiapi_sandbox.kinds.resources import ApiResource
from aiapi_sandbox.kinds.type_schema import TypeSchema, builtin_type
from aiapi_sandbox.storage.store import Propagation, Store

_APPLY = "application/apply-patch+yaml"
_JSON_PATCH = "application/json-patch+json"
_MERGE = "application/merge-patch+json"
_STRATEGIC = "application/strategic-merge-patch+json"


def storage_type(resource: ApiResource) -> TypeSchema:
    """The fields of a resource's stored form."""
    return resource.shape or builtin_type(resource.kind)


def _served_shape(resource: ApiResource) -> TypeSchema:
    if resource.key.group == "events.k8s.io":
        return builtin_type("EventsEvent")
    return storage_type(resource)


class WriteHandlers:
    """The writing half of the API, for one request."""

    def __init__(
        self, store: Store, target: RequestInfo, options: RequestOptions, view: ResponseTransformer
    ) -> None:
        self._store = store
        self._target = target
        self._options = options
        self._view = view
        self._resource = target.resource
        self._status_apart = "status" in target.resource.subresources

    def _manager(self, operation: str) -> FieldManager:
        return FieldManager(
            operation,
            self._options.manager,
            self._resource.stored_at.api_version,
            self._target.subresource or "",
        )

    def _update_tracker(self) -> UpdateTracker:
        return UpdateTracker(
            self._manager("Update"),
            storage_type(self._resource),
            self._store.now(),
            custom=self._resource.custom,
            status_apart=self._status_apart,
        )

    def _accept(self, obj: Obj) -> tuple[str, ...]:
        shape = _served_shape(self._resource)
        return validate_fields(obj, shape, self._resource, self._options.field_validation)

    def _answer(self, obj: Obj, warnings: tuple[str, ...], status: int = 200) -> web.Response:
        if self._options.dry_run and status == 201:
            obj["metadata"].pop("resourceVersion", None)
        return json_response(self._view.one(obj), status=status, warnings=warnings)

    # --- create and replace

    def create(self, body: bytes, content_type: str) -> web.Response:
        if self._target.name:
            raise ApiError(405, "MethodNotAllowed", "the server does not allow this method")
        obj = parse_body(body, content_type=content_type, kind=self._resource.kind)
        obj = expect_kind(obj, self._target)
        warnings = self._accept(obj)
        created = self._store.create(
            self._target.key,
            to_storage(self._resource, obj),
            dry_run=self._options.dry_run,
            track=self._update_tracker().track,
        )
        return self._answer(created, warnings, 201)

    def replace(self, body: bytes, content_type: str) -> web.Response:
        obj = parse_body(body, content_type=content_type, kind=self._resource.kind)
        obj = expect_kind(obj, self._target)
        warnings = self._accept(obj)
        if self._store.find(self._target.key, self._target.namespace, self._target.name) is None:
            raise not_found(self._target.key.group, self._target.key.plural, self._target.name)
        return self._answer(self._write(to_storage(self._resource, obj)), warnings)

    def _write(self, obj: Obj) -> Obj:
        if self._target.subresource == "resize":
            admit_resize(self._store, obj)
        return self._store.update(
            self._target.key,
            obj,
            self._target.subresource,
            dry_run=self._options.dry_run,
            track=self._update_tracker().track,
        )

    # --- patch

    def patch(self, body: bytes, content_type: str) -> web.Response:
        kinds = [_JSON_PATCH, _MERGE, _STRATEGIC, _APPLY]
        if self._resource.custom:
            kinds.remove(_STRATEGIC)
        if content_type not in kinds:
            raise ApiError(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types "
                f"include: {', '.join(kinds)}",
            )
        if content_type == _APPLY:
            return self._apply(body)
        patch = parse_body(body, content_type=JSON, kind=self._resource.kind)
        old = self._store.peek(self._target.key, self._target.namespace, self._target.name)
        old = to_served(self._resource, old)
        new = self._patched(old, patch, content_type)
        if new.get("metadata", {}).get("name") != self._target.name:
            raise bad_request("the name of the object does not match the name on the URL")
        warnings = self._accept(new)
        return self._answer(self._write(to_storage(self._resource, new)), warnings)

    def _patched(self, old: Obj, patch: Any, content_type: str) -> Obj:
        if content_type == _JSON_PATCH:
            return json_patch(old, patch)
        if not isinstance(patch, dict):
            raise bad_request("error decoding patch: json: cannot unmarshal into a map")
        if content_type == _MERGE:
            merged: Obj = merge_patch(old, patch)
            return merged
        result: Obj = strategic_patch(old, patch, _served_shape(self._resource))
        return result

    def _apply(self, body: bytes) -> web.Response:
        require_field_manager(self._options.field_manager)
        config = parse_body(body, content_type="yaml", kind=self._resource.kind)
        config = expect_kind(config, self._target)
        if config["metadata"].get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        warnings = self._accept(config)
        config = to_storage(self._resource, config)
        live = self._store.find(self._target.key, self._target.namespace, self._target.name)
        if live is None and self._target.subresource:
            raise not_found(self._target.key.group, self._target.key.plural, self._target.name)
        manager = self._manager("Apply")
        merged, managers = apply(
            live,
            config,
            shape=storage_type(self._resource),
            manager=manager,
            force=self._options.force,
            status_apart=self._status_apart,
        )
        track = ApplyTracker(manager, managers, self._store.now()).track
        dry_run = self._options.dry_run
        if live is None:
            created = self._store.create(self._target.key, merged, dry_run=dry_run, track=track)
            return self._answer(created, warnings, 201)
        if version := config["metadata"].get("resourceVersion"):
            merged["metadata"] = {**merged["metadata"], "resourceVersion": version}
        if self._target.subresource == "resize":
            admit_resize(self._store, merged)
        changed = self._store.update(
            self._target.key, merged, self._target.subresource, dry_run=dry_run, track=track
        )
        return self._answer(changed, warnings)

    # --- delete

    def delete(self, how: Obj) -> web.Response:
        target = self._target
        obj = self._remove(target, target.name, how)
        remains = self._store.find(target.key, target.namespace, target.name)
        if remains is not None or target.resource.kind == "Pod":
            return json_response(self._view.one(obj))
        details = {"name": target.name, "kind": target.key.plural, "uid": obj["metadata"]["uid"]}
        if target.key.group:
            details["group"] = target.key.group
        return json_response(
            {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Success",
                "details": details,
            }
        )

    def delete_all(self, how: Obj) -> web.Response:
        fields = parse_fields(to_storage_fields(self._resource, self._options.field_selector))
        target = self._target
        chosen = [
            obj
            for obj in self._store.scan(
                target.key, target.namespace or None, self._options.label_selector
            )
            if fields(obj)
        ]
        for obj in chosen:
            place = replace(target, namespace=obj["metadata"].get("namespace", ""))
            if self._store.find(place.key, place.namespace, obj["metadata"]["name"]):
                self._remove(place, obj["metadata"]["name"], how)
        meta = {"resourceVersion": str(self._store.version)}
        return json_response(self._view.many(chosen, meta))

    def _remove(self, target: RequestInfo, name: str, how: Obj) -> Obj:
        policy = how.get("propagationPolicy") or ("Orphan" if how.get("orphanDependents") else None)
        known: tuple[Propagation, ...] = get_args(Propagation)
        if policy is not None and policy not in known:
            raise bad_request(f"invalid propagationPolicy: {policy}")
        return self._store.delete(
            target.key,
            target.namespace,
            name,
            cast("Propagation | None", policy),
            how.get("gracePeriodSeconds"),
            preconditions=how.get("preconditions"),
            dry_run=self._options.dry_run or bool(how.get("dryRun")),
        )


def delete_options(body: bytes, content_type: str, query: dict[str, str]) -> Obj:
    """How to delete, from the body or the query."""
    how: Obj = {}
    if body.strip():
        parsed = require_object(parse_body(body, content_type=content_type, kind="DeleteOptions"))
        how = {name: value for name, value in parsed.items() if value is not None}
    if "gracePeriodSeconds" in query:
        how["gracePeriodSeconds"] = number(query, "gracePeriodSeconds")
    if "propagationPolicy" in query:
        how["propagationPolicy"] = query["propagationPolicy"]
    if not isinstance(how.get("gracePeriodSeconds", 0), int):
        raise bad_request("json: cannot unmarshal into Go struct field gracePeriodSeconds of int64")
    return how
