"""Where a pod keeps what is its own."""

import os
from pathlib import Path

import pytest

from aiapi_service.auth.secret_files import write_secret
from aiapi_service.store.settings import default_data_dir


@pytest.fixture(autouse=True)
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "access", lambda path, _: "read-only" not in str(path))


def test_it_is_the_users_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_data_dir() == tmp_path / "aiapi"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_data_dir() == tmp_path / ".local" / "share" / "aiapi"


def test_a_home_that_cannot_be_written_to_is_no_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "read-only").mkdir()
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "read-only"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert default_data_dir() == tmp_path / "aiapi-1000"


def test_root_has_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_dir() == Path("/var/lib/aiapi")


def test_no_secret_is_written_into_somebody_elses_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner == 0:
        # Root's folders are trusted; take any other that is nobody's here.
        os.chown(tmp_path, 4711, -1)
    with pytest.raises(PermissionError, match="belongs to somebody else"):
        write_secret(tmp_path / "key", "secret")
    assert list(tmp_path.iterdir()) == []
