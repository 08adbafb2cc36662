"""`aiapi-serve` without configuration: local Postgres, generated API key, clean shutdown."""

import asyncio
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner
from runtime_support.pod import Pod, serve, until
from store_support.service import PASSWORD

from aiapi_service.auth.admin.main import main


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder that user nobody can enter: Postgres does not run as root."""
    folder = Path(tempfile.mkdtemp(prefix="aiapi-pod-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _postmaster(data_dir: Path) -> int | None:
    try:
        return int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None


async def test_it_uses_restarts_and_stops_the_local_database(
    tmp_path: Path, data_dir: Path
) -> None:
    environment = {"AIAPI_DATA_DIR": str(data_dir), "AIAPI_LOCAL": "off"}
    app = "aiapi_service.gateway.app:app"
    async with serve(tmp_path, "--workers=2", "--log-format=json", app=app, **environment) as pod:
        await until(lambda: _is_ready(pod), 120)
        key = (data_dir / "api-key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        base = f"http://127.0.0.1:{pod.port}"
        async with aiohttp.ClientSession(base, headers=headers) as client:

            async def documents() -> int:
                async with client.get("/v1/documents") as answer:
                    return answer.status

            assert await documents() == 200
            words = ["users", "add", "ann", "--password-stdin"]
            made = await asyncio.to_thread(
                CliRunner().invoke, main, words, input=PASSWORD, env=environment
            )
            assert made.exit_code == 0, made.output
            form = {"grant_type": "password", "username": "ann", "password": PASSWORD}
            async with client.post("/v1/auth/token", data=form) as answer:
                assert answer.status == 200, await answer.text()

            first = _postmaster(data_dir)
            assert first is not None
            os.kill(first, signal.SIGKILL)

            async def is_available_again() -> bool:
                return _postmaster(data_dir) not in (None, first) and await documents() == 200

            await until(is_available_again, 120)
    assert _postmaster(data_dir) is None, "it was shut down cleanly"
    log = (tmp_path / "log").read_text()
    loggers = {json.loads(line)["logger"] for line in log.splitlines()}
    assert "aiapi.postgres" in loggers, "its output goes through the log"
    assert "the first API key, with all scopes, is in" in log
    for secret in (key.split("_", 2)[2], PASSWORD):
        assert secret not in log


async def _is_ready(pod: Pod) -> bool:
    status, _ = await pod.get("/readyz")
    return bool(status == 200)
