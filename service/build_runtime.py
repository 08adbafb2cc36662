"""Builds the folder that Dockerfile.runtime puts into /aiapi: for every supported interpreter.

    python service/build_runtime.py build/runtime --architecture amd64

The pure-Python parts are there once; uvloop and httptools once per CPython and C library.
The versions are those of requirements.lock. `pip` unpacks wheels only: nothing of them runs, so one
machine builds the folder for all.
"""

import argparse
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

SERVICE = Path(__file__).resolve().parent
LOCK = SERVICE.parent / "requirements.lock"
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
# By the names that images have for them.
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
PLATFORMS = {
    "manylinux": ("manylinux2014", "manylinux_2_17", "manylinux_2_28"),
    "musllinux": ("musllinux_1_1", "musllinux_1_2"),
}

sys.path.insert(0, str(SERVICE))

from aiapi_runtime import bundle  # noqa: E402 - it need not be installed


def build(target: Path, architectures: Iterable[str]) -> None:
    bundle.start(target, version())
    _unpack(bundle.PURE, target / "lib", [])
    for python in VERSIONS:
        for libc in PLATFORMS:
            for architecture in architectures:
                _unpack_compiled(target / "abi", python, libc, MACHINES[architecture])


def version() -> str:
    """That of the distribution aiapi-runtime."""
    project = tomllib.loads((SERVICE / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def _unpack_compiled(folder: Path, python: str, libc: str, machine: str) -> None:
    tag = f"cp{python.replace('.', '')}"
    options = ["--implementation", "cp", "--python-version", python, "--abi", tag]
    for platform in PLATFORMS[libc]:
        options += ["--platform", f"{platform}_{machine}"]
    _unpack(bundle.COMPILED, folder / f"{tag}-{libc}-{machine}", options)


def _unpack(names: Iterable[str], folder: Path, options: Sequence[str]) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-compile", "--only-binary", ":all:", "--target", str(folder)]
    subprocess.run([*command, *options, *_locked(names)], check=True)  # noqa: S603 - as above


def _locked(names: Iterable[str]) -> list[str]:
    pins = {line.partition("==")[0].lower(): line for line in LOCK.read_text().splitlines()}
    return [pins[name] for name in names]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", type=Path, metavar="DIR", help="is made anew")
    parser.add_argument(
        "--architecture", action="append", choices=MACHINES, help="may be repeated; default: all"
    )
    options = parser.parse_args()
    build(options.target, options.architecture or MACHINES)


if __name__ == "__main__":
    main()
