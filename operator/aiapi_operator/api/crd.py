"""Generates the CustomResourceDefinition from the models: ``python -m aiapi_operator.api.crd``.

The output is ``crds/aiapis.aiapi.dev.yaml``; a test fails when they differ.
"""

import sys
from typing import Any

import yaml

from aiapi_operator.api import aiapi
from aiapi_operator.api.schema import default_sentence, structural_schema

NAME = f"{aiapi.PLURAL}.{aiapi.GROUP}"


def crd() -> dict[str, Any]:
    """The CustomResourceDefinition as a plain object."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {
            "group": aiapi.GROUP,
            "names": {
                "kind": aiapi.KIND,
                "listKind": f"{aiapi.KIND}List",
                "plural": aiapi.PLURAL,
                "singular": aiapi.SINGULAR,
                "shortNames": [aiapi.SHORT_NAME],
                "categories": ["all"],
            },
            "scope": "Namespaced",
            "versions": [_version()],
        },
    }


def _version() -> dict[str, Any]:
    return {
        "name": aiapi.VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": _columns(),
        "subresources": {
            "status": {},
            # External scalers set the minimum; the operator decides between minimum and maximum.
            # So the two never write the same field.
            "scale": {
                "specReplicasPath": ".spec.replicas.min",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "schema": {"openAPIV3Schema": _schema()},
    }


def _schema() -> dict[str, Any]:
    """The schema of the models. A CustomResourceDefinition may not describe metadata fields."""
    schema = structural_schema(aiapi.AIApi)
    fields = schema["properties"]
    fields["metadata"] = {"type": "object"}
    for name in ("apiVersion", "kind"):
        field = fields[name]
        field["description"] = field["description"].removesuffix(default_sentence(field))
        field.pop("default")
    schema.pop("required")
    return schema


def _columns() -> list[dict[str, Any]]:
    def column(name: str, kind: str, path: str, *, wide: bool = False) -> dict[str, Any]:
        entry = {"name": name, "type": kind, "jsonPath": path}
        return {**entry, "priority": 1} if wide else entry

    return [
        column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
        column("Workers", "integer", ".status.workers"),
        column("Replicas", "integer", ".status.replicas"),
        column("p95", "string", ".status.objective.measured"),
        column("Objective", "string", ".status.objective.threshold"),
        column("Saved", "string", ".status.savings.percent"),
        column("Utilization", "string", ".status.load.utilization", wide=True),
        column("Errors", "string", ".status.load.failing", wide=True),
        column("RPS", "string", ".status.load.requestsPerSecond", wide=True),
        column("Binding", "string", ".status.decision.binding", wide=True),
        column("Mode", "string", ".spec.scaling.mode", wide=True),
        column("Phase", "string", ".status.activation.phase", wide=True),
        column("Reason", "string", ".status.decision.reason", wide=True),
        column("Shard", "integer", ".status.shard", wide=True),
        column("Age", "date", ".metadata.creationTimestamp"),
    ]


class _Dumper(yaml.SafeDumper):
    """Indents lists under their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless and flow)


def render() -> str:
    """The CustomResourceDefinition as YAML."""
    head = "# Generated from the models: python -m aiapi_operator.api.crd\n"
    return head + yaml.dump(crd(), Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)


if __name__ == "__main__":
    sys.stdout.write(render())
