"""The default data folder."""

import os
from pathlib import Path

import pytest

from aiapi_service.auth.secret_files import write_secret
from aiapi_service.store.settings import default_data_dir


@pytest.fixture(autouse=True)
def unprivileged_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "access", lambda path, _: "read-only" not in str(path))


def test_it_is_the_users_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_data_dir() == tmp_path / "aiapi"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_data_dir() == tmp_path / ".local" / "share" / "aiapi"


def test_a_read_only_home_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "read-only").mkdir()
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "read-only"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert default_data_dir() == tmp_path / "aiapi-1000"


def test_root_uses_the_system_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_dir() == Path("/var/lib/aiapi")


def test_no_secret_is_written_to_a_folder_of_another_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner == 0:
        # Folders of root are trusted, so change the owner to an unused id.
        os.chown(tmp_path, 4711, -1)
    with pytest.raises(PermissionError, match="belongs to another user"):
        write_secret(tmp_path / "key", "secret")
    assert list(tmp_path.iterdir()) == []
