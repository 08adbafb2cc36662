"""What an app imports, read from its source."""

import pytest

from aiapi_runtime.launcher.app_imports import missing


def app_with(tmp_path, **files):
    for name, text in files.items():
        path = tmp_path / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return str(tmp_path)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import json, os.path\nimport pytest", []),
        ("import no_such_one\nfrom no_such_two.part import name", ["no_such_one", "no_such_two"]),
        ("try:\n    import no_such_one\nexcept ImportError:\n    pass", []),
        ("if False:\n    import no_such_one", []),
        ("def f():\n    import no_such_one", []),
        ("from . import sibling", []),
        ("import uvicorn, click", []),
        ("this is not Python", []),
        ("import sys\nimport __main__", []),
        ("", []),
    ],
)
def test_only_what_certainly_runs_counts(tmp_path, source, expected):
    assert missing("main:app", app_with(tmp_path, main=source)) == expected


def test_modules_of_the_app_are_followed(tmp_path):
    folder = app_with(
        tmp_path,
        main="from shop.web import app",
        shop__web="import shop.db\nimport no_web",
        shop__db="import no_db, shop.web",
        shop__unused="import no_unused",
    )
    (tmp_path / "shop" / "__init__.py").write_text("import no_init")
    assert sorted(missing("main:app", folder)) == ["no_db", "no_init", "no_web"]


def test_an_app_that_is_nowhere_is_missing_itself(tmp_path):
    assert missing("no_such_app.main:app", str(tmp_path)) == ["no_such_app"]


def test_without_an_app_nothing_is_missing(tmp_path):
    assert missing("", str(tmp_path)) == []
