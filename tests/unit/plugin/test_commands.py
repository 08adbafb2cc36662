"""The commands without a cluster: help, errors, exit codes, manifests from a file, completion."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from aiapi_operator.cli import COMMANDS, complete_for_kubectl, main
from aiapi_operator.cluster import errors
from aiapi_operator.plugin.completion import NO_FILES, kubectl_candidates
from aiapi_operator.plugin.errors import (
    FORBIDDEN,
    NOT_FOUND,
    UNREACHABLE,
    aiapi_not_found,
    cluster_error,
)
from aiapi_operator.simulate import command as traced

Run = Callable[..., Result]
ROOT = Path(__file__).parents[3]
UNREACHABLE_CLUSTER = """
apiVersion: v1
kind: Config
current-context: far
clusters: [{name: far, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: me, user: {token: x}}]
contexts: [{name: far, context: {cluster: far, user: me, namespace: shop}}]
"""


@pytest.fixture
def far(tmp_path: Path) -> str:
    path = tmp_path / "config"
    path.write_text(UNREACHABLE_CLUSTER)
    return str(path)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(run: Run, name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_without_a_kubeconfig_the_error_says_what_to_do(run: Run, tmp_path: Path) -> None:
    result = run("top", "--kubeconfig", str(tmp_path / "none"))
    assert result.exit_code == UNREACHABLE
    assert "Set --kubeconfig or KUBECONFIG" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("text", [": : {", "", "- a list", "text", "clusters: 3\ncontexts: 4"])
@pytest.mark.parametrize("words", [("top", "--once"), ("doctor",)])
def test_an_invalid_kubeconfig_is_named(
    run: Run, tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    result = run(*words, "--kubeconfig", str(path))
    assert result.exit_code == UNREACHABLE
    assert f"{path} is not a valid kubeconfig. Set --kubeconfig" in result.output
    assert "Traceback" not in result.output


def test_a_missing_context_lists_the_available_ones(run: Run, far: str) -> None:
    result = run("top", "--kubeconfig", far, "--context", "near")
    assert result.exit_code == UNREACHABLE
    assert "Available contexts: far." in result.output


@pytest.mark.parametrize(
    "words", [("top",), ("explain", "a"), ("doctor",), ("pause", "a"), ("manifest", "a")]
)
def test_an_unreachable_api_is_reported_within_seconds(
    run: Run, far: str, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiapi_operator.plugin.cluster_access.REQUEST_TIMEOUT", 0.3)
    result = run(*words, "--kubeconfig", far)
    assert result.exit_code == UNREACHABLE, result.output
    assert "Check that the cluster is up" in result.output
    assert "Traceback" not in result.output


def test_kubeconfig_from_the_environment(
    run: Run, far: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiapi_operator.plugin.cluster_access.REQUEST_TIMEOUT", 0.3)
    result = run("top", env={"KUBECONFIG": far})
    assert result.exit_code == UNREACHABLE
    assert "did not answer" in result.output


def test_errors_of_the_api_server_have_a_message_and_an_exit_code() -> None:
    assert cluster_error(errors.Forbidden("may not list")).exit_code == FORBIDDEN
    assert "the CustomResourceDefinition" in cluster_error(errors.NotFound("no")).message
    assert cluster_error(errors.NotFound("no")).exit_code == NOT_FOUND
    assert cluster_error(errors.Invalid("bad")).exit_code == 1


def test_a_missing_name_suggests_similar_ones() -> None:
    known = [("shop", "assistant"), ("search", "ranker"), ("shop", "embedder")]
    assert "Did you mean assistant?" in aiapi_not_found("asistant", "shop", known).message
    assert "Use -n search" in aiapi_not_found("ranker", "shop", known).message
    assert "It has: assistant, embedder" in aiapi_not_found("zzz", "shop", known).message
    assert aiapi_not_found("zzz", "shop", []).exit_code == NOT_FOUND


def test_manifests_from_a_file_need_no_cluster(run: Run) -> None:
    example = str(ROOT / "examples" / "assistant.yaml")
    result = run("manifest", "-f", example, "-n", "shop")
    assert result.exit_code == 0, result.output
    children = list(yaml.safe_load_all(result.output))
    assert [child["kind"] for child in children] == [
        "ServiceAccount",
        "Service",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Deployment",
    ]
    assert {child["metadata"]["namespace"] for child in children} == {"shop"}
    assert not any("ownerReferences" in child["metadata"] for child in children)
    assert "&id" not in result.output
    listed = json.loads(run("manifest", "-f", example, "-o", "json").output)
    assert len(listed["items"]) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: ConfigMap", "contains no AIApi"),
        ("kind: AIApi\nmetadata: {name: a}\nspec: {replicas: {min: 5, max: 2}}", "replicas"),
        ("kind: AIApi\nmetadata: {name: a}\nspec: {sparkle: true}", "spec.sparkle"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_an_invalid_file_is_reported_with_its_field(
    run: Run, tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "aiapi.yaml"
    path.write_text(text)
    result = run("manifest", "-f", str(path))
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


def test_manifest_needs_either_a_name_or_a_file(run: Run) -> None:
    assert run("manifest").exit_code == 2
    assert run("manifest", "a", "-f", "b").exit_code == 2


def test_simulate_has_two_forms(run: Run, tmp_path: Path) -> None:
    assert run("simulate", "assistant").exit_code == 2
    assert "--prometheus URL is missing" in run("simulate", "assistant").output
    missing = str(tmp_path / "none.csv")
    result = run("simulate", "--trace", missing)
    assert result.exit_code == 2
    assert missing in result.output
    text = run("simulate", "--help").output
    assert "Without NAME" in text
    for parameter in traced.simulate.params:
        assert parameter.opts[0] in text


def test_completion_for_the_shell_and_for_kubectl(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    lines = kubectl_candidates(main, ["ex"])
    assert [line.split("\t")[0] for line in lines] == ["explain", NO_FILES]
    assert "--all-namespaces" in [
        line.split("\t")[0] for line in kubectl_candidates(main, ["top", "--a"])
    ]
    monkeypatch.setenv("KUBECONFIG", "/nowhere/config")
    assert kubectl_candidates(main, ["explain", ""]) == [NO_FILES]
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-aiapi", "do"])
    complete_for_kubectl()
    assert capsys.readouterr().out.startswith("doctor\t")
    assert "_AIAPI_COMPLETE" in run("completion", "bash").output
