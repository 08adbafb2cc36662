"""Programs beside the workers: restarted when they end, and stopped in order."""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from runtime_support.pod import until

from aiapi_runtime.runtime.sidecars import Sidecar, SidecarGroup

PROGRAM = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (open(sys.argv[1], "a").write("ended\\n"), os._exit(0)))
open(sys.argv[1], "a").write(os.environ["WHO"] + "\\n")
time.sleep(60)
"""


async def test_a_sidecar_is_restarted_and_stopped(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    argv = (sys.executable, "-c", PROGRAM, str(notes))
    sidecars = SidecarGroup([Sidecar("a program", argv, {"WHO": "me"})])

    def reap() -> None:
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            sidecars.ended(pid, "ended")

    async def noted(text: str) -> bool:
        reap()
        sidecars.tick()
        return notes.exists() and notes.read_text() == text

    try:
        await until(lambda: noted("me\n"), 30)
        (process,) = sidecars._processes
        os.kill(process.pid, signal.SIGKILL)
        await until(lambda: noted("me\nme\n"), 30)
        sidecars.stop()
        await until(lambda: noted("me\nme\nended\n"), 30)
        async with asyncio.timeout(30):
            while not sidecars.stopped.is_set():
                reap()
                await asyncio.sleep(0.01)
        sidecars.tick()
        assert process.pid == 0, "nothing is restarted after a stop"
    finally:
        sidecars.kill()
        reap()


SPEAKER = r"""
import os, sys
os.write(2, b"LOG:  ready\nWARNING:  low\n  on disk\nPANIC:  no")
os.write(1, b" room\n" + b"x" * 9000 + b"\n\xff\nlast words")
"""


async def test_the_output_of_a_sidecar_is_logged_line_by_line(caplog) -> None:
    argv = (sys.executable, "-c", SPEAKER)
    sidecars = SidecarGroup([Sidecar("the store", argv, logger="aiapi.store")])
    with caplog.at_level(logging.INFO):
        sidecars.tick()
        (process,) = sidecars._processes
        await asyncio.to_thread(os.waitpid, process.pid, 0)
        sidecars.ended(process.pid, "ended")
        sidecars.stop()
    said = [(one.levelname, one.message) for one in caplog.records if one.name == "aiapi.store"]
    assert said[:4] == [
        ("INFO", "ready"),
        ("WARNING", "low"),
        ("WARNING", "  on disk"),
        ("CRITICAL", "no room"),
    ]
    assert "".join(text for _, text in said[4:-2]) == "x" * 9000
    assert [text for _, text in said[-2:]] == ["\\xff", "last words"]


async def test_a_missing_program_is_logged_and_retried(caplog) -> None:
    sidecars = SidecarGroup([Sidecar("a program", ("/nowhere/program",))])
    sidecars.tick()
    assert "a program cannot be started" in caplog.text
    assert "restarting in 0.5 s" in caplog.text
    sidecars.stop()
    assert sidecars.stopped.is_set()
