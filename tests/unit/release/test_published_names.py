"""Compares what the release workflow publishes with what chart, manifests and docs ask for.

A difference makes every installation of a release fail, for example with ImagePullBackOff.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from release_support.workflow import (
    ROOT,
    Context,
    context_of,
    evaluated,
    image_builds,
    step,
    workflow,
)

from aiapi_operator.plugin.manifest import DEFAULT_IMAGE
from aiapi_operator.process.settings import Settings

VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
CHART: dict[str, Any] = yaml.safe_load(
    (ROOT / "charts" / "aiapi-operator" / "Chart.yaml").read_text()
)
VALUES: dict[str, Any] = yaml.safe_load(
    (ROOT / "charts" / "aiapi-operator" / "values.yaml").read_text()
)
IMAGE = re.compile(r"ghcr\.io/aiapi-dev/[a-z-]+:[\w.-]*\w")
"""An image of the project. The chart is one level deeper, in charts/."""
ASKING = ["Dockerfile*", "deploy/*.yaml", "charts/*/Chart.yaml", "examples/**/*", "docs/**/*.md"]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """The context of a release of the current version."""
    return context_of(f"v{VERSION}", tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def pushed(context: Context) -> set[str]:
    return {reference for reference, _ in image_builds(context)}


def images_in(pattern: str) -> set[str]:
    files = [path for path in ROOT.glob(pattern) if path.is_file()]
    return set().union(*(IMAGE.findall(path.read_text(errors="ignore")) for path in files))


def test_images_have_the_version_as_tag(pushed: set[str]) -> None:
    assert f"ghcr.io/aiapi-dev/operator:{VERSION}" in pushed
    assert {reference.rpartition(":")[2] for reference in pushed} == {VERSION}


@pytest.mark.parametrize("pattern", ASKING)
def test_files_ask_for_images_that_the_release_pushes(pattern: str, pushed: set[str]) -> None:
    assert images_in(pattern) - pushed == set()


def test_the_chart_asks_for_images_that_the_release_pushes(pushed: set[str]) -> None:
    def repositories(values: Any) -> set[str]:
        if not isinstance(values, dict):
            return set()
        found = {values["repository"]} if "repository" in values else set()
        return found.union(*map(repositories, values.values()))

    asked = {f"{each}:{CHART['appVersion']}" for each in repositories(VALUES)}
    assert asked
    assert asked <= pushed


def test_programs_ask_for_images_that_the_release_pushes(pushed: set[str]) -> None:
    assert {Settings().default_image, DEFAULT_IMAGE} <= pushed


def test_every_dockerfile_is_built_under_the_name_that_it_documents(context: Context) -> None:
    builds = {entry["file"]: reference for reference, entry in image_builds(context)}
    files = [*ROOT.glob("Dockerfile*"), *ROOT.glob("packaging/**/*Dockerfile")]
    assert {str(path.relative_to(ROOT)) for path in files} == set(builds)
    for path in ROOT.glob("Dockerfile*"):
        assert IMAGE.findall(path.read_text())[0] == builds[path.name]


def test_images_have_two_architectures_sbom_provenance_and_signature() -> None:
    job = workflow()["jobs"]["images"]
    inputs = step(job, "build")["with"]
    assert inputs["platforms"] == "linux/amd64,linux/arm64"
    assert (inputs["provenance"], inputs["sbom"]) == ("mode=max", True)
    assert "${{ steps.build.outputs.digest }}" in step(job, "Sign")["env"]["IMAGE"]
    assert "cosign sign" in step(job, "Sign")["run"]


def test_the_chart_is_pushed_to_the_documented_address(context: Context) -> None:
    job = workflow()["jobs"]["chart"]
    push = step(job, "Push and sign")
    registry = evaluated(push["env"]["CHARTS"], context)
    assert evaluated(push["env"]["VERSION"], context) == CHART["version"] == VERSION
    address = f"oci://{registry}/{CHART['name']}"
    for page in ("README.md", "docs/install.md", "charts/aiapi-operator/README.md"):
        assert f"helm install aiapi {address}" in (ROOT / page).read_text(), page


@pytest.mark.parametrize("tag", ["v99.0.0", "0.1.0", "v0.1", "v0.1.0-rc.1"])
def test_a_tag_without_that_version_publishes_nothing(tag: str, tmp_path: Path) -> None:
    jobs = workflow()["jobs"]
    with pytest.raises(Exception, match="returned non-zero exit status 1"):
        context_of(tag, tmp_path)
    first = {name for name, job in jobs.items() if "needs" not in job}
    assert first == {"version"}
    assert all("version" in jobs[name]["needs"] for name in jobs.keys() - first)


def test_packages_are_published_after_everything_that_can_be_repeated() -> None:
    job = workflow()["jobs"]["pypi"]
    assert set(job["needs"]) == {"version", "packages", "images", "chart"}
    assert job["permissions"] == {"id-token": "write"}
    assert not [each for each in job["steps"] if "password" in each.get("with", {})]


def test_both_packages_are_published_the_runtime_first() -> None:
    strategy = workflow()["jobs"]["pypi"]["strategy"]
    files = (ROOT / "service" / "pyproject.toml", ROOT / "pyproject.toml")
    names = [tomllib.loads(path.read_text())["project"]["name"] for path in files]
    assert strategy == {"max-parallel": 1, "matrix": {"project": names}}
    builds = step(workflow()["jobs"]["packages"], "Build")["run"]
    for name, folder in zip(names, ("service", "."), strict=True):
        assert f"python -m build --outdir dist/{name} {folder}\n" in builds
