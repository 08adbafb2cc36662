"""The contexts of a kubeconfig, and the current namespace."""

import os
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio.config import ConfigException, list_kube_config_contexts

UNREADABLE = (yaml.YAMLError, TypeError, AttributeError, ValueError)
"""The client's exceptions for a file that is not YAML or not a kubeconfig."""
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def namespace_of(kubeconfig: Path | None, context: str | None) -> str:
    """The context's namespace, the pod's own inside a cluster, or ``default``."""
    is_given = kubeconfig is not None or context is not None or "KUBECONFIG" in os.environ
    if not is_given and _POD_NAMESPACE.is_file():
        return _POD_NAMESPACE.read_text(encoding="utf-8").strip() or "default"
    return str((_context(kubeconfig, context).get("context") or {}).get("namespace") or "default")


def names(kubeconfig: Path | None) -> list[str]:
    """The names of the contexts; empty when the kubeconfig cannot be read."""
    return [str(each["name"]) for each in _read(kubeconfig)[0]]


def _context(kubeconfig: Path | None, context: str | None) -> dict[str, Any]:
    contexts, active = _read(kubeconfig)
    if context is None:
        return active
    return next((each for each in contexts if each["name"] == context), {})


def _read(kubeconfig: Path | None) -> tuple[list[Any], dict[str, Any]]:
    path = os.environ.get("KUBECONFIG") if kubeconfig is None else str(kubeconfig)
    try:
        contexts, active = list_kube_config_contexts(config_file=path)  # type: ignore[no-untyped-call] # the client's gap
    except (ConfigException, OSError, *UNREADABLE):
        return [], {}
    return contexts, active
