"""The line that names why an app cannot be served."""

from aiapi_runtime.launcher.refusal import Refusal, report


def test_it_is_one_line_in_the_log_and_in_the_termination_log(tmp_path, capsys):
    log = tmp_path / "termination-log"
    log.write_text("left by the container before")
    code = report(Refusal("ImportFailed", "main:app: two\nlines"), str(log))
    assert code == 78
    assert capsys.readouterr().err == "aiapi: ImportFailed: main:app: two lines\n"
    assert log.read_text() == "aiapi: ImportFailed: main:app: two lines"


def test_no_file_is_made_where_there_is_no_kubelet(tmp_path, capsys):
    log = tmp_path / "termination-log"
    report(Refusal("NoPython", "none"), str(log))
    assert not log.exists()
    assert "NoPython" in capsys.readouterr().err


def test_its_length_is_bounded(tmp_path, capsys):
    report(Refusal("AppNotFound", "x" * 10_000), str(tmp_path / "none"))
    assert len(capsys.readouterr().err) == 2049
