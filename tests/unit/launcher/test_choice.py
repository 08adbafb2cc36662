"""Which interpreter serves, and the reason and advice where none can."""

import pytest

from aiapi_runtime.launcher import candidates, choice, probe
from aiapi_runtime.launcher.refusal import Refusal


def cpython(version, *missing):
    return {"version": version, "implementation": "CPython", "missing": list(missing)}


PYPY = {"version": "3.11.9", "implementation": "PyPy", "missing": []}
NOTHING = {}


@pytest.fixture
def answers(monkeypatch):
    """The interpreters of an image, by their paths, and what each says."""
    image = {}
    monkeypatch.delenv("AIAPI_PYTHON", raising=False)
    monkeypatch.setattr(candidates, "candidates", lambda: list(image))
    monkeypatch.setattr(probe, "ask", lambda path, *_: probe.Interpreter(path, image[path]))
    return image


def choose(app="main:app", app_dir="."):
    return choice.choose("/aiapi/aiapi/launch.py", app, str(app_dir)).path


def test_the_first_that_has_all_packages_is_chosen(answers):
    answers |= {
        "/a/python3": cpython("3.11.2", "fastapi"),
        "/b/python3": cpython("3.9.1"),
        "/c/python3": PYPY,
        "/d/python3": cpython("3.13.0"),
        "/e/python3": cpython("3.12.0"),
    }
    assert choose() == "/d/python3"


def test_where_all_lack_something_the_one_that_lacks_least_is_tried(answers):
    answers |= {
        "/a/python3": cpython("3.11.2", "fastapi", "httpx"),
        "/b/python3": cpython("3.11.2", "made_at_runtime"),
    }
    assert choose() == "/b/python3"


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({}, "NoPython: no Python interpreter works in this image; found: none"),
        (
            {"/usr/bin/python3": NOTHING},
            "NoPython: .*found: /usr/bin/python3 (not a Python interpreter)",
        ),
        (
            {"/usr/bin/python3": cpython("3.9.18"), "/opt/pypy/bin/python3": PYPY},
            (
                "PythonTooOld: the runtime needs Python 3.10 or later; found: /usr/bin/python3 "
                "(CPython 3.9.18), /opt/pypy/bin/python3 (PyPy 3.11.9). Build the image on a later"
            ),
        ),
        (
            {"/opt/pypy/bin/python3": PYPY},
            "NotCPython: the runtime needs CPython; found: /opt/pypy/bin/python3 (PyPy 3.11.9)",
        ),
        (
            {"/usr/bin/python3": cpython("3.11.2", "main")},
            (
                "AppNotFound: main:app cannot be imported: no module named main. Looked at "
                "/usr/bin/python3 (CPython 3.11.2) lacks main, in directory "
            ),
        ),
    ],
)
def test_what_cannot_serve_is_named_with_advice(answers, found, message):
    answers |= found
    with pytest.raises(Refusal) as refused:
        choose()
    reason, _, rest = message.partition(".*")
    assert str(refused.value).startswith(reason)
    assert rest in str(refused.value)
    assert "spec." in str(refused.value) or reason.startswith("NoPython")


@pytest.mark.parametrize("library", ["base_library.zip", "_internal/base_library.zip"])
def test_a_frozen_app_is_recognised(answers, tmp_path, library):
    (tmp_path / library).parent.mkdir(exist_ok=True)
    (tmp_path / library).touch()
    answers["/usr/bin/python3"] = cpython("3.11.2", "main")
    with pytest.raises(Refusal, match=r"FrozenApp: .*PyInstaller"):
        choose(app_dir=tmp_path)


def test_a_program_named_as_the_interpreter_is_a_frozen_app(answers, monkeypatch):
    monkeypatch.setenv("AIAPI_PYTHON", "/app/server")
    answers["/app/server"] = NOTHING
    with pytest.raises(Refusal, match=r"FrozenApp: .*/app/server \(not a Python interpreter\)"):
        choose()


def test_an_import_that_fails_lists_all_interpreters(answers):
    answers |= {
        "/a/python3": cpython("3.11.2", "fastapi"),
        "/b/python3": cpython("3.13.0", "fastapi", "httpx"),
    }
    refusal = choice.not_found(
        "/aiapi/aiapi/launch.py", "main:app", "No module named 'fastapi'", "."
    )
    assert "/a/python3 (CPython 3.11.2) lacks fastapi, /b/python3 (CPython 3.13.0) lacks" in str(
        refusal
    )
