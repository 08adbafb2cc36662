"""The folder of the files: a new one, or the user's."""

from aiapi_runtime.telemetry.multiprocess import folder
from aiapi_runtime.telemetry.multiprocess.folder import Folder


def test_a_new_folder_is_empty_private_and_removed(tmp_path):
    left = tmp_path / "pod" / "counter_7.db"
    left.parent.mkdir()
    left.touch()
    made = folder.prepare({"TMPDIR": str(tmp_path)}, "pod")
    assert made == Folder(tmp_path / "pod", ours=True)
    assert list(made.path.iterdir()) == []
    assert made.path.stat().st_mode & 0o777 == 0o700
    made.remove()
    assert not made.path.exists()


def test_the_users_folder_is_made_and_kept_as_it_is(tmp_path):
    named = tmp_path / "a" / "b"
    for _ in range(2):
        assert folder.prepare({"PROMETHEUS_MULTIPROC_DIR": str(named)}, "pod") == Folder(
            named, ours=False
        )
        (named / "counter_7.db").touch()
    Folder(named, ours=False).remove()
    assert (named / "counter_7.db").exists()


def test_a_folder_that_cannot_be_made_is_named_with_advice(tmp_path, caplog):
    file = tmp_path / "file"
    file.touch()
    assert folder.prepare({"PROMETHEUS_MULTIPROC_DIR": str(file / "x")}, "pod") is None
    assert f"PROMETHEUS_MULTIPROC_DIR={file / 'x'} cannot be created: Not a directory" in (
        caplog.text
    )
    assert "name a writable folder, or unset it" in caplog.text


def test_the_next_parent_is_tried_when_one_is_not_writable(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "_PARENTS", (str(tmp_path),))
    made = folder.prepare({"TMPDIR": str(tmp_path / "missing")}, "pod")
    assert made == Folder(tmp_path / "pod", ours=True)
