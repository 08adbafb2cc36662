"""Requests of the command line: few, and each ends within seconds.

Unlike the operator, a command reports an API server that is down instead of waiting for it.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from aiapi_operator.cluster import discovery
from aiapi_operator.cluster.connection import APPLY, MERGE, Connection, Request
from aiapi_operator.cluster.contexts import namespace_of
from aiapi_operator.cluster.errors import NotFound
from aiapi_operator.cluster.resources import (
    AIAPIS,
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    PODS,
    Manifest,
    Resource,
)

FIELD_MANAGER = "kubectl-aiapi"
CRDS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition"
)
_PROXY_DEADLINE = 1.0
"""Seconds; less than one retry, since 503 is the answer that is asked for."""
_REVIEWS = "/apis/authorization.k8s.io/v1"


class Reader:
    """Reads objects for commands, applies an AIApi, and changes its mode."""

    def __init__(self, connection: Connection, *, namespace: str, deadline: float):
        self._connection = connection
        self.namespace = namespace
        """The namespace of the kubeconfig's context."""
        self._deadline = deadline

    @classmethod
    async def open(cls, *, kubeconfig: Path | None, context: str | None, deadline: float) -> Self:
        """Connect as kubectl does."""
        connection = await Connection.open(kubeconfig, context=context)
        namespace = namespace_of(kubeconfig, context)
        return cls(connection, namespace=namespace, deadline=deadline)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def aiapis(self, namespace: str | None) -> list[Manifest]:
        """The AIApis of one namespace, or (None) of all."""
        return await self._list(AIAPIS, namespace)

    async def aiapi(self, namespace: str, name: str) -> Manifest | None:
        """One AIApi, or None when it does not exist."""
        return await self._get(AIAPIS.path(namespace, name))

    async def events(self, namespace: str, name: str) -> list[Manifest]:
        """The recent Events of an AIApi."""
        selector = f"involvedObject.kind={AIAPIS.kind},involvedObject.name={name}"
        return await self._list(EVENTS, namespace, fieldSelector=selector)

    async def version(self) -> str:
        """The API server's version, such as v1.36.2."""
        return str((await self._send("GET", "/version"))["gitVersion"])

    async def has_resize(self) -> bool:
        """Whether pods can be resized in place."""
        return await discovery.has_resize(self._connection)

    async def has_image_volumes(self) -> bool:
        """Whether pods can mount images."""
        return await discovery.has_image_volumes(self._connection)

    async def assigns_users(self) -> bool:
        """Whether the cluster assigns users to pods."""
        return await discovery.assigns_users(self._connection)

    async def deployment(self, namespace: str, name: str) -> Manifest | None:
        """One Deployment, or None when it does not exist."""
        return await self._get(DEPLOYMENTS.path(namespace, name))

    async def crd(self) -> Manifest | None:
        """The CustomResourceDefinition of AIApis, or None when it does not exist."""
        return await self._get(f"{CRDS.collection(None)}/{AIAPIS.plural}.{AIAPIS.group}")

    async def deployments(self, selector: str) -> list[Manifest]:
        """The Deployments that match a label selector, in all namespaces."""
        return await self._list(DEPLOYMENTS, None, labelSelector=selector)

    async def pods(self, namespace: str, selector: str) -> list[Manifest]:
        """The pods of a namespace that match a label selector."""
        return await self._list(PODS, namespace, labelSelector=selector)

    async def pod_answer(self, namespace: str, pod: str, port: int, path: str) -> None:
        """Ask a pod over HTTP, through the API server. A failure has the pod's answer."""
        where = f"{PODS.path(namespace, pod)}:{port}/proxy/{path}"
        with suppress(ValueError):  # a pod that answers 200 does so in plain text
            await self._connection.send(Request("GET", where, deadline=_PROXY_DEADLINE))

    async def pod_page(self, namespace: str, pod: str, port: int, path: str) -> str:
        """A page that a pod serves in plain text, through the API server."""
        where = f"{PODS.path(namespace, pod)}:{port}/proxy/{path}"
        page: str = await self._connection.send(
            Request("GET", where, deadline=self._deadline, is_text=True)
        )
        return page

    async def leases(self, name: str) -> list[Manifest]:
        """The Leases with this name, in all namespaces."""
        return await self._list(LEASES, None, fieldSelector=f"metadata.name={name}")

    async def labelled_leases(self, selector: str) -> list[Manifest]:
        """The Leases that match a label selector, in all namespaces."""
        return await self._list(LEASES, None, labelSelector=selector)

    async def review(
        self, attributes: Mapping[str, str], *, user: str = "", groups: Sequence[str] = ()
    ) -> bool:
        """Whether a user, by default the current one, has this permission."""
        kind = "SubjectAccessReview" if user else "SelfSubjectAccessReview"
        spec: Manifest = {"resourceAttributes": dict(attributes)}
        if user:
            spec |= {"user": user, "groups": list(groups)}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        answer = await self._send("POST", f"{_REVIEWS}/{kind.lower()}s", body=body)
        return bool((answer.get("status") or {}).get("allowed"))

    async def set_mode(self, namespace: str, name: str, mode: str, *, dry_run: bool) -> Manifest:
        """Set ``spec.scaling.mode`` and return the AIApi."""
        query = {"fieldManager": FIELD_MANAGER, **({"dryRun": "All"} if dry_run else {})}
        answer: Manifest = await self._send(
            "PATCH",
            AIAPIS.path(namespace, name),
            query=query,
            body={"spec": {"scaling": {"mode": mode}}},
            content_type=MERGE,
        )
        return answer

    async def objects(self, resource: Resource, namespace: str) -> list[Manifest]:
        """All objects of a kind; none where the cluster does not have the kind."""
        try:
            return await self._list(resource, namespace)
        except NotFound:
            return []

    async def apply_aiapi(self, manifest: Manifest, *, dry_run: bool) -> Manifest:
        """Apply an AIApi and return it. Fields of other managers are never taken over."""
        metadata = manifest["metadata"]
        query = {"fieldManager": FIELD_MANAGER, **({"dryRun": "All"} if dry_run else {})}
        answer: Manifest = await self._send(
            "PATCH",
            AIAPIS.path(metadata["namespace"], metadata["name"]),
            query=query,
            body=manifest,
            content_type=APPLY,
        )
        return answer

    async def _get(self, path: str) -> Manifest | None:
        try:
            answer: Manifest = await self._send("GET", path)
        except NotFound:
            return None
        return answer

    async def _list(
        self, resource: Resource, namespace: str | None, **query: str
    ) -> list[Manifest]:
        answer = await self._send("GET", resource.collection(namespace), query=query)
        kind = {"apiVersion": resource.api_version, "kind": resource.kind}
        return [{**kind, **item} for item in answer["items"]]

    async def _send(self, method: str, path: str, **rest: Any) -> Any:
        request = Request(method, path, deadline=self._deadline, **rest)
        return await self._connection.send(request)
