"""The `aiapi` command: help without extras, and a hint for a missing extra."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from aiapi_operator.cli import COMMANDS, main, missing_extra
from aiapi_sandbox.cli import sandbox


def test_help_lists_commands_without_importing_them() -> None:
    program = (
        "import sys; from click.testing import CliRunner; from aiapi_operator.cli import main;"
        "print(CliRunner().invoke(main, ['--help']).output);"
        "print([n for n in sys.modules if n.startswith(('aiohttp', 'aiapi_sandbox'))])"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert all(name in output for name in COMMANDS)
    assert output.splitlines()[-1] == "[]"


def test_a_missing_package_names_its_extra() -> None:
    hint = missing_extra(ModuleNotFoundError("no", name="aiohttp"), "sandbox")
    assert isinstance(hint, click.ClickException)
    assert "pip install 'aiapi[sandbox]'" in hint.message
    with pytest.raises(ModuleNotFoundError):
        missing_extra(ModuleNotFoundError("no", name="aiapi_operator.nothing"), "sandbox")


@pytest.mark.parametrize("value", ["name", "=dir", "name="])
def test_an_image_option_requires_name_and_directory(value: str) -> None:
    result = CliRunner().invoke(sandbox, ["up", "--image", value])
    assert result.exit_code == 2
    assert "is not of the form NAME=DIR" in result.output


def test_an_image_directory_must_exist(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["sandbox", "up", "--image", f"a={tmp_path}/none"])
    assert result.exit_code == 2
    assert "is not a directory" in result.output
