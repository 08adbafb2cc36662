"""From a Deployment and what belongs to it to an AIApi and remarks. Pure."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiapi_operator.api.aiapi import API_VERSION, KIND
from aiapi_operator.api.container import APP_CONTAINER
from aiapi_operator.plugin.adopt import (
    autoscaler,
    command_line,
    container,
    labels,
    neighbours,
    pod,
    resources,
)
from aiapi_operator.plugin.adopt.autoscaler import Bounds
from aiapi_operator.plugin.adopt.choices import Choices, aiapi_name, chosen_container
from aiapi_operator.plugin.adopt.command_line import Serving
from aiapi_operator.plugin.adopt.container import AppPort
from aiapi_operator.plugin.adopt.fields import Fields
from aiapi_operator.plugin.adopt.labels import TRAFFIC_LABEL
from aiapi_operator.plugin.adopt.notebook import Notebook
from aiapi_operator.plugin.adopt.related import Belongings, title
from aiapi_operator.plugin.adopt.remarks import AdoptionError, Remark

WORKERS_MAX = 8
"""The default of ``workers.max``."""
_SERVER_METADATA = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "selfLink",
)
_TEMPLATE = "spec.template"
_ROLLOUT = (
    "the operator's rollouts never shrink the fleet: maxSurge 25%, maxUnavailable 0; set strategy"
    " where there is no room for another pod"
)
_SPEC_REASONS = {
    "spec.strategy": _ROLLOUT,
    "spec.minReadySeconds": "strategy.minReadySeconds is 2 by default",
    "spec.revisionHistoryLimit": "the operator sets 3",
    "spec.progressDeadlineSeconds": "strategy.progressDeadlineSeconds is 600 by default",
    "spec.paused": "scaling.mode Paused stops decisions, not rollouts",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """An AIApi, and what it does not carry over."""

    manifest: dict[str, Any]
    remarks: tuple[Remark, ...]
    origin: str
    pod_workers: int
    """Workers in a pod of the Deployment."""

    @property
    def name(self) -> str:
        """The name of the AIApi."""
        return str(self.manifest["metadata"]["name"])


def convert(given: Belongings, choices: Choices) -> Adoption:
    """The AIApi of a Deployment. Raises ``AdoptionError`` if the app is not known."""
    return _Conversion(given, choices).run()


class _Conversion:
    """One conversion: fields are taken from the Deployment until nothing is left."""

    def __init__(self, given: Belongings, choices: Choices) -> None:
        self._given = given
        self._choices = choices
        self._origin = f"Deployment {given.name}"
        self._notes = Notebook(self._origin)
        self._others: list[Remark] = []
        self._fields = Fields(given.deployment)
        self._name = aiapi_name(given, choices)
        self._old = ""
        self._port = AppPort()
        self._ported: list[dict[str, Any]] = []

    def run(self) -> Adoption:
        metadata = self._metadata()
        replicas = self._fields.take("spec", "replicas")
        self._fields.take("spec", "selector")
        pod_fields = self._fields.within("spec", "template", "spec")
        app, others = self._containers(pod_fields)
        serving, spec = self._app(app, pod_fields, others)
        bounds = self._bounds(1 if replicas is None else replicas)
        workers = serving.workers or 1
        spec |= {
            "workers": {"min": 1, "max": max(WORKERS_MAX, workers), **spec.pop("resources")},
            "replicas": bounds.replicas,
            "scaling": {"mode": self._choices.mode, **bounds.scaling},
            **self._cost(replicas, workers),
            "podTemplate": self._template(spec.pop("pod")),
        }
        self._leftovers()
        manifest = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}
        remarks = (*self._notes.remarks, *self._others)
        return Adoption(
            manifest=manifest, remarks=remarks, origin=self._origin, pod_workers=workers
        )  # fmt: skip

    def _metadata(self) -> dict[str, Any]:
        metadata = self._fields.within("metadata")
        found: dict[str, Any] = {"name": self._name}
        self._notes.changed("metadata.name", "its own objects need names of their own",
                            metadata.take("name"), near="metadata")  # fmt: skip
        if namespace := metadata.take("namespace"):
            found["namespace"] = namespace
        for name in ("labels", "annotations"):
            values = metadata.take(name) or {}
            kept, reasons = labels.of_object(values)
            self._notes.lost_all(f"metadata.{name}", values, reasons)
            found |= {name: kept} if kept else {}
        for name in _SERVER_METADATA:
            metadata.take(name)
        self._notes.remaining(metadata)
        return found

    def _containers(self, pod_fields: Fields) -> tuple[Fields, list[dict[str, Any]]]:
        given = pod_fields.take("containers") or []
        chosen = chosen_container(given, self._choices, self._given.name)
        path = f"{pod_fields.path}.containers[{chosen.get('name', '')}]"
        others = [each for each in given if each is not chosen]
        for each in others:
            if each["name"] == APP_CONTAINER:
                where = f"{pod_fields.path}.containers[{APP_CONTAINER}].name"
                self._notes.changed(where, "renamed: app is the name of the app's container")
        return Fields(chosen, path), others

    def _app(
        self, app: Fields, pod_fields: Fields, others: list[dict[str, Any]]
    ) -> tuple[Serving, dict[str, Any]]:
        old = self._old = app.take("name") or ""
        self._notes.changed(f"{app.path}.name", f"named {APP_CONTAINER} in an AIApi", old)
        start_limit = container.start_limit(app.rest())
        port = container.app_port(app.rest(), self._targets(), _command_text(app))
        path = f"{pod_fields.path}.containers"
        neighbours.check_ports(others, path)
        neighbours.explain_calls(others, path, port, self._notes)
        self._port = port
        self._ported = [{**app.rest(), "name": APP_CONTAINER}, *others]
        image = container.image(app)
        variables = container.variables(app, self._notes, old)
        serving = self._serving(app, variables.literals())
        options = dict(serving.variables)
        if start_limit:
            options["AIAPI_START_LIMIT"] = str(start_limit)
            reason = "AIAPI_START_LIMIT gives the app the time that its probes gave it"
            self._notes.changed(f"{app.path}.startupProbe", reason, f"{start_limit} s", near="env")
        sizes, rest = resources.convert(app, self._notes, serving.workers or 1)
        overlay = container.overlay(app, self._notes, port)
        if rest:
            overlay["resources"] = rest
        if variables.overlay:
            overlay["env"] = variables.overlay
        spec: dict[str, Any] = {"image": image, "app": serving.app}
        if runtime := _runtime(serving):
            spec["runtime"] = runtime
        if env := container.with_runtime_options(variables, options):
            spec["env"] = env
        if variables.env_from:
            spec["envFrom"] = variables.env_from
        spec["objective"] = {"latency": {"percentile": 95, "threshold": "800ms"}}
        self._notes.changed("objective", "not in the Deployment: set the latency that your users"
                            " need", near="objective")  # fmt: skip
        spec["resources"] = sizes
        spec["pod"] = self._pod(pod_fields, others, overlay, old)
        return serving, spec

    def _pod(
        self,
        pod_fields: Fields,
        others: list[dict[str, Any]],
        overlay: dict[str, Any],
        old: str,
    ) -> dict[str, Any]:
        if others:
            pod_fields.rest()["containers"] = others
        found = pod.convert(
            pod_fields, self._notes, old=old, name=self._name, labels=self._given.pod_labels
        )
        containers = found.pop("containers", [])
        if overlay:
            containers = [{"name": APP_CONTAINER, **overlay}, *containers]
        return {**found, **({"containers": containers} if containers else {})}

    def _targets(self) -> set[str]:
        """The ports of the pod to which the Services send traffic."""
        return {
            str(port.get("targetPort", port.get("port")))
            for service in self._given.services
            for port in service["spec"].get("ports") or ()
        }

    def _serving(self, app: Fields, env: Mapping[str, str]) -> Serving:
        command, args = app.take("command") or [], app.take("args") or []
        argv = shlex.split(self._choices.command) or [*command, *args]
        try:
            serving = command_line.read(argv, env, app=self._choices.app)
        except AdoptionError as error:
            field = "args" if args and not command else "command"
            raise AdoptionError(f"{app.path}.{field}: {error}") from error
        for field, words in (("command", command), ("args", args)):
            if words:
                reason = f"serves {serving.app}"
                self._notes.changed(f"{app.path}.{field}", reason, words, near="app")
        if args and not command and not self._choices.command:
            self._notes.changed(
                f"{app.path}.command",
                "not set, so the image's ENTRYPOINT ran before the arguments: name it in"
                " runtime.entrypoint if it sets up the environment",
                near="app",
            )
        for note in serving.notes:
            self._notes.changed(note.word, note.reason, near="app")
        concurrency = env.get("WEB_CONCURRENCY", "")
        if serving.workers is None and concurrency.isdecimal() and int(concurrency):
            serving = replace(serving, workers=int(concurrency))
            self._notes.changed("WEB_CONCURRENCY", "the operator sizes the workers within"
                                " spec.workers", concurrency, near="workers")  # fmt: skip
        return serving

    def _bounds(self, replicas: int) -> Bounds:
        given = self._given
        if given.scaled_object is not None or given.hpa is not None:
            reason = "the autoscaler's number: the operator chooses its own within replicas"
            self._notes.changed("spec.replicas", reason, replicas, near="replicas")
        if given.scaled_object is not None:
            return self._scaled(given.scaled_object, autoscaler.from_scaled_object)
        if given.hpa is not None:
            return self._scaled(given.hpa, autoscaler.from_hpa)
        least, most = min(2, max(1, replicas)), max(1, replicas)
        reason = f"no autoscaler: at most {most} pods, as now, and at least {least}"
        self._notes.changed("spec.replicas", reason, replicas, near="replicas")
        return Bounds(replicas={"min": least, "max": most})

    def _scaled(self, manifest: dict[str, Any], convert_spec: Any) -> Bounds:
        notes = Notebook(title(manifest), "replicas")
        bounds: Bounds = convert_spec(manifest.get("spec") or {}, notes)
        self._about(manifest, notes)
        self._others += notes.remarks
        return bounds

    def _cost(self, replicas: int | None, workers: int) -> dict[str, Any]:
        """Savings are compared with the fleet as it is, if its size is fixed."""
        if self._given.hpa or self._given.scaled_object or not replicas:
            return {}
        return {"cost": {"baseline": {"replicas": replicas, "workers": workers}}}

    def _template(self, pod_spec: dict[str, Any]) -> dict[str, Any]:
        metadata = self._fields.within("spec", "template", "metadata")
        given = metadata.take("labels") or {}
        kept, reasons = labels.of_pods(given, self._selectors())
        self._notes.lost_all(f"{_TEMPLATE}.metadata.labels", given, reasons)
        notes = metadata.take("annotations") or {}
        annotations, why = labels.of_object(notes)
        self._notes.lost_all(f"{_TEMPLATE}.metadata.annotations", notes, why)
        metadata.take("creationTimestamp")
        self._notes.remaining(metadata)
        kept[TRAFFIC_LABEL] = self._given.name
        self._notes.changed(f"{_TEMPLATE}.metadata.labels[{TRAFFIC_LABEL}]", "the common label of"
                            " both fleets while traffic moves")  # fmt: skip
        user = pod_spec["securityContext"]
        return {
            **pod.omitted(user, self._notes, f"{_TEMPLATE}.spec"),
            "metadata": {
                "labels": kept,
                **({"annotations": self._annotations(annotations)} if annotations else {}),
            },
            "spec": pod_spec,
        }

    def _annotations(self, given: dict[str, str]) -> dict[str, str]:
        """Annotations that name the app's container or its port."""
        path = f"{_TEMPLATE}.metadata.annotations"
        found = neighbours.annotations(
            given, path, old=self._old, port=self._port, notes=self._notes
        )
        if (key := "kubectl.kubernetes.io/default-container") in found:
            self._notes.changed(f"{path}[{key}]", "the app's container is named app", found[key])
            found[key] = APP_CONTAINER
        if (key := "prometheus.io/port") in found:
            reason = "the pod has the metrics of all its workers at port 9000; the app's path is at"
            self._notes.changed(f"{path}[{key}]", f"{reason} {container.HTTP_PORT}", given[key])
            found[key] = str(container.HTTP_PORT)
        return found

    def _selectors(self) -> list[tuple[str, Mapping[str, str]]]:
        given = self._given
        spec = given.deployment["spec"]
        return [
            (self._origin, (spec.get("selector") or {}).get("matchLabels") or {}),
            *((title(each), each["spec"].get("selector") or {}) for each in given.services),
            *((title(each), (each["spec"].get("selector") or {}).get("matchLabels") or {})
              for each in given.budgets),
        ]  # fmt: skip

    def _leftovers(self) -> None:
        """What nobody has taken, and the objects that are not converted."""
        for name in ("apiVersion", "kind", "status"):
            self._fields.take(name)
        self._notes.remaining(self._fields.within("spec", "template"))
        self._notes.remaining(self._fields.within("spec"), _SPEC_REASONS)
        self._notes.remaining(self._fields)
        for budget in self._given.budgets:
            self._budget(budget)
        for service in self._given.services:
            self._service(service)
        for scaler in self._given.vertical:
            self._vertical(scaler)
        for problem in self._given.unread:
            self._others.append(Remark(origin="Cluster", field="namespace", reason=problem))

    def _budget(self, budget: dict[str, Any]) -> None:
        notes = Notebook(title(budget))
        fields = Fields(budget.get("spec") or {}, "spec")
        fields.take("selector")
        notes.remaining(fields, dict.fromkeys(
            (path for path, _ in fields.left()),
            "the AIApi has a budget of its own: maxUnavailable 10%, unhealthy pods AlwaysAllow",
        ))  # fmt: skip
        self._about(budget, notes)
        self._others += notes.remarks

    def _vertical(self, scaler: dict[str, Any]) -> None:
        notes = Notebook(title(scaler))
        reason = (
            "stays with the Deployment. The operator sizes the new pods and learns what a worker"
            " uses: make no VerticalPodAutoscaler for them"
        )
        notes.lost("spec", reason, scaler.get("spec"))
        self._others += notes.remarks

    def _service(self, service: dict[str, Any]) -> None:
        """The Service stays, and with it all that it says; only its port can be in the way."""
        notes = Notebook(title(service))
        notes.lost(
            "spec",
            f"stays as it is. The AIApi gets a Service {self._name} of its own, on port 80; the"
            " page Adopt a Deployment shows how to move the traffic behind this one",
        )
        for port in service["spec"].get("ports") or ():
            neighbours.explain_target(port, self._port, self._ported, notes)
        self._others += notes.remarks

    def _about(self, manifest: dict[str, Any], notes: Notebook) -> None:
        """Everything besides the spec of an object that is replaced."""
        fields = Fields(manifest)
        for name in ("apiVersion", "kind", "metadata", "spec", "status"):
            fields.take(name)
        notes.remaining(fields)
        for name in ("labels", "annotations"):
            for key, value in (manifest["metadata"].get(name) or {}).items():
                if key not in labels.SERVER_ANNOTATIONS:
                    reason = f"belongs to the {manifest['kind']}, which the AIApi replaces"
                    notes.lost(f"metadata.{name}[{key}]", reason, value)


def _command_text(app: Fields) -> str:
    return " ".join([*(app.rest().get("command") or ()), *(app.rest().get("args") or ())])


def _runtime(serving: Serving) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if serving.python:
        found["python"] = serving.python
    if serving.entrypoint:
        found["entrypoint"] = list(serving.entrypoint)
    return found
