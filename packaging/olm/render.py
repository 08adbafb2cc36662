"""Renders the OLM bundle from the chart, the CRD and the examples. A test detects drift.

python packaging/olm/render.py

The bundle installs what deploy/ installs, in the form that the Operator Lifecycle Manager (OLM,
part of OpenShift) reads. OLM creates the ServiceAccount, its roles and bindings and the roles for
users itself; the operator creates its Lease. The NetworkPolicy is left out: older versions of
OLM refuse a bundle with one.
"""

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
BUNDLE = Path(__file__).parent
NAME = "aiapi-operator"
PACKAGE_LABELS = {
    "operators.operatorframework.io.bundle.mediatype.v1": "registry+v1",
    "operators.operatorframework.io.bundle.manifests.v1": "manifests/",
    "operators.operatorframework.io.bundle.metadata.v1": "metadata/",
    "operators.operatorframework.io.bundle.package.v1": NAME,
    "operators.operatorframework.io.bundle.channels.v1": "candidate",
    "operators.operatorframework.io.bundle.channel.default.v1": "candidate",
}
"""`candidate`, as long as the API is an alpha version."""
_HEAD = "# Generated from the chart by packaging/olm/render.py. Do not edit.\n"
_KEPT_KINDS = ("PodDisruptionBudget", "PriorityClass")

Object = dict[str, Any]


def files() -> dict[str, str]:
    """All files of the bundle, by their path in it."""
    objects = _documents("deploy/operator.yaml")
    kept = {
        f"manifests/{_file_name(each)}.yaml": _yaml(_without_namespace(each))
        for each in objects
        if each["kind"] in _KEPT_KINDS
    }
    return {
        f"manifests/{NAME}.clusterserviceversion.yaml": _yaml(service_version(objects)),
        "manifests/aiapis.aiapi.dev.crd.yaml": (ROOT / "crds/aiapis.aiapi.dev.yaml").read_text(),
        "metadata/annotations.yaml": _yaml({"annotations": PACKAGE_LABELS}),
        "bundle.Dockerfile": _dockerfile(),
        **kept,
    }


def service_version(objects: list[Object]) -> Object:
    """The ClusterServiceVersion, which describes the operator and how to install it."""
    chart = _chart()
    return {
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "ClusterServiceVersion",
        "metadata": {
            "name": f"{NAME}.v{chart['version']}",
            "namespace": "placeholder",
            "annotations": _annotations(chart, objects),
        },
        "spec": _about(chart) | _installation(objects),
    }


def _annotations(chart: Object, objects: list[Object]) -> dict[str, str]:
    return {
        "alm-examples": json.dumps(_examples(), indent=2),
        "capabilities": chart["annotations"]["artifacthub.io/operatorCapabilities"],
        "categories": "AI/Machine Learning, Application Runtime",
        "containerImage": _container(objects)["image"],
        "description": chart["description"],
        "repository": chart["home"],
        "support": chart["maintainers"][0]["name"],
    }


def _about(chart: Object) -> Object:
    (crd,) = yaml.safe_load(chart["annotations"]["artifacthub.io/crds"])
    return {
        "displayName": "AIApi Operator",
        "description": (BUNDLE / "description.md").read_text(),
        "version": chart["version"],
        "maturity": "alpha",
        "minKubeVersion": chart["kubeVersion"].removeprefix(">=").removesuffix("-0"),
        "keywords": chart["keywords"],
        "provider": {"name": chart["maintainers"][0]["name"], "url": chart["home"]},
        "links": yaml.safe_load(chart["annotations"]["artifacthub.io/links"]),
        "relatedImages": _related_images(chart),
        "customresourcedefinitions": {"owned": [crd]},
    }


def _installation(objects: list[Object]) -> Object:
    """The operator watches all namespaces; OLM grants its roles there."""
    modes = ("OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces")
    return {
        "installModes": [{"type": each, "supported": each == "AllNamespaces"} for each in modes],
        "install": {
            "strategy": "deployment",
            "spec": {
                "clusterPermissions": _permissions(objects, "ClusterRoleBinding"),
                "permissions": _permissions(objects, "RoleBinding"),
                "deployments": [
                    {
                        "name": deployment["metadata"]["name"],
                        "label": deployment["metadata"]["labels"],
                        "spec": deployment["spec"],
                    }
                    for deployment in _of_kind(objects, "Deployment")
                ],
            },
        },
    }


def _permissions(objects: list[Object], kind: str) -> list[Object]:
    """The rules of each account with a binding of this kind."""
    found = []
    for binding in _of_kind(objects, kind):
        bound, (account,) = binding["roleRef"], binding["subjects"]
        roles = {each["metadata"]["name"]: each for each in _of_kind(objects, bound["kind"])}
        rules = roles[bound["name"]]["rules"]
        found.append({"serviceAccountName": account["name"], "rules": rules})
    return found


def _file_name(document: Object) -> str:
    kind = document["kind"]
    name = document["metadata"]["name"] if kind == "PodDisruptionBudget" else NAME
    return f"{name}.{kind.lower()}"


def _examples() -> list[Object]:
    return [*_documents("examples/assistant.yaml"), *_documents("examples/office-hours.yaml")]


def _chart() -> Object:
    (chart,) = _documents("charts/aiapi-operator/Chart.yaml")
    return dict(chart)


def _related_images(chart: Object) -> list[Object]:
    """The images to mirror for clusters without access to the registry."""
    images = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])
    return [{"name": each["name"], "image": each["image"]} for each in images]


def _documents(path: str) -> list[Object]:
    return list(yaml.safe_load_all((ROOT / path).read_text()))


def _of_kind(objects: list[Object], kind: str) -> list[Object]:
    return [each for each in objects if each["kind"] == kind]


def _container(objects: list[Object]) -> Object:
    """The operator's container; the activators have the same image."""
    deployments = {each["metadata"]["name"]: each for each in _of_kind(objects, "Deployment")}
    (container,) = deployments[NAME]["spec"]["template"]["spec"]["containers"]
    return dict(container)


def _without_namespace(document: Object) -> Object:
    """OLM installs into the namespace that the user chooses."""
    metadata = {key: value for key, value in document["metadata"].items() if key != "namespace"}
    return {**document, "metadata": metadata}


def _dockerfile() -> str:
    labels = " \\\n      ".join(f"{name}={value}" for name, value in PACKAGE_LABELS.items())
    copies = "COPY manifests /manifests/\nCOPY metadata /metadata/\n"
    return f"{_HEAD}FROM scratch\nLABEL {labels}\n{copies}"


class _Dumper(yaml.SafeDumper):
    """Indents lists under their key, writes text of several lines as a block, and no aliases."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's signature
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _yaml(document: Object) -> str:
    return _HEAD + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=100)


def main() -> None:
    """Write the files."""
    for path, text in files().items():
        (BUNDLE / path).parent.mkdir(exist_ok=True)
        (BUNDLE / path).write_text(text)


if __name__ == "__main__":
    main()
