"""Apps that do not import or do not start, and settings that are invalid."""

import re
from pathlib import Path

import pytest
from runtime_support.pod import serve, until


async def test_an_app_that_does_not_import_is_reported_and_retried_with_back_off(tmp_path):
    async with serve(tmp_path, app="assistant:app") as pod:

        async def reported():
            stats = await pod.stats()
            return stats if stats["failure"] else None

        stats = await until(reported)
        assert stats["failure"] == "ModuleNotFoundError: No module named 'assistant'"
        assert stats["workers"]["failed"] == 1
        assert stats["workers"]["ready"] == 0
        status = await pod.status()
        assert status["failure"].startswith("Traceback (most recent call last):")
        assert (await pod.get("/livez"))[0] == 200
        assert await pod.get("/readyz") == (503, stats["failure"])

        async def thrice():
            return (await pod.status())["failures"] >= 3

        await until(thrice)
        text = pod.log.read_text()
        waits = [float(one) for one in re.findall(r"assistant:app: .*retrying in ([\d.]+) s", text)]
        assert waits[:3] == [0.2, 0.5, 1.0]
        assert text.count("Traceback (most recent call last):") == 1, "the traceback is logged once"


async def test_an_app_whose_start_up_fails_is_reported_with_its_traceback(tmp_path):
    (tmp_path / "refuses.py").write_text(
        "from contextlib import asynccontextmanager\n"
        "from starlette.applications import Starlette\n"
        "@asynccontextmanager\n"
        "async def lifespan(app):\n"
        "    raise ConnectionError('no database at db:5432')\n"
        "    yield\n"
        "app = Starlette(lifespan=lifespan)\n"
    )
    async with serve(tmp_path, f"--app-dir={tmp_path}", app="refuses:app") as pod:

        async def reported():
            return (await pod.stats())["failure"]

        assert await until(reported) == "ConnectionError: no database at db:5432"
        assert "refuses.py" in (await pod.status())["failure"]


async def test_a_failed_start_is_reported_although_a_thread_keeps_its_process(tmp_path):
    (tmp_path / "held.py").write_text(
        "import threading\n"
        "async def app(scope, receive, send):\n"
        "    await receive()\n"
        "    threading.Thread(target=threading.Event().wait).start()\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n"
    )
    async with serve(tmp_path, f"--app-dir={tmp_path}", app="held:app") as pod:

        async def reported():
            return (await pod.stats())["failure"]

        assert await until(reported, 8) == "no database"


async def test_an_app_that_starts_threads_on_import_is_imported_by_each_worker(tmp_path):
    (tmp_path / "threads.py").write_text(
        "import threading, time\n"
        "from app import app\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    path = str(Path(__file__).parents[2] / "runtime_support")
    async with serve(
        tmp_path, f"--app-dir={tmp_path}", "--workers=2", app="threads:app", PYTHONPATH=path
    ) as pod:
        await pod.ready(2)
        assert "started 1 threads on import" in pod.log.read_text()
        assert (await pod.stats())["failure"] == ""


async def test_invalid_settings_exit_with_the_name_of_the_flag(tmp_path):
    for flags, environment, name in (
        (["--workers=0"], {}, "--workers"),
        ([], {"AIAPI_WORKERS": "many"}, "--workers"),
        (["--workers=9", "--max-workers=8"], {}, "--workers"),
        (["--drain-delay=-1"], {}, "--drain-delay"),
        (["--admin-token-file=/nowhere"], {}, "--admin-token-file"),
        (["--loop=fast"], {}, "--loop"),
        (["--limit=some"], {}, "--limit"),
        ([], {"AIAPI_LIMIT": "0"}, "--limit"),
        ([], {"AIAPI_GRACE": "nan"}, "--grace"),
    ):
        with pytest.raises(AssertionError, match=f"(?s)ended with 2.*{name}"):
            async with serve(tmp_path, *flags, **environment):
                pass
