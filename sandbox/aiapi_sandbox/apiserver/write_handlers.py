"""POST, PUT, PATCH and DELETE: creating, replacing, patching and deleting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast, get_args

from aiohttp import web

from aiapi_sandbox.apimachinery.errors import ApiError, Obj, bad_request, not_found
from aiapi_sandbox.apimachinery.selectors import parse_fields
from aiapi_sandbox.apiserver.conversion import to_served, to_storage
from aiapi_sandbox.apiserver.field_validation import validate_fields
from aiapi_sandbox.apiserver.managed_fields import FieldManager, UpdateTracker
from aiapi_sandbox.apiserver.patches import json_patch, merge_patch, strategic_patch
from aiapi_sandbox.apiserver.read_handlers import to_storage_fields
from aiapi_sandbox.apiserver.request_body import JSON, expect_kind, parse_body, require_object
from aiapi_sandbox.apiserver.request_info import (
    RequestInfo,
    RequestOptions,
    parse_number,
)
from aiapi_sandbox.apiserver.response import ResponseTransformer, json_response
from aiapi_sandbox.apiserver.server_side_apply import ApplyTracker, apply, require_field_manager
from aiapi_sandbox.storage.store import Propagation, Store

_APPLY = "application/apply-patch+yaml"
_JSON_PATCH = "application/json-patch+json"
_MERGE = "application/merge-patch+json"
_STRATEGIC = "application/strategic-merge-patch+json"


class WriteHandlers:
    """Handles one write request."""

    def __init__(
        self,
        store: Store,
        info: RequestInfo,
        options: RequestOptions,
        transformer: ResponseTransformer,
    ) -> None:
        self._store = store
        self._info = info
        self._options = options
        self._transformer = transformer
        self._resource = info.resource
        self._has_status_subresource = "status" in info.resource.subresources

    def _manager(self, operation: str) -> FieldManager:
        return FieldManager(
            operation,
            self._options.manager,
            self._resource.storage_gvr.api_version,
            self._info.subresource or "",
        )

    def _update_tracker(self) -> UpdateTracker:
        return UpdateTracker(
            self._manager("Update"),
            self._resource.storage_schema,
            self._store.now(),
            custom=self._resource.custom,
            has_status_subresource=self._has_status_subresource,
        )

    def _validate_fields(self, obj: Obj) -> tuple[str, ...]:
        schema = self._resource.served_schema
        return validate_fields(obj, schema, self._resource, self._options.field_validation)

    def _respond(self, obj: Obj, warnings: tuple[str, ...], status: int = 200) -> web.Response:
        if self._options.dry_run and status == 201:
            obj["metadata"].pop("resourceVersion", None)
        return json_response(self._transformer.object(obj), status=status, warnings=warnings)

    # --- create and replace

    def create(self, body: bytes, content_type: str) -> web.Response:
        if self._info.name:
            raise ApiError(405, "MethodNotAllowed", "the server does not allow this method")
        obj = parse_body(body, content_type=content_type, kind=self._resource.kind)
        obj = expect_kind(obj, self._info)
        warnings = self._validate_fields(obj)
        created = self._store.create(
            self._info.gvr,
            to_storage(self._resource, obj),
            dry_run=self._options.dry_run,
            track=self._update_tracker().track,
        )
        return self._respond(created, warnings, 201)

    def replace(self, body: bytes, content_type: str) -> web.Response:
        obj = parse_body(body, content_type=content_type, kind=self._resource.kind)
        obj = expect_kind(obj, self._info)
        warnings = self._validate_fields(obj)
        if self._store.find(self._info.gvr, self._info.namespace, self._info.name) is None:
            raise not_found(self._info.gvr.group, self._info.gvr.plural, self._info.name)
        return self._respond(self._write(to_storage(self._resource, obj)), warnings)

    def _write(self, obj: Obj) -> Obj:
        return self._store.update(
            self._info.gvr,
            obj,
            self._info.subresource,
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
        old = self._store.peek(self._info.gvr, self._info.namespace, self._info.name)
        old = to_served(self._resource, old)
        new = self._patched(old, patch, content_type)
        if new.get("metadata", {}).get("name") != self._info.name:
            raise bad_request("the name of the object does not match the name on the URL")
        warnings = self._validate_fields(new)
        return self._respond(self._write(to_storage(self._resource, new)), warnings)

    def _patched(self, old: Obj, patch: Any, content_type: str) -> Obj:
        if content_type == _JSON_PATCH:
            return json_patch(old, patch)
        if not isinstance(patch, dict):
            raise bad_request("error decoding patch: json: cannot unmarshal into a map")
        if content_type == _MERGE:
            merged: Obj = merge_patch(old, patch)
            return merged
        result: Obj = strategic_patch(old, patch, self._resource.served_schema)
        return result

    def _apply(self, body: bytes) -> web.Response:
        require_field_manager(self._options.field_manager)
        config = parse_body(body, content_type="yaml", kind=self._resource.kind)
        config = expect_kind(config, self._info)
        if config["metadata"].get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        warnings = self._validate_fields(config)
        config = to_storage(self._resource, config)
        live = self._store.find(self._info.gvr, self._info.namespace, self._info.name)
        if live is None and self._info.subresource:
            raise not_found(self._info.gvr.group, self._info.gvr.plural, self._info.name)
        manager = self._manager("Apply")
        merged, managers = apply(
            live,
            config,
            schema=self._resource.storage_schema,
            manager=manager,
            force=self._options.force,
            has_status_subresource=self._has_status_subresource,
        )
        track = ApplyTracker(manager, managers, self._store.now()).track
        dry_run = self._options.dry_run
        if live is None:
            created = self._store.create(self._info.gvr, merged, dry_run=dry_run, track=track)
            return self._respond(created, warnings, 201)
        if version := config["metadata"].get("resourceVersion"):
            merged["metadata"] = {**merged["metadata"], "resourceVersion": version}
        changed = self._store.update(
            self._info.gvr, merged, self._info.subresource, dry_run=dry_run, track=track
        )
        return self._respond(changed, warnings)

    # --- delete

    def delete(self, options: Obj) -> web.Response:
        info = self._info
        obj = self._remove(info, info.name, options)
        remains = self._store.find(info.gvr, info.namespace, info.name)
        if remains is not None or info.resource.kind == "Pod":
            return json_response(self._transformer.object(obj))
        details = {"name": info.name, "kind": info.gvr.plural, "uid": obj["metadata"]["uid"]}
        if info.gvr.group:
            details["group"] = info.gvr.group
        return json_response(
            {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Success",
                "details": details,
            }
        )

    def delete_collection(self, options: Obj) -> web.Response:
        fields = parse_fields(to_storage_fields(self._resource, self._options.field_selector))
        info = self._info
        chosen = [
            obj
            for obj in self._store.scan(
                info.gvr, info.namespace or None, self._options.label_selector
            )
            if fields(obj)
        ]
        for obj in chosen:
            scoped = replace(info, namespace=obj["metadata"].get("namespace", ""))
            if self._store.find(scoped.gvr, scoped.namespace, obj["metadata"]["name"]):
                self._remove(scoped, obj["metadata"]["name"], options)
        meta = {"resourceVersion": str(self._store.version)}
        return json_response(self._transformer.object_list(chosen, meta))

    def _remove(self, info: RequestInfo, name: str, options: Obj) -> Obj:
        policy = options.get("propagationPolicy") or (
            "Orphan" if options.get("orphanDependents") else None
        )
        known: tuple[Propagation, ...] = get_args(Propagation)
        if policy is not None and policy not in known:
            raise bad_request(f"invalid propagationPolicy: {policy}")
        return self._store.delete(
            info.gvr,
            info.namespace,
            name,
            cast("Propagation | None", policy),
            options.get("gracePeriodSeconds"),
            preconditions=options.get("preconditions"),
            dry_run=self._options.dry_run or bool(options.get("dryRun")),
        )


def delete_options(body: bytes, content_type: str, query: dict[str, str]) -> Obj:
    """The DeleteOptions of a request, from its body and its query."""
    options: Obj = {}
    if body.strip():
        parsed = require_object(parse_body(body, content_type=content_type, kind="DeleteOptions"))
        options = {name: value for name, value in parsed.items() if value is not None}
    if "gracePeriodSeconds" in query:
        options["gracePeriodSeconds"] = parse_number(query, "gracePeriodSeconds")
    if "propagationPolicy" in query:
        options["propagationPolicy"] = query["propagationPolicy"]
    if not isinstance(options.get("gracePeriodSeconds", 0), int):
        raise bad_request("json: cannot unmarshal into Go struct field gracePeriodSeconds of int64")
    return options
