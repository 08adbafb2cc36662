"""Child processes exit with the demo, even if it is killed."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from aiapi_demo.kubectl import Kubectl, KubectlError
from aiapi_demo.processes import ChildProcess, ProcessFailedError, spawn, stop

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    (
        "import signal, time; signal.signal(15, signal.SIG_IGN)\n"
        "print('up', flush=True); time.sleep(60)"
    ),
]


async def until(done: Callable[[], bool]) -> None:
    deadline = monotonic() + 10
    while monotonic() < deadline:
        if done():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError("the condition never came true")


def up(log: Path) -> bool:
    return log.exists() and "up" in log.read_text()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("command", [SLEEP, STUBBORN])
async def test_a_child_stops(tmp_path: Path, command: list[str]) -> None:
    child = ChildProcess("a child", command, log=tmp_path / "log", grace=0.5)
    await child.start()
    await until(lambda: up(child.log))
    child.check()
    await asyncio.wait_for(child.stop(), 5)
    with pytest.raises(ProcessFailedError, match="a child exited with code -"):
        child.check()


async def test_a_child_that_exited_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    code = "import sys; print('before'); sys.exit('no such port')"
    child = ChildProcess("the thing", [sys.executable, "-c", code], log=tmp_path / "log")
    await child.start()
    await until(lambda: has_exited(child))
    with pytest.raises(ProcessFailedError, match=r"(?s)the thing exited with code 1.*no such port"):
        child.check()


def has_exited(child: ChildProcess) -> bool:
    try:
        child.check()
    except ProcessFailedError:
        return True
    return False


async def test_a_killed_child_can_be_restarted(tmp_path: Path) -> None:
    child = ChildProcess("a child", SLEEP, log=tmp_path / "log")
    await child.start()
    await child.kill()
    await child.start()
    child.check()
    await child.stop()


async def test_children_do_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import asyncio
from pathlib import Path
from aiapi_demo.processes import ChildProcess
async def main():
    child = ChildProcess("a child", {SLEEP!r}, log=Path({str(tmp_path / "log")!r}))
    await child.start()
    print(child._process.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    parent = await spawn([sys.executable, "-c", code], stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), 20))
    await until(lambda: up(tmp_path / "log"))
    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    await until(lambda: not alive(pid))


async def test_kubectl_errors_have_its_output(tmp_path: Path) -> None:
    kubectl = Kubectl(tmp_path / "nothing")
    with pytest.raises(KubectlError, match="kubectl get nodes: "):
        await kubectl.run("get", "nodes")


async def test_stopping_twice_is_harmless() -> None:
    process = await spawn(SLEEP, stdout=asyncio.subprocess.DEVNULL)
    await stop(process, grace=5)
    await stop(process, grace=5)
    assert process.returncode == -signal.SIGTERM


async def test_a_process_that_exits_during_stop_keeps_its_exit_code() -> None:
    codes = set()
    for _ in range(40):
        process = await spawn([sys.executable, "-Sc", "import os; os._exit(3)"])
        # Wait until it has exited, without letting asyncio notice.
        while alive(process.pid):
            continue
        await stop(process, grace=5)
        codes.add(process.returncode)
    assert codes == {3}
