"""What the runtime's image consists of."""

import re
import runpy
import sys
from pathlib import Path

import pytest

from aiapi_runtime import bundle
from aiapi_runtime.launcher import abi

ROOT = Path(__file__).parents[3]
SCRIPT = runpy.run_path(str(ROOT / "service" / "build_runtime.py"))


@pytest.fixture
def unpacked(monkeypatch, tmp_path):
    """The folders and the options of each call of pip, instead of downloads."""
    calls = []

    def unpack(names, folder, options):
        calls.append((tuple(names), folder.relative_to(tmp_path).as_posix(), list(options)))

    monkeypatch.setitem(SCRIPT["build"].__globals__, "_unpack", unpack)
    return calls


def test_it_has_every_supported_interpreter(unpacked, tmp_path):
    SCRIPT["build"](tmp_path, ["amd64", "arm64"])
    folders = [folder for _, folder, _ in unpacked]
    assert folders[0] == "lib"
    assert len(set(folders)) == 1 + 5 * 2 * 2
    assert "abi/cp310-manylinux-x86_64" in folders
    assert "abi/cp314-musllinux-aarch64" in folders
    (options,) = (
        options for _, folder, options in unpacked if "cp311-musl" in folder and "x86" in folder
    )
    assert options[:6] == ["--implementation", "cp", "--python-version", "3.11", "--abi", "cp311"]
    assert options[6:] == [
        "--platform",
        "musllinux_1_1_x86_64",
        "--platform",
        "musllinux_1_2_x86_64",
    ]
    assert (tmp_path / "VERSION").read_text() == "0.1.0\n"
    assert (tmp_path / "launch.py").exists()


def test_the_name_of_a_folder_is_that_which_the_launcher_looks_for(unpacked, tmp_path):
    SCRIPT["build"](tmp_path, ["amd64", "arm64"])
    if sys.version_info[:2] <= (3, 14):
        assert f"abi/{abi.folder_name()}" in [folder for _, folder, _ in unpacked]


def test_all_parts_have_a_locked_version():
    for name in (*bundle.PURE, *bundle.COMPILED):
        (pin,) = SCRIPT["_locked"]([name])
        assert re.fullmatch(rf"{name}==[0-9.]+", pin)


def test_the_image_compiles_for_each_supported_version():
    text = (ROOT / "Dockerfile.runtime").read_text()
    compiled = re.findall(r"python:(3\.\d+)-slim-trixie AS py", text)
    assert tuple(compiled) == SCRIPT["VERSIONS"]
    stages = re.findall(r" AS (py\d+)", text)
    assert re.findall(r"COPY --from=(\w+) /aiapi /aiapi", text) == ["parts", *stages]


def test_what_is_compiled_stays_valid_when_it_is_copied(tmp_path):
    (tmp_path / "module.py").write_text("NAME = 1\n")
    bundle.compile_all(tmp_path)
    (compiled,) = (tmp_path / "__pycache__").iterdir()
    flags = int.from_bytes(compiled.read_bytes()[4:8], "little")
    assert flags == 0b01, "a hash that is not checked, instead of the time of the file"
