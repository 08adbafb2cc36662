"""Secret files: private, atomic, and reloaded when they are replaced."""

import stat
from pathlib import Path

import pytest

from aiapi_service.auth.secret_files import SecretFileError, WatchedFile, write_secret


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    write_secret(tmp_path / "new" / "key", "secret")
    assert stat.S_IMODE((tmp_path / "new" / "key").stat().st_mode) == 0o600


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    write_secret(tmp_path / "key", "one", keep=True)
    write_secret(tmp_path / "key", "two", keep=True)
    assert (tmp_path / "key").read_text() == "one"
    write_secret(tmp_path / "key", "three")
    assert (tmp_path / "key").read_text() == "three"
    assert [path.name for path in tmp_path.iterdir()] == ["key"], "no temporary files are left"


def test_a_replaced_file_is_reloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("aiapi_service.auth.secret_files.monotonic", lambda: now)
    write_secret(tmp_path / "number", "1")
    watched = WatchedFile(tmp_path / "number", int)
    assert watched.content() == 1
    write_secret(tmp_path / "number", "2")
    assert watched.content() == 1, "it is not checked on each request"
    now += 10
    assert watched.content() == 2


@pytest.mark.parametrize("broken", ["nonsense", None])
def test_a_broken_file_keeps_the_previous_content(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    broken: str | None,
) -> None:
    now = 100.0
    monkeypatch.setattr("aiapi_service.auth.secret_files.monotonic", lambda: now)
    path = tmp_path / "number"
    write_secret(path, "1")
    watched = WatchedFile(path, int)
    if broken is None:
        path.unlink()
    else:
        write_secret(path, broken)
    now += 10
    assert watched.content() == 1
    assert "keeping the previous content" in caplog.text
    assert "nonsense" not in caplog.text, "messages never quote secret files"


def test_an_unusable_file_at_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SecretFileError, match="missing: No such file"):
        WatchedFile(tmp_path / "missing", int)
    write_secret(tmp_path / "bad", "secret text")
    with pytest.raises(SecretFileError, match="bad: invalid content") as refusal:
        WatchedFile(tmp_path / "bad", int)
    assert "secret text" not in str(refusal.value)
