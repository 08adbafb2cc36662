"""A user without a passwd entry: what the local database needs, and what it says."""

import os
from pathlib import Path

import pytest

from aiapi_service.gateway.sidecars import bundled
from aiapi_service.store import local, passwd_entry
from aiapi_service.store.settings import default_data_dir

UNKNOWN = 1000680000


@pytest.fixture
def unknown_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: UNKNOWN)
    monkeypatch.setattr(passwd_entry, "_FOLDERS", ())


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "lib" / "x86_64-linux-gnu" / "libnss_wrapper.so"
    path.parent.mkdir(parents=True)
    path.touch()
    monkeypatch.setattr(passwd_entry, "_FOLDERS", (tmp_path / "lib",))
    return path


@pytest.mark.usefixtures("unknown_user")
def test_the_obstacle_names_the_user_and_what_to_do(tmp_path: Path) -> None:
    assert local.obstacle(tmp_path) == (
        "user 1000680000 has no entry in /etc/passwd, which Postgres requires; set "
        "AIAPI_DATABASE_URL, or add an entry or the package libnss-wrapper to the image"
    )


@pytest.mark.usefixtures("unknown_user")
def test_a_database_that_exists_needs_no_entry(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").touch()
    assert local.obstacle(tmp_path) == ""


@pytest.mark.usefixtures("unknown_user")
def test_nss_wrapper_replaces_the_entry(tmp_path: Path, library: Path) -> None:
    assert local.obstacle(tmp_path) == ""
    variables = passwd_entry.environment(tmp_path, UNKNOWN, 0)
    assert variables["LD_PRELOAD"] == str(library)
    entry = Path(variables["NSS_WRAPPER_PASSWD"]).read_text()
    assert entry == "aiapi:x:1000680000:0::/:/usr/sbin/nologin\n"
    assert Path(variables["NSS_WRAPPER_GROUP"]).read_text() == "aiapi:x:0:\n"


def test_a_user_with_an_entry_needs_no_wrapper(tmp_path: Path, library: Path) -> None:
    assert library.exists()
    assert passwd_entry.environment(tmp_path, 0, 0) == {}


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    where = tmp_path / "file" / "data"
    assert local.obstacle(where) == (
        f"{where} is not writable; set AIAPI_DATA_DIR to a writable folder"
    )


@pytest.mark.usefixtures("unknown_user")
def test_workers_do_not_wait_for_a_database_that_cannot_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environ = {"AIAPI_LOCAL": "off", "AIAPI_DATA_DIR": str(tmp_path)}
    assert bundled.sidecars(environ) == []
    assert "AIAPI_DATABASE_URL" not in environ
    assert "there is no local database: user 1000680000 has no entry" in caplog.text


def test_the_data_folder_has_a_name_where_nothing_is_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_is_writable() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", none_is_writable)
    monkeypatch.setattr(os, "geteuid", lambda: UNKNOWN)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    assert default_data_dir() == Path("/tmp/aiapi-1000680000")
