"""Tests the check of a release tag: it names each file that states another version."""

import shutil
from pathlib import Path

import pytest
from deploy_support.helm import script
from release_support.workflow import ROOT

check = script(".ci/release_version.py")
FOLDERS = ("charts", "deploy", "docs", "examples", "packaging", "service")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The parts of the repository that state the version."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tmp_path / name)
    for path in (*ROOT.glob("Dockerfile*"), ROOT / "pyproject.toml", ROOT / "README.md"):
        shutil.copy(path, tmp_path)
    return tmp_path


def current() -> str:
    (found,) = {each.version for each in check.statements(ROOT)}
    return str(found)


def test_the_repository_states_one_version() -> None:
    assert check.problems(ROOT, current()) == []


@pytest.mark.parametrize(
    "file",
    [
        "pyproject.toml",
        "service/pyproject.toml",
        "charts/aiapi-operator/Chart.yaml",
        "deploy/operator.yaml",
        "Dockerfile",
        "Dockerfile.service",
        "README.md",
        "docs/install.md",
        "docs/releases.md",
        "Dockerfile.runtime",
        "examples/quickstart/load.yaml",
        "packaging/olm/manifests/aiapi-operator.clusterserviceversion.yaml",
    ],
)
def test_a_file_with_another_version_is_named(file: str, copy: Path) -> None:
    path = copy / file
    path.write_text(path.read_text().replace(current(), "7.6.5"))
    assert check.problems(copy, current()) == [f"{file} states 7.6.5, the tag {current()}"]


def test_a_file_that_lost_its_version_is_named(copy: Path) -> None:
    (copy / "service" / "pyproject.toml").write_text('[project]\nname = "aiapi-runtime"\n')
    (problem,) = check.problems(copy, current())
    assert problem == f"service/pyproject.toml states no version, the tag {current()}"


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    check.main(f"v{current()}")
    assert capsys.readouterr().out == f"{current()}\n"


@pytest.mark.parametrize("tag", ["1.2.3", "v1.2", "v1.2.3-rc.1", "latest"])
def test_other_tags_are_refused_with_advice(tag: str) -> None:
    with pytest.raises(SystemExit, match=r"is not a release tag: use vMAJOR\.MINOR\.PATCH"):
        check.released(tag)
