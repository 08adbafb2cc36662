"""Where images have their interpreter, by the tool that made them; and those that have none."""

import json
from pathlib import Path

import pytest
from runtime_support.image import BASE_PYTHON

PYPY = """#!/bin/sh
exec {python} -c '
import runpy, sys
sys.implementation.name = "pypy"
sys.version = "3.10.14 (39dc8d3c85a7, Aug 27 2024, 14:33:33)\\n[PyPy 7.3.17 with GCC 10.2.1]"
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")' "$@"
"""
ENTRYPOINT = """#!/bin/sh
export VIRTUAL_ENV={home} FROM_ENTRYPOINT=yes
exec "$@"
"""
SETTING = '"setting": os.environ.get("FROM_ENTRYPOINT"),'


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def environment(image, folder: str) -> str:
    """One that has a package of the app, which the interpreter on PATH lacks."""
    (image.make_venv(folder) / "only_there.py").touch()
    image.write_app("import only_there", SETTING)
    return str(image.work / folder)


async def serving(image, **options):
    async with image.serve(python=BASE_PYTHON, **options) as pod:
        await pod.ready(1)
        return json.loads((await (await pod.connect()).ask("/facts")).body)


async def test_an_entrypoint_script_sets_the_environment(image):
    home = environment(image, "opt/app")
    script = program(image.root / "entrypoint.sh", ENTRYPOINT.format(home=home))
    found = await serving(image, entrypoint=[str(script)])
    assert found["python"] == home
    assert found["setting"] == "yes"


@pytest.mark.parametrize(
    ("folder", "variables"),
    [
        (".venv", {}),
        ("opt/venv", {"UV_PROJECT_ENVIRONMENT": "opt/venv"}),
    ],
    ids=["in the project", "named"],
)
async def test_uv(image, folder, variables):
    home = environment(image, folder)
    assert (await serving(image, **variables))["python"] == home


@pytest.mark.parametrize(
    ("folder", "variables"),
    [
        ("home/.cache/pypoetry/virtualenvs/shop-Xb9-py3.11", {"HOME": "home"}),
        ("cache/virtualenvs/shop-Xb9-py3.11", {"POETRY_CACHE_DIR": "cache"}),
        ("envs/shop-Xb9-py3.11", {"POETRY_VIRTUALENVS_PATH": "envs"}),
    ],
    ids=["home", "cache", "path"],
)
async def test_poetry(image, folder, variables):
    home = environment(image, folder)
    given = {name: str(image.work / value) for name, value in variables.items()}
    assert (await serving(image, **given))["python"] == home


async def test_conda(image):
    """`conda create` adds each environment to a list, and `conda run` does without PATH."""
    home = environment(image, "conda/envs/shop")
    (image.work / "conda/envs/shop/conda-meta").mkdir()
    listed = image.work / "home/.conda/environments.txt"
    listed.parent.mkdir(parents=True)
    listed.write_text(f"{image.work / 'gone'}\n{home}\n")
    assert (await serving(image, HOME=str(image.work / "home")))["python"] == home


async def test_pypy_is_refused(image):
    image.write_app()
    pypy = program(image.root / "pypy3", PYPY.format(python=BASE_PYTHON))
    code, last = await image.refusal("main:app", BASE_PYTHON, AIAPI_PYTHON=str(pypy))
    assert code == 78
    assert last == (
        f"aiapi: NotCPython: the runtime needs CPython; found: {pypy} (PyPy 3.10.14). Build the "
        "image on CPython 3.10 or later, or name one that the image has in spec.runtime.python"
    )


async def test_a_frozen_app_is_refused(image):
    (image.work / "_internal").mkdir()
    (image.work / "_internal/base_library.zip").touch()
    program(image.work / "shop", "\x7fELF")
    for variables in ({}, {"AIAPI_PYTHON": str(image.work / "shop")}):
        code, last = await image.refusal("main:app", BASE_PYTHON, **variables)
        assert code == 78
        assert last.startswith("aiapi: FrozenApp: the app is frozen into a program of its own")
        assert last.endswith("Build an image with Python and the app's packages")
