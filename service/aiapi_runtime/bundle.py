"""Builds the folder of an injected runtime for the interpreter that runs this, without network.

    python -m aiapi_runtime.bundle DIR

The sandbox serves it as the runtime's image, and `service/build_runtime.py` adds the compiled parts
for other interpreters. The folder holds `launch.py`, `VERSION`, the pure-Python parts in `lib`, and
the compiled ones in `abi`, by the name that `launcher.abi` gives an interpreter.
"""

import argparse
import compileall
import py_compile
import shutil
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from aiapi_runtime.launcher import abi

_PACKAGE = Path(__file__).parent
# What serves, and a2wsgi for WSGI apps; typing_extensions on Python 3.10.
PURE = ("uvicorn", "click", "h11", "a2wsgi", "typing_extensions")
COMPILED = ("uvloop", "httptools")


def build(target: Path) -> None:
    """Make the whole folder anew from the installed packages."""
    start(target, version("aiapi-runtime"))
    _copy(PURE, target / "lib")
    _copy(COMPILED, target / "abi" / abi.folder_name())
    compile_all(target / "lib")


def start(target: Path, own_version: str) -> None:
    """A folder with this package in it, and nothing that it needs."""
    shutil.rmtree(target, ignore_errors=True)
    lib = target / "lib"
    shutil.copytree(_PACKAGE, lib / _PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(_PACKAGE / "launch.py", target / "launch.py")
    (target / "VERSION").write_text(f"{own_version}\n")
    info = lib / f"aiapi_runtime-{own_version}.dist-info"
    info.mkdir()
    text = f"Metadata-Version: 2.1\nName: aiapi-runtime\nVersion: {own_version}\n"
    (info / "METADATA").write_text(text)


def compile_all(folder: Path) -> None:
    """Bytecode that stays valid when the files are copied, which changes their times."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(folder, quiet=1, invalidation_mode=mode)


def _copy(names: Iterable[str], folder: Path) -> None:
    """The files of installed distributions; without a compiled one, asyncio or h11 takes over."""
    for name in names:
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:
            continue
        for file in files:
            if ".." not in file.parts and "__pycache__" not in file.parts:
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), folder / file)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m aiapi_runtime.bundle")
    parser.add_argument("target", type=Path, metavar="DIR", help="is made anew")
    build(parser.parse_args().target)


if __name__ == "__main__":
    main()
