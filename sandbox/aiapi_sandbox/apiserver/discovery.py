"""API discovery: /api, /apis and /version, in the unaggregated and the aggregated format."""

from __future__ import annotations

import base64
import hashlib

from aiohttp import web

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apiserver.response import json_response, parse_accept
from aiapi_sandbox.kinds.resources import ApiResource, Registry

_AGGREGATED = "APIGroupDiscoveryList"

VERSION: Obj = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2+sandbox",
    "gitCommit": "",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "linux/amd64",
}

_ORDER = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_REVIEW_GROUP = "authorization.k8s.io"
_REVIEWS: list[Obj] = [
    {
        "name": f"{kind.lower()}s",
        "singularName": kind.lower(),
        "namespaced": False,
        "kind": kind,
        "verbs": ["create"],
    }
    for kind in ("SelfSubjectAccessReview", "SubjectAccessReview")
]


def access_review_kind(path: str) -> str | None:
    """The kind of access review served at this path, or None."""
    paths = {f"/apis/{_REVIEW_GROUP}/v1/{each['name']}": str(each["kind"]) for each in _REVIEWS}
    return paths.get(path)


def _subresource_entries(resource: ApiResource) -> list[Obj]:
    entries = []
    for name in sorted(resource.subresources, key=lambda n: (n == "scale", n)):
        entry: Obj = {
            "name": f"{resource.gvr.plural}/{name}",
            "singularName": "",
            "namespaced": resource.namespaced,
        }
        if name == "scale":
            entry |= {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        else:
            entry["kind"] = resource.kind
        entry["verbs"] = _subresource_verbs(name)
        entries.append(entry)
    return entries


def _subresource_verbs(name: str) -> list[str]:
    return {"log": ["get"], "finalize": ["update"]}.get(name, ["get", "patch", "update"])


def _entries(resource: ApiResource) -> list[Obj]:
    entry: Obj = {
        "name": resource.gvr.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(_ORDER),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    stored = resource.storage_gvr
    name = f"{stored.group}/{stored.version}/{resource.kind}"
    digest = hashlib.sha256(name.encode()).digest()[:8]
    entry["storageVersionHash"] = base64.b64encode(digest).decode()
    return [entry, *_subresource_entries(resource)]


def _groups(registry: Registry) -> dict[str, list[str]]:
    """Group -> its versions, the preferred one first."""
    groups: dict[str, list[str]] = {}
    for resource in registry:
        versions = groups.setdefault(resource.gvr.group, [])
        if resource.gvr.version not in versions:
            versions.append(resource.gvr.version)
    groups.setdefault(_REVIEW_GROUP, ["v1"])
    return groups


def api_versions() -> Obj:
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [],
    }


def _group(name: str, versions: list[str]) -> Obj:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def api_groups(registry: Registry) -> Obj:
    groups = [_group(name, versions) for name, versions in _groups(registry).items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def api_group(registry: Registry, name: str) -> Obj | None:
    versions = _groups(registry).get(name)
    if not name or versions is None:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def api_resources(registry: Registry, group: str, version: str) -> Obj | None:
    """The APIResourceList of a group version; None when it is not served."""
    if version not in _groups(registry).get(group, ()):
        return None
    resources = [
        entry
        for resource in registry
        if (resource.gvr.group, resource.gvr.version) == (group, version)
        for entry in _entries(resource)
    ]
    if group == _REVIEW_GROUP:
        resources.extend(_REVIEWS)
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": resources,
    }


def aggregated(registry: Registry, *, core: bool) -> Obj:
    """All groups with their resources in one document."""
    items = []
    for group, versions in _groups(registry).items():
        if (group == "") is not core:
            continue
        listed = [
            {
                "version": version,
                "resources": _aggregated_resources(registry, group, version),
                "freshness": "Current",
            }
            for version in versions
        ]
        items.append({"metadata": {"name": group} if group else {}, "versions": listed})
    return {
        "kind": _AGGREGATED,
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _aggregated_resources(registry: Registry, group: str, version: str) -> list[Obj]:
    listing = api_resources(registry, group, version) or {"resources": []}
    result: list[Obj] = []
    for entry in listing["resources"]:
        kind = {
            "group": entry.get("group", group),
            "version": entry.get("version", version),
            "kind": entry["kind"],
        }
        if "/" in entry["name"]:
            sub = entry["name"].split("/")[1]
            part = {"subresource": sub, "responseKind": kind, "verbs": entry["verbs"]}
            result[-1].setdefault("subresources", []).append(part)
            continue
        item = {
            "resource": entry["name"],
            "responseKind": kind,
            "scope": "Namespaced" if entry["namespaced"] else "Cluster",
            "singularResource": entry["singularName"],
            "verbs": entry["verbs"],
        }
        item |= {name: entry[name] for name in ("shortNames", "categories") if name in entry}
        result.append(item)
    return result


def respond(path: str, accept: str | None, registry: Registry) -> web.Response | None:
    """The discovery document at this path; None when the path is not one of discovery."""
    parts = path.split("/")[1:]
    if parts in (["api"], ["apis"]):
        core = parts == ["api"]
        for entry in parse_accept(accept):
            if entry.get("as") == _AGGREGATED and entry.get("v") == "v2":
                response = json_response(aggregated(registry, core=core))
                media_type = f"application/json;g=apidiscovery.k8s.io;v=v2;as={_AGGREGATED}"
                response.headers["Content-Type"] = media_type
                return response
        return json_response(api_versions() if core else api_groups(registry))
    found: Obj | None = None
    if parts[0] == "api" and len(parts) == 2:
        found = api_resources(registry, "", parts[1])
    elif parts[0] == "apis" and len(parts) == 2:
        found = api_group(registry, parts[1])
    elif parts[0] == "apis" and len(parts) == 3:
        found = api_resources(registry, parts[1], parts[2])
    return json_response(found) if found is not None else None
