"""Unmodified kubectl against the sandbox's API server."""

import asyncio
import json
from typing import Any

import pytest

Api = Any  # the fixture of this folder's conftest
DEADLINE = 20.0
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {tier: front}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: app
          image: example/web:1
          ports: [{name: http, containerPort: 8000}]
          env: [{name: A, value: "1"}, {name: B, value: "2"}]
"""
WIDGET = """
apiVersion: example.dev/v1
kind: Widget
metadata: {name: w}
spec: {size: 2, colour: red}
"""


async def test_version_and_resources(api: Api) -> None:
    version = json.loads((await api.kubectl("version", "-o", "json")).out)
    assert version["serverVersion"]["gitVersion"].endswith("+sandbox")
    listed = (await api.kubectl("api-resources", "-o", "name")).out.split()
    assert {"pods", "deployments.apps", "events.events.k8s.io"} <= set(listed)
    assert "jobs.batch" not in listed


async def test_apply_twice_changes_nothing(api: Api) -> None:
    first = await api.kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    version = api.store.version
    second = await api.kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    assert first.out == "deployment.apps/web created\n"
    assert second.out == "deployment.apps/web unchanged\n"
    assert api.store.version == version


async def test_a_list_is_applied_and_its_items_are_validated(api: Api) -> None:
    item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
    other = {**item, "metadata": {"name": "b"}}
    listed = {"apiVersion": "v1", "kind": "List", "items": [item, other]}
    applied = await api.kubectl("apply", "-f", "-", stdin=json.dumps(listed))
    assert applied.out == "configmap/a created\nconfigmap/b created\n", applied.err
    again = await api.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(listed))
    assert "configmap/b serverside-applied" in again.out, again.err
    other["colour"] = "red"
    refused = await api.kubectl("apply", "-f", "-", stdin=json.dumps(listed), ok=False)
    assert 'unknown field "colour"' in refused.err


async def test_apply_merges_lists_by_their_keys(api: Api) -> None:
    await api.kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    await api.kubectl("set", "env", "deploy/web", "C=3")
    changed = DEPLOYMENT.replace('{name: A, value: "1"}, ', "").replace('"2"', '"4"')
    await api.kubectl("apply", "-f", "-", stdin=changed)
    env = await api.kubectl(
        "get", "deploy", "web", "-o", "jsonpath={.spec.template.spec.containers[0].env}"
    )
    assert json.loads(env.out) == [{"name": "B", "value": "4"}, {"name": "C", "value": "3"}]


async def test_server_side_apply_conflicts_unless_forced(api: Api) -> None:
    await api.kubectl("apply", "--server-side", "-f", "-", stdin=DEPLOYMENT)
    version = api.store.version
    await api.kubectl("apply", "--server-side", "-f", "-", stdin=DEPLOYMENT)
    assert api.store.version == version
    await api.kubectl("scale", "deploy/web", "--replicas=5")
    refused = await api.kubectl("apply", "--server-side", "-f", "-", stdin=DEPLOYMENT, ok=False)
    assert 'conflict with "kubectl" with subresource "scale" using apps/v1' in refused.err
    assert ".spec.replicas" in refused.err
    force = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    await api.kubectl(*force, stdin=DEPLOYMENT)
    replicas = await api.kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}")
    assert replicas.out == "2"


async def test_table_columns_normal_and_wide(widgets: Api) -> None:
    await widgets.kubectl("apply", "-f", "-", stdin=WIDGET)
    narrow = (await widgets.kubectl("get", "wd")).out.splitlines()
    wide = (await widgets.kubectl("get", "widgets", "-o", "wide")).out.splitlines()
    assert [line.split() for line in narrow] == [["NAME", "SIZE"], ["w", "2"]]
    assert [line.split() for line in wide] == [["NAME", "SIZE", "COLOUR"], ["w", "2", "red"]]


async def test_explain_shows_the_descriptions_of_a_custom_kind(widgets: Api) -> None:
    shown = (await widgets.kubectl("explain", "widgets.spec")).out
    assert "What is wanted." in shown
    assert "How large." in shown
    builtin = (await widgets.kubectl("explain", "deployment.spec.strategy")).out
    assert "rollingUpdate" in builtin


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{size: 10}", "spec: Invalid value: size must not exceed 9"),
        ("{colour: green}", 'spec.colour: Unsupported value: "green"'),
        ("{size: many}", "spec.size in body must be of type integer"),
        ("{shape: round}", 'unknown field "spec.shape"'),
    ],
)
async def test_invalid_objects_are_rejected(widgets: Api, spec: str, message: str) -> None:
    manifest = WIDGET.replace("{size: 2, colour: red}", spec)
    refused = await widgets.kubectl("apply", "-f", "-", stdin=manifest, ok=False)
    assert message in refused.err


async def test_transition_rules_compare_with_the_old_object(widgets: Api) -> None:
    await widgets.kubectl("apply", "-f", "-", stdin=WIDGET)
    await widgets.kubectl("patch", "wd/w", "--type=merge", "-p", '{"spec":{"size":3}}')
    refused = await widgets.kubectl(
        "patch",
        "wd/w",
        "--type=json",
        "-p",
        '[{"op":"replace","path":"/spec/size","value":1}]',
        ok=False,
    )
    assert "widgets do not shrink" in refused.err


async def test_scale_and_status_of_a_custom_kind(widgets: Api) -> None:
    await widgets.kubectl("apply", "-f", "-", stdin=WIDGET)
    await widgets.kubectl("scale", "wd/w", "--replicas=4")
    patch = ("patch", "wd/w", "--subresource=status", "--type=merge", "-p")
    await widgets.kubectl(*patch, '{"status":{"ready":"yes"}}')
    shown = await widgets.kubectl("get", "wd/w", "-o", "jsonpath={.spec.size} {.status.ready}")
    assert shown.out == "4 yes"


async def test_wait_returns_when_the_field_is_set(widgets: Api) -> None:
    await widgets.kubectl("apply", "-f", "-", stdin=WIDGET)
    waiting = asyncio.ensure_future(
        widgets.kubectl("wait", "wd/w", "--for=jsonpath={.status.ready}=yes", "--timeout=15s")
    )
    await asyncio.sleep(0.3)

    def ready(widget: dict[str, Any]) -> None:
        widget["status"] = {"ready": "yes"}

    key = next(item.gvr for item in widgets.store.registry if item.kind == "Widget")
    widgets.store.mutate(key, "default", "w", ready, "status")
    assert (await waiting).out == "widget.example.dev/w condition met\n"


async def test_get_watch_prints_changes(widgets: Api) -> None:
    process = await asyncio.create_subprocess_exec(
        widgets.kubectl_path,
        f"--kubeconfig={widgets.kubeconfig}",
        "get",
        "wd",
        "--watch",
        "--output-watch-events",
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    try:
        await widgets.kubectl("apply", "-f", "-", stdin=WIDGET)
        await widgets.kubectl("delete", "wd", "w")
        async with asyncio.timeout(DEADLINE):
            lines = [(await process.stdout.readline()).split() for _ in range(3)]
    finally:
        process.terminate()
        await process.wait()
    assert lines == [
        [b"EVENT", b"NAME", b"SIZE"],
        [b"ADDED", b"w", b"2"],
        [b"DELETED", b"w", b"2"],
    ]


async def test_namespaces_are_deleted_with_their_content(widgets: Api) -> None:
    await widgets.kubectl("create", "namespace", "one")
    await widgets.kubectl("apply", "-n", "one", "-f", "-", stdin=WIDGET)
    await widgets.kubectl("create", "secret", "generic", "s", "-n", "one", "--from-literal=a=b")
    await widgets.kubectl("delete", "namespace", "one")
    left = await widgets.kubectl("get", "wd,secrets", "-A")
    assert "No resources found" in left.err


async def test_describe_and_events(api: Api) -> None:
    await api.kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    about = api.store.list(next(r.gvr for r in api.store.registry if r.kind == "Deployment"))[0]
    event = {
        "metadata": {"name": "web.1", "namespace": "default"},
        "involvedObject": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": "web",
            "namespace": "default",
            "uid": about["metadata"]["uid"],
        },
        "type": "Normal",
        "reason": "Grown",
        "message": "two more",
        "firstTimestamp": api.store.now(),
        "lastTimestamp": api.store.now(),
        "count": 1,
    }
    api.store.create(next(r.gvr for r in api.store.registry if r.kind == "Event"), event)
    described = (await api.kubectl("describe", "deploy", "web")).out
    assert "two more" in described
    assert "tier=front" in described
    assert "two more" in (await api.kubectl("events", "--for=deployment/web")).out
    assert "two more" in (await api.kubectl("get", "events")).out
    through_new_group = await api.kubectl("get", "events.events.k8s.io", "-o", "json")
    assert json.loads(through_new_group.out)["items"][0]["note"] == "two more"


async def test_labels_annotations_and_selectors(api: Api) -> None:
    await api.kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    await api.kubectl("label", "deploy/web", "level=1")
    await api.kubectl("annotate", "deploy/web", "note=hello")
    for selector in ("level=1", "level", "level in (1,2)", "level!=2,tier=front", "!other"):
        assert "web" in (await api.kubectl("get", "deploy", "-l", selector)).out
    for selector in ("level=2", "!level", "level notin (1)"):
        assert "No resources" in (await api.kubectl("get", "deploy", "-l", selector)).err


async def test_dry_run_and_diff_write_nothing(api: Api) -> None:
    version = api.store.version
    dry = ("apply", "--dry-run=server", "-f", "-")
    assert "created (server dry run)" in (await api.kubectl(*dry, stdin=DEPLOYMENT)).out
    assert api.store.version == version


async def test_missing_resources_and_features_are_reported(api: Api) -> None:
    pod = {
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    api.store.create(next(r.gvr for r in api.store.registry if r.kind == "Pod"), pod)
    for path in ("exec", "attach", "portforward", "eviction"):
        raw = f"/api/v1/namespaces/default/pods/p/{path}"
        answer = await api.kubectl("create", "--raw", raw, "-f", "-", stdin="{}", ok=False)
        assert f"the sandbox does not implement pods/{path}" in answer.err
    jobs = await api.kubectl("get", "jobs", ok=False)
    assert 'the server doesn\'t have a resource type "jobs"' in jobs.err


async def test_requests_without_the_token_are_rejected(api: Api) -> None:
    answer = await api.kubectl("--token=wrong", "get", "pods", ok=False)
    assert "You must be logged in to the server" in answer.err
