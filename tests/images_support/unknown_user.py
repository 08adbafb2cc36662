"""Runs programs as a pod may: an unknown user, no variables, and a read-only file system."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

IMAGE_UID = 65532
OPENSHIFT_UID = 1000680000
_START = """
uid=$1 writable=$2; shift 2
for folder in $writable; do mount --bind "$folder" "$folder"; done
[ -z "$PASSWD" ] || mount --bind "$PASSWD" /etc/passwd
while read -r _ place _; do
  case " /proc /sys /dev $writable " in *" $place "*) continue;; esac
  case $place in /proc/*|/sys/*|/dev/*) continue;; esac
  mount -o remount,bind,ro "$place" || exit 125
done < /proc/mounts
cd /
exec setpriv --reuid="$uid" --regid="$uid" --clear-groups \
  --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search env -i "$@"
"""
"""The one capability lets a user other than root read the interpreter and packages of the tests."""


def command(
    uid: int, *words: str, writable: Sequence[Path] = (), **environment: str
) -> tuple[str, ...]:
    """The command that runs Python with these words as user ``uid``."""
    variables = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **environment}
    if "PYTHONPATH" in os.environ:
        variables["PYTHONPATH"] = os.environ["PYTHONPATH"]
    given = [f"{key}={value}" for key, value in variables.items()]
    folders = " ".join(str(folder) for folder in writable)
    start = ["unshare", "--mount", "--propagation=private", "sh", "-c", _START, "sh"]
    return (*start, str(uid), folders, *given, sys.executable, "-P", *words)


def require() -> None:
    """Skip the test where this process may not change mounts and users."""
    if os.geteuid() != 0:
        pytest.skip("only root can run a program as another user with a read-only file system")
    done = subprocess.run(command(IMAGE_UID, "-c", ""), capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounts cannot be changed here: {done.stderr.strip()}")


def run(
    uid: int, *words: str, writable: Sequence[Path] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run Python to its end."""
    argv = command(uid, *words, writable=writable, **environment)
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def running(
    argv: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command for the block, with its output in ``log``."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv, stdout=output, stderr=output, env={**os.environ, **(environment or {})}
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)
