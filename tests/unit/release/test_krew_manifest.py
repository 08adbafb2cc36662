"""Tests the krew manifest: platforms, addresses and checksums of the archives that are built."""

import hashlib
import re
from pathlib import Path

import pytest
from deploy_support.helm import script
from release_support.workflow import ROOT, step, workflow

krew = script("packaging/krew/manifest.py")
ARCHIVES = [f"aiapi-{system}-{architecture}.tar.gz" for system, architecture in krew.PLATFORMS]


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    for name in ARCHIVES:
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def test_each_platform_has_its_archive_with_its_checksum(archives: Path) -> None:
    spec = krew.manifest("1.2.3", archives)["spec"]
    assert spec["version"] == "v1.2.3"
    for name, platform in zip(ARCHIVES, spec["platforms"], strict=True):
        labels = platform["selector"]["matchLabels"]
        assert f"aiapi-{labels['os']}-{labels['arch']}.tar.gz" == name
        assert platform["uri"].endswith(f"/aiapi-dev/aiapi/releases/download/v1.2.3/{name}")
        assert platform["sha256"] == hashlib.sha256(name.encode()).hexdigest()


def test_a_missing_archive_is_an_error(archives: Path) -> None:
    (archives / ARCHIVES[-1]).unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(ARCHIVES[-1])):
        krew.manifest("1.2.3", archives)


def test_the_manifest_is_printed(archives: Path, capsys: pytest.CaptureFixture[str]) -> None:
    krew.main("1.2.3", archives)
    printed = capsys.readouterr().out
    assert printed.startswith("apiVersion: krew.googlecontainertools.github.com/v1alpha2\n")
    assert "name: aiapi\n" in printed


def test_the_release_builds_every_platform() -> None:
    job = workflow()["jobs"]["plugin"]
    built = [(each["os"], each["arch"]) for each in job["strategy"]["matrix"]["include"]]
    assert built == list(krew.PLATFORMS)
    assert "plugin" in workflow()["jobs"]["notes"]["needs"]
    assert "packaging/krew/build " in step(job, "Build and try")["run"]


def test_the_build_names_archive_and_program_as_the_manifest_does(archives: Path) -> None:
    build = (ROOT / "packaging" / "krew" / "build").read_text()
    assert "name=aiapi-$2-$3" in build
    assert '"$folder/$name.tar.gz"' in build
    program = krew.manifest("1.2.3", archives)["spec"]["platforms"][0]["bin"]
    assert f"--name {program} " in build
    assert krew.DOWNLOADS in (ROOT / "docs" / "kubectl-plugin.md").read_text()
