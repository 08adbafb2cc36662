"""Tests that the docs list everything users can see in the code, and nothing else.

Covered: conditions with their reasons, Events, decision reasons and bindings, Prometheus metrics,
command-line options and settings.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from docs_support.conditions import Condition, conditions

from aiapi_operator.__main__ import main as operator_command
from aiapi_operator.activator.metrics import ActivatorMetrics
from aiapi_operator.activator.metrics import Now as ActivatorNow
from aiapi_operator.activator.settings import Settings as ActivatorSettings
from aiapi_operator.api import AIApiSpec
from aiapi_operator.api.container import PodDefault
from aiapi_operator.cli import main as aiapi_command
from aiapi_operator.manifests.runtime import Delivery
from aiapi_operator.metrics.operator_metrics import OperatorMetrics
from aiapi_operator.process.settings import Settings as OperatorSettings
from aiapi_operator.simulate.command import simulate as simulate_command
from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.decision import Binding, Verdict
from aiapi_operator.sizing.diagnoses import DIAGNOSES
from aiapi_operator.sizing.inputs import Fleet, ObjectiveKind
from aiapi_operator.sizing.spec import sizing_spec
from aiapi_operator.sizing.state import State
from aiapi_runtime.runtime.cli import main as serve_command
from aiapi_runtime.telemetry.prometheus import ExtraMetrics, families
from aiapi_runtime.telemetry.start_times import StartTimes
from aiapi_service.auth.admin.main import main as admin_command
from aiapi_service.gateway.settings import RUNTIME_VARIABLES, known_variables

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
OPERATOR = ROOT / "operator" / "aiapi_operator"
CODE = re.compile(r"`([^`]+)`")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
SETTING = re.compile(r"\bAIAPI_[A-Z_]*[A-Z]\b")
HEALTHY = {"Ready", "Accepted", "Reconciled"}
"""Conditions that are True when all is well."""


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """The text below a heading, up to the next heading of the same or a higher level."""
    level = heading.split(maxsplit=1)[0]
    after = text.partition(f"{heading}\n")[2]
    return re.split(rf"^#{{1,{len(level)}}} ", after, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> Iterator[list[str]]:
    """Cells of the table rows, without headers."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


# Conditions, Events and decisions


def autoscaler_kinds() -> set[str]:
    """Kinds in the list of resources that the operator checks for other autoscalers."""
    tree = ast.parse((OPERATOR / "cluster" / "autoscalers.py").read_text())
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) == 4)
    kinds = {call.args[3].value for call in calls if isinstance(call.args[3], ast.Constant)}
    assert kinds, "no autoscaler kinds found"
    return kinds


@cache
def conditions_in_code() -> set[Condition]:
    return conditions([OPERATOR / "sizing", OPERATOR / "engine"], autoscaler_kinds())


def test_conditions_and_reasons_are_documented() -> None:
    text = section(page("troubleshooting.md"), "## Conditions")
    documented = {
        Condition(name, cells[0], CODE.findall(cells[1])[0])
        for name in re.findall(r"^### (\w+)$", text, re.MULTILINE)
        for cells in rows(section(text, f"### {name}"))
        if cells[0] != "status"
    }
    assert documented == conditions_in_code()


def test_every_diagnosis_is_found_in_the_code() -> None:
    """The conditions of a decision, and those that reading the source finds, are the same types."""
    nothing = Fleet(replicas=2, pods=())
    decision = decide(sizing_spec(AIApiSpec()), nothing, State(), 0.0)
    reported = {(each.type, each.reason) for each in decision.conditions}
    assert len(reported) == len(DIAGNOSES)
    assert reported <= {(each.type, each.reason) for each in conditions_in_code()}


def refusals() -> set[str]:
    """Reasons why an app cannot be served in its image."""
    sources = (path.read_text() for path in (ROOT / "service" / "aiapi_runtime").rglob("*.py"))
    return {reason for text in sources for reason in re.findall(r'Refusal\(\s*"(\w+)"', text)}


def test_refusals_are_documented() -> None:
    table = section(page("own-image.md"), "## When it cannot be")
    documented = {CODE.findall(row[0])[0] for row in rows(table) if row[0] != "reason"}
    assert documented == refusals()
    assert len(documented) == 8


def test_events_are_documented() -> None:
    found = conditions_in_code()
    changes = {Verdict.SCALED_UP, Verdict.SCALED_DOWN, Verdict.REBALANCED}
    events = {("Normal", verdict.value) for verdict in changes} | {("Normal", "Ready")}
    for each in found:
        if each.type in HEALTHY and each.status == "False":
            events.add(("Warning", each.reason))
        elif each.type not in HEALTHY and each.status == "True":
            events.add(("Warning", each.type))
    text = section(page("troubleshooting.md"), "## Events")
    documented = {(row[0], reason) for row in rows(text) for reason in CODE.findall(row[1])}
    assert documented == events


@pytest.mark.parametrize(("header", "values"), [("decision", Verdict), ("binding", Binding)])
def test_decisions_are_documented(header: str, values: type[Verdict] | type[Binding]) -> None:
    text = section(page("troubleshooting.md"), "## Decisions").partition(f"| {header} |")[2]
    table = text.partition("\n\n")[0]
    assert {CODE.findall(row[0])[0] for row in rows(table)} == {each.value for each in values}


KUBERNETES = {
    *("CreateContainerConfigError", "ErrImagePull", "ImagePullBackOff", "KubernetesEmulator"),
    *("ResourceQuota", "RuntimeDefault", "SubjectAccessReview"),
    "RateLimit",  # a response header
    "PeerAuthentication",  # Istio
    *("ExcludedResourceWarning", "SkipDryRunOnMissingResource"),  # Argo CD
}
"""Names in the docs that other systems define."""


def test_all_pages_name_conditions_and_reasons_that_exist() -> None:
    ours = {
        "AIApi",
        *(verdict.value for verdict in Verdict),
        *(each.value for each in (*Binding, *ObjectiveKind, *Delivery, *PodDefault)),
    }
    for each in conditions_in_code():
        ours |= {each.type, each.reason}
    ours |= refusals()
    alerts = (ROOT / "charts" / "aiapi-operator" / "files" / "rules.yaml").read_text()
    ours |= set(re.findall(r"alert: (\w+)", alerts))
    sandbox = "".join(path.read_text() for path in (ROOT / "sandbox").rglob("*.py"))
    for path in (*DOCS.rglob("*.md"), *ROOT.glob("*.md")):
        if path.name == "CHANGELOG.md":
            continue  # It names what no longer exists, too.
        named = set(re.findall(r"`((?:[A-Z]+[a-z]+){2,})`", path.read_text())) - KUBERNETES
        assert {name for name in named - ours if f'"{name}"' not in sandbox} == set(), path.name


# Metrics


def operator_metrics() -> set[str]:
    return types(OperatorMetrics().text())


def activator_metrics() -> set[str]:
    metrics, now = (
        ActivatorMetrics(),
        ActivatorNow(key=("n", "a"), held=0, in_flight=0, connections=0),
    )
    metrics.gauges_from(lambda: [now])
    return types(metrics.text())


def types(text: bytes) -> set[str]:
    lines = text.decode().splitlines()
    names = (line.split()[2] for line in lines if line.startswith("# TYPE"))
    return {name for name in names if name.startswith("aiapi_")}


def own_metrics() -> set[str]:
    return operator_metrics() | activator_metrics()


def pod_metrics() -> set[str]:
    snapshot = SimpleNamespace(
        total=[0.0] * 10_000,
        workers=SimpleNamespace(ready=1),
        threads={},
        starts=StartTimes(),
        waits_known=True,
        rss_bytes=0,
        accept_depth=0,
        accept_limit=0,
        ready=True,
    )
    found = families(snapshot, [], ExtraMetrics())  # type: ignore[arg-type]
    return {each.name + ("_total" if each.kind == "counter" else "") for each in found}


def app_metrics() -> set[str]:
    """Metrics that the service defines with aiapi_runtime.telemetry.metrics."""
    found = set()
    for path in (ROOT / "service" / "aiapi_service").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("counter", "gauge", "histogram")
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                suffix = "_total" if node.func.attr == "counter" else ""
                found.add(f"{node.args[0].value}{suffix}")
    assert found, "no metrics of the service found"
    return found


def test_metrics_are_documented() -> None:
    tables = rows(page("metrics.md") + page("gateway.md"))
    cells = (cell for row in tables for cell in CODE.findall(row[0]))
    documented = {cell for cell in cells if cell.startswith("aiapi_")}
    assert documented == own_metrics() | pod_metrics() | app_metrics()


def test_all_pages_name_metrics_that_exist() -> None:
    known = own_metrics() | pod_metrics() | app_metrics()
    packages = {"aiapi_operator", "aiapi_runtime", "aiapi_service", "aiapi_sandbox", "aiapi_demo"}
    for path in (*DOCS.rglob("*.md"), *ROOT.glob("*.md")):
        if path.name == "CHANGELOG.md":
            continue
        named = set(re.findall(r"(?<![.\w])aiapi_[a-z_]+[a-z]\b(?!/)", path.read_text()))
        series = {re.sub(r"_(bucket|count|sum)$", "", name) for name in named - packages}
        assert {name for name in series if name not in known} == set(), path.name


# Command-line options


PAGES = {
    "aiapi": "kubectl-plugin.md",
    "aiapi demo": "demo.md",
    "aiapi sandbox up": "sandbox.md",
    "aiapi sandbox down": "sandbox.md",
    "simulate": "simulator.md",
    "aiapi-admin": "authentication.md",
    "aiapi-operator": "install.md",
    "aiapi-serve": "runtime.md",
}
"""Page that documents a command, by the command or the program."""
OTHER_PROGRAMS = {
    *("--create-namespace", "--namespace", "--reset-then-reuse-values", "--take-ownership"),  # helm
    *("--force-conflicts", "--reuse-values", "--set", "--version", "--wait", "--timeout"),
    *("--server-side", "--watch", "--for", "--from-file"),  # kubectl
    *("--no-deps", "--only", "--write"),  # pip, benchmarks
    *("--data-urlencode", "--manifest-url"),  # curl, krew
}


def options(command: click.Command, path: str) -> Iterator[tuple[str, click.Option]]:
    """All options of a command and its sub-commands, with the command that has them."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from options(inner, f"{path} {name}")
    for option in command.params:
        if isinstance(option, click.Option) and "--version" not in option.opts:
            yield path, option


def all_options() -> list[tuple[str, click.Option]]:
    return [
        *options(aiapi_command, "aiapi"),
        *options(simulate_command, "simulate"),
        *options(operator_command, "aiapi-operator"),
        *options(serve_command, "aiapi-serve"),
        *options(admin_command, "aiapi-admin"),
    ]


def test_options_are_documented() -> None:
    missing = []
    for command, option in all_options():
        where = PAGES.get(command) or PAGES[command.split()[0]]
        documented = {*OPTION.findall(page(where)), *CODE.findall(page(where))}
        names = [*option.opts, *option.secondary_opts]
        if not any(name in documented or f"`{name} " in page(where) for name in names):
            missing.append(f"{command} {names[-1]} in {where}")
    assert missing == []


@pytest.mark.parametrize("name", sorted({*PAGES.values(), "console.md", "gateway.md"}))
def test_documented_options_exist(name: str) -> None:
    known = set(chain(*([*each.opts, *each.secondary_opts] for _, each in all_options())))
    assert set(OPTION.findall(page(name))) <= known | OTHER_PROGRAMS


# Settings

INTERNAL = {"AIAPI_LOCAL_KEY", "AIAPI_LOCAL_KEY_FILE", "AIAPI_LOCAL_URL"}
"""Settings that the service passes to its own workers."""


def operator_settings() -> set[str]:
    activator = {f"AIAPI_ACTIVATOR_{name.upper()}" for name in ActivatorSettings.model_fields}
    return activator | {
        f"AIAPI_OPERATOR_{name.upper()}"
        for name in OperatorSettings.model_fields
        if name not in ("pod_name", "pod_namespace")  # set from POD_NAME and POD_NAMESPACE
    }


def serve_settings() -> set[str]:
    """Variables of aiapi-serve. docs/runtime.md documents them by their flags."""
    return {str(option.envvar) for _, option in options(serve_command, "") if option.envvar}


def documented_settings() -> set[str]:
    files = (*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("charts/*/README.md"))
    return set(chain(*(SETTING.findall(path.read_text()) for path in files)))


def test_settings_are_documented() -> None:
    documented = documented_settings()
    assert operator_settings() - documented == set()
    assert set(known_variables()) - documented - serve_settings() - INTERNAL == set()


def test_documented_settings_exist() -> None:
    known = operator_settings() | serve_settings() | set(known_variables()) | RUNTIME_VARIABLES
    known |= {f"AIAPI_ACTIVATOR_{name.upper()}" for name in ActivatorSettings.model_fields}
    known |= {"AIAPI_APP", "AIAPI_OPERATOR_POD_NAME", "AIAPI_OPERATOR_POD_NAMESPACE"}
    assert documented_settings() - known == set()
