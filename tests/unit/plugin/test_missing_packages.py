"""Tests what a command reports when a package is not installed."""

import sys

import pytest

from aiapi_operator.cli import missing_extra

SANDBOX = ModuleNotFoundError("No module named 'aiapi_sandbox'", name="aiapi_sandbox")


def test_a_missing_package_is_reported_with_the_extra_to_install() -> None:
    error = missing_extra(ModuleNotFoundError(name="rich"), "plugin")
    assert error.message == "this command needs 'rich': pip install 'aiapi[plugin]'"


def test_a_missing_module_of_the_project_is_a_bug() -> None:
    with pytest.raises(ModuleNotFoundError):
        missing_extra(SANDBOX, "sandbox")


def test_the_archive_for_krew_reports_the_packages_that_it_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    error = missing_extra(SANDBOX, "sandbox")
    assert error.message == "this command needs 'aiapi_sandbox': pip install 'aiapi[sandbox]'"
