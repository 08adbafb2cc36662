"""Images: directories with and without a virtual environment, and the runtime image."""

import sys
from pathlib import Path

import pytest

from aiapi_sandbox.node.images import Image, ImagePullError, ImageStore
from aiapi_sandbox.node.runtime_image import RUNTIME_IMAGE, RuntimeImage

COPY = "import pathlib, sys; folder = pathlib.Path(sys.argv[1]); folder.mkdir(); "
STAND_IN = (sys.executable, "-c", f"{COPY}(folder / 'launch.py').write_text('x')")


def venv(folder: Path) -> Path:
    folder.mkdir()
    (folder / "pyvenv.cfg").touch()
    return folder


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def image_of(folder: Path) -> Image:
    found = await ImageStore({"acme/app": folder}).find("acme/app:1")
    assert found is not None
    return found


@pytest.mark.parametrize("name", [".venv", "venv"])
async def test_a_virtual_environment_is_the_interpreter_of_its_image(
    tmp_path: Path, name: str
) -> None:
    programs = venv(tmp_path / name) / "bin"
    found = await image_of(tmp_path)
    assert found.path is not None
    assert found.path[0] == str(programs)
    assert str(Path(sys.executable).parent) not in found.path
    assert "PYTHONPATH" not in found.env


async def test_the_dot_takes_precedence(tmp_path: Path) -> None:
    for name in ("venv", ".venv"):
        venv(tmp_path / name)
    found = await image_of(tmp_path)
    assert found.path is not None
    assert found.path[0] == str(tmp_path / ".venv" / "bin")


async def test_a_directory_without_one_has_the_environment_of_the_sandbox(tmp_path: Path) -> None:
    (tmp_path / "venv").mkdir()
    found = await image_of(tmp_path)
    assert found.path is None
    assert found.env["PYTHONPATH"] == str(tmp_path)


async def test_the_runtime_image_is_built_once_and_has_no_program_but_cp(tmp_path: Path) -> None:
    store = ImageStore()
    store.add_built(RUNTIME_IMAGE, RuntimeImage(tmp_path / "runtime", build=STAND_IN).get)
    found = await store.find(f"{RUNTIME_IMAGE}:0.1.0")
    assert found is not None
    assert found is await store.find(f"{RUNTIME_IMAGE}:9")
    assert found.volume is not None
    assert (found.volume / "aiapi" / "launch.py").read_text() == "x"
    assert found.files == {"/aiapi": tmp_path / "runtime" / "aiapi"}
    assert found.path is not None
    assert found.path == (str(tmp_path / "runtime" / "bin"),)
    assert [entry.name for entry in _entries(tmp_path / "runtime" / "bin")] == ["cp"]


async def test_a_directory_replaces_the_runtime_image(tmp_path: Path) -> None:
    store = ImageStore({RUNTIME_IMAGE: tmp_path})
    store.add_built(RUNTIME_IMAGE, RuntimeImage(tmp_path / "runtime", build=STAND_IN).get)
    found = await store.find(f"{RUNTIME_IMAGE}:0.1.0")
    assert found is not None
    assert found.volume == tmp_path


async def test_a_runtime_that_cannot_be_built_is_a_failed_pull(tmp_path: Path) -> None:
    build = (sys.executable, "-c", "raise SystemExit('no module named aiapi_runtime')")
    image = RuntimeImage(tmp_path / "runtime", build=build)
    message = "the runtime image cannot be built: no module named aiapi_runtime"
    with pytest.raises(ImagePullError, match=message):
        await image.get()
