"""An app in an image that was not prepared, served by an injected runtime on the image's Python."""

import json
import shutil
import sys
from functools import partial

import pytest
from runtime_support.client import Load
from runtime_support.image import BASE_PYTHON, build_runtime
from runtime_support.pod import until

UVICORN = """
import uvicorn, uvicorn.protocols.http.h11_impl as lazy
import click
"""
UVICORN_FACTS = '"uvicorn": [uvicorn.__version__, uvicorn.__file__, lazy.__file__, click.__file__],'


async def facts(pod):
    return json.loads((await (await pod.connect()).ask("/facts")).body)


def own_uvicorn(site):
    """What an app may have pinned: another version, of which it imports a part."""
    folder = site / "uvicorn"
    for package in ("protocols", "protocols/http"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
    (folder / "__init__.py").write_text("__version__ = '0.30.0+pinned'")
    (folder / "protocols" / "http" / "h11_impl.py").touch()
    (site / "click.py").touch()


async def test_the_apps_own_packages_win_and_the_runtime_is_last(image):
    site = image.make_venv()
    own_uvicorn(site)
    image.write_app(UVICORN, UVICORN_FACTS)
    async with image.serve(python=BASE_PYTHON) as pod:
        stats = await pod.ready(1)
        found = await facts(pod)
    assert stats["runtime"]["source"] == "Injected"
    assert stats["runtime"]["version"] == (image.root / "aiapi/VERSION").read_text().strip()
    assert stats["runtime"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert (stats["loop"], stats["http"]) == ("uvloop", "httptools")
    assert found["uvicorn"][0] == "0.30.0+pinned"
    assert all(path.startswith(str(site)) for path in found["uvicorn"][1:])
    assert found["python"] == str(image.work / ".venv")
    assert found["path"][0] == str(image.work)
    runtime = str(image.root / "aiapi")
    assert [path.startswith(runtime) for path in found["path"][-2:]] == [True, True]
    assert not any(path.startswith(runtime) for path in found["path"][:-2])
    assert runtime not in found["child_path"]
    assert found["python_path"] == ""


async def test_an_app_without_uvicorn_may_import_the_runtimes(image):
    image.make_venv()
    image.write_app(UVICORN, UVICORN_FACTS)
    async with image.serve(python=BASE_PYTHON) as pod:
        await pod.ready(1)
        found = await facts(pod)
    assert all(path.startswith(str(image.root / "aiapi/lib")) for path in found["uvicorn"][1:])


async def test_the_folder_is_left_as_it_was(image):
    image.make_venv()
    image.write_app()
    before = sorted(image.launcher.parent.rglob("*"))
    shutil.rmtree(image.launcher.parent / "lib" / "uvicorn" / "__pycache__")
    async with image.serve(python=BASE_PYTHON, PYTHONDONTWRITEBYTECODE="") as pod:
        await pod.ready(1)
        await facts(pod)
    after = sorted(image.launcher.parent.rglob("*"))
    assert [path for path in after if path not in before] == []
    assert not (image.launcher.parent / "lib" / "uvicorn" / "__pycache__").exists()
    assert (image.work / "__pycache__").exists(), "what the app writes is its own affair"


@pytest.mark.parametrize(
    "variables",
    [{"PYTHONSAFEPATH": "1"}, {"PYTHONNOUSERSITE": "1"}, {"PYTHONHOME": str(sys.base_prefix)}],
    ids=lambda variables: next(iter(variables)),
)
async def test_pythons_own_variables_change_nothing(image, variables):
    image.write_app()
    async with image.serve(python=BASE_PYTHON, **variables) as pod:
        stats = await pod.ready(1)
        assert (await facts(pod))["python"] == str(sys.base_prefix)
    assert stats["runtime"]["source"] == "Injected"


async def test_an_environment_elsewhere_is_found_or_named(image):
    site = image.make_venv("elsewhere")
    (site / "only_there.py").touch()
    image.write_app("import only_there")
    home = image.work / "elsewhere"
    for variables in (
        {"VIRTUAL_ENV": str(home)},
        {"CONDA_PREFIX": str(home)},
        {"AIAPI_PYTHON": str(home / "bin" / "python")},
    ):
        async with image.serve(python=BASE_PYTHON, **variables) as pod:
            await pod.ready(1)
            assert (await facts(pod))["python"] == str(home)


async def test_an_agents_sitecustomize_runs_in_the_workers_although_it_hides_itself(image):
    """opentelemetry-instrument takes itself out of PYTHONPATH, for the app's programs."""
    own_uvicorn(image.make_venv())
    agent = image.root / "agent"
    agent.mkdir()
    (agent / "sitecustomize.py").write_text(
        "import os, sys\nsys.sitecustomize_ran = True\nimport uvicorn\n"
        "del os.environ['PYTHONPATH']\n"
    )
    image.write_app(UVICORN, UVICORN_FACTS)
    async with image.serve(python=BASE_PYTHON, PYTHONPATH=str(agent)) as pod:
        await pod.ready(1)
        found = await facts(pod)
    assert found["traced"]
    assert found["python_path"] is None
    assert found["uvicorn"][0] == "0.30.0+pinned", "what it imported stays the app's"


async def test_the_newer_of_two_runtimes_serves(image):
    site = image.make_venv()
    own = image.root / "installed"
    build_runtime(own)
    (metadata,) = own.glob("lib/aiapi_runtime-*.dist-info/METADATA")
    text = metadata.read_text()
    (site / "installed.pth").write_text(f"{own / 'lib'}\n")
    image.write_app("import aiapi_runtime", '"runtime": aiapi_runtime.__file__,')
    for version, folder, source in (
        ("99.0", own, "Image"),
        ("0.0.1", image.launcher.parent, "Injected"),
    ):
        lines = (f"Version: {version}" if "Version: 0" in one else one for one in text.splitlines())
        metadata.write_text("\n".join(lines) + "\n")
        async with image.serve(python=BASE_PYTHON) as pod:
            stats = await pod.ready(1)
            assert (await facts(pod))["runtime"].startswith(str(folder))
        assert stats["runtime"]["source"] == source


async def test_workers_change_under_load_without_uvloop_and_httptools(image):
    """As on an interpreter for which there are no wheels."""
    shutil.rmtree(image.launcher.parent / "abi")
    image.write_app()
    async with image.serve(python=BASE_PYTHON) as pod:
        stats = await pod.ready(1)
        assert (stats["loop"], stats["http"]) == ("asyncio", "h11")
        async with Load(pod.host, pod.port, keeping=8, opening=2, pause=0.005) as load:
            for count, answering in ((3, 3), (1, 3), (2, 4), (1, 4)):
                await pod.resize(count)
                await pod.settled(count)
                await until(partial(load.answered_by, answering))
        assert load.result.lost == []
        assert load.result.answered > 100
    log = pod.log.read_text()
    assert "the event loop is asyncio's: No module named 'uvloop'" in log
    assert "requests are parsed by h11: No module named 'httptools'" in log


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (None, "aiapi: AppNotFound: main:app cannot be imported: no module named main."),
        ("import no_such_one", "aiapi: AppNotFound: main:app cannot be imported: "),
        ("app = 'Shop'", "aiapi: AppNotCallable: main:app is of type str, not an ASGI app. Name "),
        ("application = 1", "aiapi: AppNotFound: main:app cannot be imported: AttributeErr"),
        (
            "raise RuntimeError('no DATABASE_URL')",
            "aiapi: ImportFailed: main:app raises an error on import: RuntimeError: no DATABASE",
        ),
        (
            "x = None.gone",
            "aiapi: ImportFailed: main:app raises an error on import: AttributeError",
        ),
    ],
)
@pytest.mark.parametrize("preload", ["auto", "off"])
async def test_an_app_that_cannot_be_imported_ends_the_container(image, source, line, preload):
    if source is not None:
        (image.work / "main.py").write_text(source)
    code, last = await image.refusal("main:app", BASE_PYTHON, AIAPI_PRELOAD=preload)
    assert code == 78
    assert last.startswith(line)


async def test_an_interpreter_that_is_not_there_is_refused(image):
    image.write_app()
    code, last = await image.refusal("main:app", BASE_PYTHON, AIAPI_PYTHON="/opt/venv/bin/python")
    assert code == 78
    assert last.startswith("aiapi: NoPython: /opt/venv/bin/python is not an executable")


async def test_a_runtime_that_cannot_be_loaded_is_a_conflict(image):
    image.write_app()
    shutil.rmtree(image.launcher.parent / "lib" / "click" / "__pycache__")
    (image.launcher.parent / "lib" / "click" / "__init__.py").write_text("raise ImportError('no')")
    code, last = await image.refusal("main:app", BASE_PYTHON)
    assert code == 78
    assert last.startswith("aiapi: RuntimeConflict: the runtime cannot be loaded on ")
