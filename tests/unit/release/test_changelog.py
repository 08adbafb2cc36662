"""Tests the changelog: its dates, and the section that becomes the notes of a release."""

import datetime
import re
import subprocess
from pathlib import Path

import pytest
from release_support.workflow import ROOT, run, step, workflow

SECTION = re.compile(r"^## \[(.+?)\](.*)$", re.MULTILINE)
SAMPLE = """\
# Changelog

## [Unreleased]

### Added

- Next

## [1.2.0] - 2026-11-29

### Fixed

- Something

## [1.1.0]

- Before
"""


def notes(version: str, folder: Path) -> str:
    """The notes that the release workflow writes for a version."""
    (folder / "CHANGELOG.md").write_text(SAMPLE)
    script = step(workflow()["jobs"]["version"], "Section of the changelog")["run"]
    run(script, {"VERSION": version, "GITHUB_OUTPUT": str(folder / "outputs")}, folder)
    return (folder / "notes.md").read_text()


def test_the_notes_are_the_section_of_the_version(tmp_path: Path) -> None:
    expected = SAMPLE.partition("## [1.2.0]")[2].partition("## [1.1.0]")[0]
    assert notes("1.2.0", tmp_path) == f"## [1.2.0]{expected}"


@pytest.mark.parametrize("version", ["1.1.0", "1.3.0"])
def test_a_section_that_is_missing_or_has_no_date_stops_the_release(
    version: str, tmp_path: Path
) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        notes(version, tmp_path)


def test_released_versions_have_dates_newest_first() -> None:
    (first, *released) = SECTION.findall((ROOT / "CHANGELOG.md").read_text())
    assert first == ("Unreleased", "")
    dates = [datetime.date.fromisoformat(rest.removeprefix(" - ")) for _, rest in released]
    assert dates == sorted(dates, reverse=True)
