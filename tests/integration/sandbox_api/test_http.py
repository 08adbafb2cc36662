"""The API over plain HTTP, with requests that regular clients do not send."""

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

Api = Any  # the fixture of this folder's conftest
WIDGETS = "/apis/example.dev/v1/namespaces/default/widgets"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"


@pytest.fixture
async def http(widgets: Api) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {widgets.server.token}"}
    connector = aiohttp.TCPConnector(ssl=False)
    async with aiohttp.ClientSession(
        widgets.server.url, headers=headers, connector=connector
    ) as session:
        yield session


def widget(name: str = "w", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.dev/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": spec,
    }


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic dGVzdA=="])
async def test_401_without_a_token(widgets: Api, header: str) -> None:
    connector = aiohttp.TCPConnector(ssl=False)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(widgets.server.url + "/api", headers={"Authorization": header}) as answer,
    ):
        body = await answer.json()
    assert (answer.status, body["reason"]) == (401, "Unauthorized")


@pytest.mark.parametrize("kind", ["SelfSubjectAccessReview", "SubjectAccessReview"])
async def test_access_reviews_allow_everything(http: aiohttp.ClientSession, kind: str) -> None:
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": {"user": "a"}}
    path = f"/apis/authorization.k8s.io/v1/{kind.lower()}s"
    async with http.post(path, json=body) as answer:
        review = await answer.json()
    assert (answer.status, review["kind"], review["status"]["allowed"]) == (201, kind, True)


ODD: list[tuple[str, str, str, Any, int]] = [
    ("POST", WIDGETS, "application/json", "[]", 400),
    ("POST", WIDGETS, "application/json", "null", 400),
    ("POST", WIDGETS, "application/json", '"text"', 400),
    ("POST", WIDGETS, "application/json", "", 400),
    ("POST", WIDGETS, "application/yaml", "a: [", 400),
    ("POST", WIDGETS, "application/json", {"kind": "Pod", "apiVersion": "v1"}, 400),
    ("POST", WIDGETS, "application/json", {**widget(), "metadata": []}, 400),
    ("POST", WIDGETS, "application/json", {**widget(), "metadata": {"labels": ["a"]}}, 400),
    ("POST", WIDGETS, "application/json", {**widget(), "metadata": {"labels": {"a": 1}}}, 400),
    ("POST", WIDGETS, "application/json", {**widget(), "metadata": {"namespace": "x"}}, 400),
    ("POST", WIDGETS, "application/json", {**widget(), "spec": 7}, 422),
    ("POST", WIDGETS + "?dryRun=Some", "application/json", widget(), 422),
    ("POST", WIDGETS + "?fieldValidation=Maybe", "application/json", widget(), 400),
    ("POST", WIDGETS, "application/vnd.kubernetes.protobuf", "k8s\0\xff", 400),
    ("POST", WIDGETS + "/w", "application/json", widget(), 405),
    ("POST", PODS, "application/json", {"metadata": {"name": "p"}, "spec": {}}, 422),
    ("POST", PODS, "application/json", {"metadata": {"name": "p"}, "spec": []}, 400),
    ("POST", DEPLOYMENTS, "application/json", {"metadata": {"name": "d"}}, 422),
    ("POST", DEPLOYMENTS, "application/json", {"spec": {"replicas": "two"}}, 400),
    ("PUT", WIDGETS + "/none", "application/json", widget("none"), 404),
    ("PATCH", WIDGETS + "/w", MERGE, "[]", 400),
    ("PATCH", WIDGETS + "/w", MERGE, {"metadata": {"name": "other"}}, 400),
    ("PATCH", WIDGETS + "/w", MERGE, {"metadata": None}, 400),
    ("PATCH", WIDGETS + "/w", "text/plain", "{}", 415),
    ("PATCH", WIDGETS + "/w", "application/json-patch+json", "{}", 400),
    ("PATCH", WIDGETS + "/w", "application/json-patch+json", [{"op": "fly"}], 422),
    ("PATCH", WIDGETS + "/w?fieldManager=a", APPLY, "a: [", 400),
    ("PATCH", WIDGETS + "/w?fieldManager=a", APPLY, widget("other"), 400),
    ("PATCH", WIDGETS + "/none/status?fieldManager=a", APPLY, widget("none"), 404),
    ("PATCH", WIDGETS + "/w/scale", MERGE, {"spec": {"replicas": "x"}}, 400),
    ("PATCH", WIDGETS + "/w/scale", MERGE, {"spec": {"replicas": -1}}, 422),
    ("DELETE", WIDGETS + "/w?gracePeriodSeconds=soon", "application/json", "", 400),
    ("DELETE", WIDGETS + "/w", "application/json", {"propagationPolicy": "Sideways"}, 400),
    ("DELETE", WIDGETS + "/w", "application/json", {"preconditions": {"uid": "x"}}, 409),
    ("GET", WIDGETS + "?labelSelector=a+b+c", "", "", 400),
    ("GET", WIDGETS + "?fieldSelector=nothing", "", "", 400),
    ("GET", WIDGETS + "?limit=many", "", "", 400),
    ("GET", WIDGETS + "?continue=%21%21", "", "", 400),
    ("GET", WIDGETS + "?watch=1&resourceVersion=new", "", "", 400),
    ("GET", "/apis/nothing.dev/v1/things", "", "", 404),
    ("GET", "/nothing", "", "", 404),
    ("GET", "/", "", "", 404),
    ("GET", PODS + "/none/log", "", "", 501),
]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{odd[0]} {odd[1]} {odd[3]!r:.40}")
async def test_malformed_requests_are_rejected_without_side_effects(
    widgets: Api, http: aiohttp.ClientSession, odd: tuple[str, str, str, Any, int]
) -> None:
    method, path, kind, body, status = odd
    async with http.post(WIDGETS, json=widget(size=2)) as made:
        assert made.status == 201
    version = widgets.store.version
    data = body if isinstance(body, str) else json.dumps(body)
    headers = {"Content-Type": kind} if kind else {}
    async with http.request(method, path, data=data or None, headers=headers) as answer:
        text = await answer.text()
    assert answer.status == status, text
    assert widgets.store.version == version


async def test_body_size_is_limited(http: aiohttp.ClientSession) -> None:
    async with http.post(WIDGETS, data=io.BytesIO(bytes(3 * 1024 * 1024 + 1))) as answer:
        body = await answer.json()
    assert (answer.status, body["reason"]) == (413, "RequestEntityTooLarge")


async def test_pages_of_a_list_are_complete(http: aiohttp.ClientSession) -> None:
    for index in range(5):
        await (await http.post(WIDGETS, json=widget(f"w{index}", size=1))).release()
    names: list[str] = []
    token = ""
    while True:
        async with http.get(WIDGETS, params={"limit": "2", "continue": token}) as answer:
            page = await answer.json()
        names += [item["metadata"]["name"] for item in page["items"]]
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert names == [f"w{index}" for index in range(5)]


async def test_a_watch_with_a_selector_sees_objects_start_and_stop_matching(
    http: aiohttp.ClientSession,
) -> None:
    await (await http.post(WIDGETS, json=widget(size=1))).release()
    query = {"watch": "1", "labelSelector": "in=yes", "timeoutSeconds": "1"}
    async with http.get(WIDGETS, params=query) as stream:
        for labels in ({"in": "yes"}, {"in": "yes", "more": "1"}, {"in": None}):
            patch = json.dumps({"metadata": {"labels": labels}})
            headers = {"Content-Type": MERGE}
            await (await http.patch(f"{WIDGETS}/w", data=patch, headers=headers)).release()
        lines = (await stream.text()).splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["ADDED", "MODIFIED", "DELETED"]


async def test_partial_object_metadata(http: aiohttp.ClientSession) -> None:
    await (await http.post(WIDGETS, json=widget(size=1))).release()
    headers = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
    async with http.get(WIDGETS, headers=headers) as answer:
        body = await answer.json()
    assert body["kind"] == "PartialObjectMetadataList"
    assert [sorted(item) for item in body["items"]] == [["apiVersion", "kind", "metadata"]]


async def test_collections_are_deleted_by_selector(http: aiohttp.ClientSession) -> None:
    for name in ("a", "b"):
        body = widget(name, size=1)
        body["metadata"]["labels"] = {"name": name}
        await (await http.post(WIDGETS, json=body)).release()
    async with http.delete(WIDGETS, params={"labelSelector": "name=a"}) as answer:
        assert answer.status == 200
    async with http.get(WIDGETS) as answer:
        left = (await answer.json())["items"]
    assert [item["metadata"]["name"] for item in left] == ["b"]


async def test_unknown_fields_return_a_warning(http: aiohttp.ClientSession) -> None:
    async with http.post(WIDGETS, json=widget(size=1, shape="round")) as answer:
        assert answer.headers["Warning"] == '299 - "unknown field \\"spec.shape\\""'
        assert "shape" not in (await answer.json())["spec"]


async def test_aggregated_discovery_matches_the_unaggregated_form(
    http: aiohttp.ClientSession,
) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    async with http.get("/apis", headers={"Accept": accept}) as answer:
        groups = {item["metadata"]["name"]: item for item in (await answer.json())["items"]}
    async with http.get("/apis") as answer:
        legacy = [group["name"] for group in (await answer.json())["groups"]]
    assert sorted(groups) == sorted(legacy)
    (version,) = groups["example.dev"]["versions"]
    (resource,) = version["resources"]
    assert resource["resource"] == "widgets"
    assert [sub["subresource"] for sub in resource["subresources"]] == ["status", "scale"]


async def test_a_resize_changes_resources_only_and_keeps_the_qos_class(
    widgets: Api, http: aiohttp.ClientSession
) -> None:
    container = {
        "name": "c",
        "image": "i:1",
        "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "1000m"}},
    }
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [container], "nodeName": "n"}}
    async with http.post(PODS, json=pod) as answer:
        made = await answer.json()
    assert made["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "1"}

    async def resize(**container: Any) -> tuple[int, dict[str, Any]]:
        patch = json.dumps({"spec": {"containers": [{"name": "c", **container}]}})
        kind = {"Content-Type": "application/strategic-merge-patch+json"}
        async with http.patch(f"{PODS}/p/resize", data=patch, headers=kind) as answer:
            return answer.status, await answer.json()

    status, body = await resize(image="other:1", resources={"requests": {"cpu": "200m"}})
    assert status == 200
    assert body["spec"]["containers"][0]["image"] == "i:1"
    assert body["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "200m"}
    assert body["metadata"]["generation"] == 2
    status, body = await resize(resources={"requests": {"cpu": "2"}})
    assert status == 422
    assert "must be less than or equal to cpu limit of 1" in body["message"]
