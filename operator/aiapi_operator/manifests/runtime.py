"""Injects the runtime, so that an image needs nothing but Python and the app.

The files of the runtime image come into the pod at ``/aiapi``: by an image volume, or by an init
container that copies them into an emptyDir. The app container then starts the image's own
interpreter with the launcher among them. The volume is the whole image, with the runtime in its
folder ``aiapi``: containerd before 2.2 ignores the subPath of an image volume.

A Deployment keeps the runtime that it has. Otherwise a new version of the operator, or an upgrade
of the cluster to one with image volumes, would roll all pods of all AIApis. An annotation records
the runtime, and the hash of the pod template without it: the runtime changes with the template.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.api.runtime import DEFAULT_PYTHON, RuntimeSource

ANNOTATION = "aiapi.dev/runtime"
"""Annotation of the Deployment with the runtime of its template."""
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
"""Annotation of the template that ``kubectl rollout restart`` sets."""

NAME = "aiapi-runtime"
"""Name of the volume and of the init container."""
FOLDER = "/aiapi"
"""Where the volume is mounted in the app container."""
LAUNCHER = f"{FOLDER}/aiapi/launch.py"
_IN_IMAGE = "/aiapi"
_COPY_TO = "/runtime"
_SIZE_LIMIT = "512Mi"
"""Several times the size of the runtime, to bound what a wrong image can copy."""

Json = dict[str, Any]


class Delivery(StrEnum):
    """How the runtime gets into a pod."""

    IMAGE_VOLUME = "ImageVolume"
    INIT_CONTAINER = "InitContainer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The runtime to inject."""

    image: str
    pull_policy: str
    delivery: Delivery


def is_injected(aiapi: AIApi, default_image: str) -> bool:
    """Whether the pods of this AIApi get an injected runtime.

    Without an app, the image must contain one as well as the runtime: the launcher has no default.
    """
    spec = aiapi.spec
    if spec.runtime.source is not RuntimeSource.AUTO:
        return spec.runtime.source is RuntimeSource.INJECTED
    return not is_own_image(aiapi, default_image) and spec.app is not None


def is_own_image(aiapi: AIApi, default_image: str) -> bool:
    """Whether the image is the project's own."""
    image = aiapi.spec.image
    return image is None or repository(image) == repository(default_image)


def repository(image: str) -> str:
    """The image without its tag and digest."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def inject(pod: Json, aiapi: AIApi, runtime: Runtime) -> Json:
    """The PodSpec with the runtime in its first container, which is the app."""
    app, *others = pod["containers"]
    added: Json = {}
    if runtime.delivery is Delivery.INIT_CONTAINER:
        added["initContainers"] = [_init_container(runtime)]
    return {
        **pod,
        **added,
        "containers": [_with_launcher(app, aiapi), *others],
        "volumes": [*pod["volumes"], _volume(runtime)],
    }


def _with_launcher(app: Json, aiapi: AIApi) -> Json:
    wanted = aiapi.spec.runtime
    mount: Json = {"name": NAME, "mountPath": FOLDER, "readOnly": True}
    python = [{"name": "AIAPI_PYTHON", "value": wanted.python}] if wanted.python else []
    return {
        **app,
        "command": [*wanted.entrypoint, wanted.python or DEFAULT_PYTHON, LAUNCHER],
        "env": [*python, *app["env"]],
        "volumeMounts": [*app["volumeMounts"], mount],
    }


def _volume(runtime: Runtime) -> Json:
    if runtime.delivery is Delivery.INIT_CONTAINER:
        return {"name": NAME, "emptyDir": {"sizeLimit": _SIZE_LIMIT}}
    source = {"reference": runtime.image, "pullPolicy": runtime.pull_policy}
    return {"name": NAME, "image": source}


def _init_container(runtime: Runtime) -> Json:
    return {
        "name": NAME,
        "image": runtime.image,
        "imagePullPolicy": runtime.pull_policy,
        "command": ["cp", "-R", _IN_IMAGE, _COPY_TO],
        # Requests far below those of a worker do not add to the pod's: the larger ones count.
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"cpu": "1", "memory": "128Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": NAME, "mountPath": _COPY_TO}],
    }


def chosen(
    wanted: Runtime, basis: str, deployment: Mapping[str, Any] | None, *, keep_delivery: bool
) -> Runtime:
    """The Deployment's runtime while pods with this template serve, else the wanted one.

    ``keep_delivery`` is False where a user chose the delivery: the choice applies at once.
    """
    if deployment is None or not (deployment.get("status") or {}).get("readyReplicas"):
        return wanted
    kept = _recorded(deployment)
    if kept is None or kept[1] != basis:
        return wanted
    return kept[0] if keep_delivery or kept[0].delivery is wanted.delivery else wanted


def template_hash(template: Mapping[str, Any], deployment: Mapping[str, Any] | None) -> str:
    """A hash of the template, which changes with each restart that a user requests, too."""
    present = ((deployment or {}).get("spec") or {}).get("template") or {}
    annotations = (present.get("metadata") or {}).get("annotations") or {}
    text = json.dumps([template, annotations.get(RESTARTED_AT)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def record(runtime: Runtime, basis: str) -> str:
    """The text of the annotation."""
    return json.dumps(
        {
            "image": runtime.image,
            "pullPolicy": runtime.pull_policy,
            "delivery": runtime.delivery.value,
            "template": basis,
        }
    )


def _recorded(deployment: Mapping[str, Any]) -> tuple[Runtime, str] | None:
    """The runtime and the hash in the annotation; None where a user removed or changed it."""
    annotations = deployment["metadata"].get("annotations") or {}
    try:
        found = json.loads(annotations[ANNOTATION])
        runtime = Runtime(
            image=str(found["image"]),
            pull_policy=str(found["pullPolicy"]),
            delivery=Delivery(found["delivery"]),
        )
        return (runtime, str(found["template"])) if runtime.image else None
    except (KeyError, TypeError, ValueError):
        return None
