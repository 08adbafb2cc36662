"""Runs the real helm, and imports scripts outside the packages."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "aiapi-operator"


def helm() -> str:
    """The helm program. Skips the test if there is none."""
    found = os.environ.get("HELM") or shutil.which("helm")
    if not found:
        pytest.skip("helm is neither in HELM nor on the PATH")
    return found


def run(*args: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
    where = ["--kubeconfig", str(kubeconfig)] if kubeconfig else []
    command = [helm(), *args, *where]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def rendered(
    values: dict[str, Any] | None = None, *args: str, name: str = "aiapi"
) -> list[dict[str, Any]]:
    """Objects that the chart renders with these values."""
    command = [helm(), "template", name, str(CHART), "--namespace", "ops", *args, "--values", "-"]
    done = subprocess.run(
        command, input=yaml.safe_dump(values or {}), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def refusal(values: dict[str, Any]) -> str:
    """The error message of Helm for invalid values."""
    command = [helm(), "template", "aiapi", str(CHART), "--values", "-"]
    done = subprocess.run(
        command, input=yaml.safe_dump(values), capture_output=True, text=True, check=False
    )
    assert done.returncode != 0, f"accepted: {values}"
    return done.stderr


def of_kind(documents: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in documents if each["kind"] == kind]


def without_activators(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The objects that are not those of the activators."""
    return [each for each in documents if not _is_activators(each)]


def of_activators(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The objects of the activators, and the hook that wakes AIApis."""
    return [each for each in documents if _is_activators(each)]


def _is_activators(document: dict[str, Any]) -> bool:
    labels = document["metadata"].get("labels") or {}
    return str(labels.get("app.kubernetes.io/component")).startswith("activator")


def only(documents: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = of_kind(documents, kind)
    return found


def script(path: str) -> ModuleType:
    """Imports a script of the repository as a module."""
    where = ROOT / path
    if (name := f"script_{path.removesuffix('.py').replace('/', '_')}") in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, where)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
