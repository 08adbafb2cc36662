"""Renders the chart into deploy/operator.yaml, for installation without Helm. A test detects drift.

python deploy/render.py

deploy/crd.yaml is a copy of crds/: kustomize reads no files outside its own folder.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
CHART = HERE.parent / "charts" / "aiapi-operator"
NAMESPACE = "aiapi-system"
_HEAD = """\
# The operator without Helm: kubectl apply --server-side -k deploy
# Generated from the chart by deploy/render.py. Do not edit.
"""
_NAMESPACE = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {
        "name": NAMESPACE,
        "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
    },
}
_HELM_LABELS = ("helm.sh/chart", "app.kubernetes.io/managed-by")


def helm() -> str | None:
    """The helm program: $HELM, or helm on the PATH."""
    return os.environ.get("HELM") or shutil.which("helm")


def render(program: str) -> str:
    """The text of operator.yaml."""
    command = [program, "template", "aiapi-operator", str(CHART), "--namespace", NAMESPACE]
    done = subprocess.run(  # noqa: S603 - the helm named by the user
        [*command, "--no-hooks", "--set=crds.install=false"],
        capture_output=True,
        text=True,
        check=True,
    )
    documents = [each for each in yaml.safe_load_all(done.stdout) if each]
    return _HEAD + _dump([_NAMESPACE, *map(_without_helm, documents)])


def _without_helm(document: dict[str, Any]) -> dict[str, Any]:
    for label in _HELM_LABELS:
        document["metadata"].get("labels", {}).pop(label, None)
    return document


class _Dumper(yaml.SafeDumper):
    """Indents lists like the chart."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's signature
        super().increase_indent(flow, False)


def _dump(documents: list[dict[str, Any]]) -> str:
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=100)


def main() -> None:
    """Write the file."""
    program = helm()
    if program is None:
        sys.exit("helm is not on the PATH: set HELM to its path")
    (HERE / "operator.yaml").write_text(render(program))


if __name__ == "__main__":
    main()
