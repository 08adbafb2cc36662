"""Every program of both images runs as a user without a passwd entry, HOME, USER or disk."""

import asyncio
import shutil
import socket
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import asyncpg
import pytest
from e2e_support.kubectl import Kubectl, eventually
from e2e_support.sandbox import running_sandbox
from images_support import unknown_user
from images_support.unknown_user import IMAGE_UID, OPENSHIFT_UID

from aiapi_service.store import local

ROOT = Path(__file__).parents[3]
PACKAGES = ("aiapi_operator.", "aiapi_service.", "aiapi_runtime.")
SCRIPTS = {
    script.name: script
    for script in entry_points(group="console_scripts")
    if script.value.startswith(PACKAGES)
}
USERS = pytest.mark.parametrize("uid", [IMAGE_UID, OPENSHIFT_UID])


@pytest.fixture(autouse=True)
def _as_another_user() -> None:
    unknown_user.require()


def _script(name: str) -> tuple[str, str]:
    module, function = SCRIPTS[name].module, SCRIPTS[name].attr
    return "-c", f"from {module} import {function}; {function}()"


@USERS
@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_every_script_of_the_images_starts(name: str, uid: int) -> None:
    done = unknown_user.run(uid, *_script(name), "--help")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@USERS
def test_the_chart_s_test_starts(uid: int) -> None:
    done = unknown_user.run(uid, "-m", "aiapi_operator.helm_test")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("failed: "), done.stderr


@USERS
def test_the_admin_command_says_that_its_file_cannot_be_written(uid: int) -> None:
    words = ("keys", "make", "ann", "--file", "/keys.json")
    done = unknown_user.run(uid, *_script("aiapi-admin"), *words)
    assert (done.returncode, done.stderr) == (1, "Error: /keys.json: Read-only file system\n")


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("sandbox")
    with running_sandbox(folder, images=[f"example/assistant={ROOT / 'examples'}"]) as path:
        crd = str(ROOT / "crds" / "aiapis.aiapi.dev.yaml")
        Kubectl(kubeconfig=path, namespace="default")("apply", "--server-side", "-f", crd)
        yield path


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder that every user may write to, like the emptyDir of a pod."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o1777)
        yield Path(name)


@USERS
def test_the_operator_watches(uid: int, kubeconfig: Path, scratch: Path, tmp_path: Path) -> None:
    port, log = _free_port(), tmp_path / "log"
    readable = Path(shutil.copy(kubeconfig, scratch))
    readable.chmod(0o644)
    options = (f"--kubeconfig={readable}", "--host=127.0.0.1", f"--port={port}")
    argv = unknown_user.command(
        uid, *_script("aiapi-operator"), *options, writable=[scratch], TMPDIR=str(scratch)
    )
    with unknown_user.running(argv, log) as process:

        def watches() -> bool:
            assert process.poll() is None, log.read_text()
            return _answer(f"http://127.0.0.1:{port}/readyz") == "ok\n"

        eventually(watches, within=30, what="the operator watches")


@USERS
def test_a_pod_serves_its_app(uid: int, tmp_path: Path) -> None:
    port, admin, log = _free_port(), _free_port(), tmp_path / "log"
    words = ("app:app", f"--app-dir={ROOT / 'tests' / 'runtime_support'}", "--host=127.0.0.1")
    serve = (*words, f"--port={port}", f"--admin-port={admin}")
    argv = unknown_user.command(uid, *_script("aiapi-serve"), *serve)
    with unknown_user.running(argv, log) as process:
        _wait_until_ready(process, admin, log)
        assert _answer(f"http://127.0.0.1:{port}/client") == "127.0.0.1", log.read_text()


@USERS
def test_the_bundled_app_serves_at_once_without_the_database_that_it_cannot_run(
    uid: int, tmp_path: Path
) -> None:
    port, log = _free_port(), tmp_path / "log"
    serve = ("--host=127.0.0.1", "--port=0", f"--admin-port={port}")
    argv = unknown_user.command(uid, *_script("aiapi-serve"), *serve, AIAPI_LOCAL="off")
    with unknown_user.running(argv, log) as process:
        # Less than the 30 s for which a worker waits for a database.
        _wait_until_ready(process, port, log, within=20)
        assert "there is no local database: /tmp/aiapi-" in log.read_text()
        assert "set AIAPI_DATA_DIR to a writable folder" in log.read_text()


def _wait_until_ready(
    process: "subprocess.Popen[bytes]", port: int, log: Path, *, within: float = 30
) -> None:
    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        return _answer(f"http://127.0.0.1:{port}/readyz") is not None

    eventually(ready, within=within, what="the pod is ready")


def _answer(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - a test's own URL
            return str(response.read().decode())
    except OSError:
        return None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.mark.parametrize("uid", [IMAGE_UID])
def test_the_local_database_runs_with_the_passwd_entry_of_the_image(
    uid: int, scratch: Path, tmp_path: Path
) -> None:
    entry, log = tmp_path / "passwd", tmp_path / "log"
    entry.write_text(f"aiapi:x:{uid}:{uid}::/tmp:/usr/sbin/nologin\n")
    words = ("-m", "aiapi_service.store.local", str(scratch / "data"))
    argv = unknown_user.command(uid, *words, writable=[scratch], TMPDIR=str(scratch))
    with unknown_user.running(argv, log, environment={"PASSWD": str(entry)}) as process:

        async def answer() -> int:
            connection = await asyncpg.connect(local.url(scratch / "data"), timeout=5)
            try:
                return int(await connection.fetchval("SELECT 1"))
            finally:
                await connection.close()

        def serves() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return asyncio.run(answer()) == 1
            except (OSError, asyncpg.PostgresError):
                return False

        eventually(serves, within=30, what="the database answers")
