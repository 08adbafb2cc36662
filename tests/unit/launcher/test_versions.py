"""Which of two versions of the runtime is newer, and which one the image has."""

import pytest

from aiapi_runtime.launcher import versions


@pytest.mark.parametrize(
    ("newer", "older"),
    [("0.2.0", "0.1.9"), ("0.10.0", "0.9.0"), ("0.2.0", "0.2.0rc1"), ("1.0.0rc1", "0.9.0")],
)
def test_releases_compare_by_number(newer, older):
    assert versions.is_newer(newer, older)
    assert not versions.is_newer(older, newer)
    assert not versions.is_newer(newer, newer)


def test_the_image_has_the_version_that_is_installed(monkeypatch):
    assert versions.image_version() == "0.1.0"
    monkeypatch.setattr("sys.meta_path", [])
    assert versions.image_version() == ""
