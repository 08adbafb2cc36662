"""Why the operator's pods are not ready: their own answer, or the state of their container."""

from aiapi_operator.cluster.errors import ClusterError, Unavailable
from aiapi_operator.cluster.reader import Reader
from aiapi_operator.cluster.resources import Manifest


async def why_not_ready(reader: Reader, namespace: str, selector: str) -> str:
    """The reason of the first pod that gives one; empty if none does."""
    try:
        pods = await reader.pods(namespace, selector)
    except ClusterError:
        return ""
    for pod in pods:
        if why := _container_state(pod) or await _answer(reader, pod):
            return f"{pod['metadata']['name']}: {why}"
    return ""


def _container_state(pod: Manifest) -> str:
    """Why a container does not run, with the last line of its log."""
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        waiting = (status.get("state") or {}).get("waiting")
        if waiting is None:
            continue
        ended = (status.get("lastState") or {}).get("terminated") or {}
        lines = (ended.get("message") or waiting.get("message") or "").strip().splitlines()
        return ": ".join(filter(None, (waiting.get("reason"), *lines[-1:])))
    return ""


async def _answer(reader: Reader, pod: Manifest) -> str:
    """The answer of /readyz, through the API server."""
    where = pod["metadata"]
    try:
        await reader.pod_answer(where["namespace"], where["name"], port(pod), "readyz")
    except Unavailable as error:
        return error.message
    except ClusterError:
        return ""
    return ""


def port(pod: Manifest) -> int:
    """The port that answers /readyz and /metrics."""
    ports = (pod["spec"]["containers"][0].get("ports")) or ()
    return next((int(p["containerPort"]) for p in ports if p.get("name") == "http"), 8080)
