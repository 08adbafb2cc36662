"""Kopf handlers that pass the events of AIApis to the runner.

Only ``on.event`` handlers are used: they need no finalizer and no annotation, so an AIApi can be
deleted while the operator is down. Pods and children come from ``cluster.watches``: there are
more of them, and Kopf takes a task, a queue and the whole object for each.
"""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import kopf

from aiapi_operator.cluster import tls
from aiapi_operator.cluster.connection import Endpoint
from aiapi_operator.cluster.resources import AIAPIS, Resource
from aiapi_operator.engine.runner import Runner
from aiapi_operator.manifests.labels import SHARD_LABEL

_IDLE = 0.1
"""Seconds that Kopf keeps the task of an object without events. With a limit on these tasks, a new
object waits for an idle one to end, and so does a user's edit."""
_KEPT = {"apiVersion", "kind", "metadata"}
"""What Kopf reads of an object after the handlers: to log, and to tell objects apart."""


def settings(shard: int | None = None) -> kopf.OperatorSettings:
    """Kopf's settings. With a shard, only its AIApis are watched."""
    chosen = kopf.OperatorSettings()
    if shard is not None:
        chosen.watching.label_selectors[AIAPIS.group, AIAPIS.plural] = f"{SHARD_LABEL}={shard}"
    chosen.posting.enabled = False
    chosen.peering.standalone = True
    chosen.scanning.disabled = True
    chosen.networking.request_timeout = 30.0
    chosen.networking.enforce_retry_after = True
    chosen.watching.server_timeout = 600
    chosen.watching.client_timeout = 660.0
    chosen.watching.connect_timeout = 10.0
    chosen.queueing.idle_timeout = _IDLE
    chosen.queueing.exit_timeout = 1.0
    chosen.process.ultimate_exiting_timeout = 20.0
    # Kopf never writes these with event handlers; the names show the owner in case it does.
    chosen.persistence.finalizer = "aiapi.dev/operator"
    chosen.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix="aiapi.dev")
    chosen.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix="aiapi.dev")
    return chosen


def registry(runner: Runner, endpoint: Callable[[], Awaitable[Endpoint]]) -> kopf.OperatorRegistry:
    """The handlers: log in, and pass events on."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return _connection(await endpoint())

    @kopf.on.event(**_select(AIAPIS), id="aiapi", registry=handlers)
    async def aiapi(event: kopf.RawEvent, **_: Any) -> None:
        if event["type"] == "DELETED":
            runner.on_aiapi_delete(_take(event))
        else:
            runner.on_aiapi_update(_take(event))

    return handlers


def _take(event: Mapping[str, Any]) -> dict[str, Any]:
    """The AIApi without managedFields, which are larger than the rest. Only metadata stay in Kopf.

    Kopf refers to the body from an object that refers to itself. So the body of each event would
    stay in memory until the garbage collector looks for cycles, which is rare: see garbage.py.
    """
    body = event["object"]
    body["metadata"].pop("managedFields", None)
    manifest = {**body, "metadata": dict(body["metadata"])}
    for name in manifest.keys() - _KEPT:
        del body[name]
    return manifest


def _select(resource: Resource) -> dict[str, Any]:
    return {"group": resource.group, "version": resource.version, "plural": resource.plural}


class _ClusterConnection(kopf.ConnectionInfo):
    """Kopf's connection, which verifies the API server as the operator's own one does."""

    def as_ssl_context(self) -> ssl.SSLContext:
        return tls.accept_cluster_ca(super().as_ssl_context())


def _connection(endpoint: Endpoint) -> kopf.ConnectionInfo:
    return _ClusterConnection(
        server=endpoint.server,
        ca_path=endpoint.ca_path,
        insecure=not endpoint.verify,
        scheme=endpoint.scheme,
        token=endpoint.token,
        username=endpoint.username,
        password=endpoint.password,
        certificate_path=endpoint.certificate_path,
        private_key_path=endpoint.private_key_path,
    )
