"""Which app `aiapi-serve` serves without APP, and which sidecars an app gets."""

import sys
from importlib.metadata import EntryPoint
from types import ModuleType, SimpleNamespace

import pytest
from click.testing import CliRunner

from aiapi_runtime.runtime import bundled_app
from aiapi_runtime.runtime.cli import main
from aiapi_runtime.runtime.sidecars import Sidecar

STORE = Sidecar("the store", ("/bin/true",))


def declare(monkeypatch, **objects):
    entries = []
    for name, found in objects.items():
        module = ModuleType(f"declared_{name}")
        module.bundled = found
        if found is not None:
            monkeypatch.setitem(sys.modules, module.__name__, module)
        entries.append(EntryPoint(name, f"{module.__name__}:bundled", bundled_app.GROUP))
    monkeypatch.setattr(bundled_app, "entry_points", lambda group: entries)


def app(name):
    return SimpleNamespace(app=name, sidecars=lambda environ: [STORE])


def test_the_only_declared_app_is_the_default(monkeypatch):
    declare(monkeypatch, shop=app("shop.main:app"))
    assert bundled_app.default_app() == "shop.main:app"


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        ({}, "no installed package provides a default app"),
        ({"b": app("b:app"), "a": app("a:app")}, "several installed packages .*: a, b"),
        ({"gone": None}, "the default app gone is not complete: No module named"),
    ],
)
def test_without_exactly_one_app_the_error_names_the_argument_and_the_variable(
    monkeypatch, objects, reason
):
    declare(monkeypatch, **objects)
    with pytest.raises(bundled_app.NoDefaultAppError, match=reason):
        bundled_app.default_app()
    result = CliRunner().invoke(main, [], env={"AIAPI_APP": None})
    assert result.exit_code == 2
    assert "missing argument APP (env var: 'AIAPI_APP')" in result.output


def test_an_app_gets_the_sidecars_it_declares_and_no_others(monkeypatch):
    declare(monkeypatch, gone=None, shop=app("shop.main:app"))
    assert bundled_app.sidecars_of("shop.main:app", {}) == [STORE]
    assert bundled_app.sidecars_of("mine:app", {}) == []


def test_the_installed_gateway_is_the_default_app():
    assert bundled_app.default_app() == "aiapi_service.gateway.app:app"
