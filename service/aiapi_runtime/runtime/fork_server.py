"""The process that workers are forked from.

It has everything imported and, where that is safe, the user's app too, but never a thread or an
event loop: so a fork of it is a worker in milliseconds, with the app's memory shared. A worker is a
grandchild, which the kernel then gives to the supervisor (a subreaper): the supervisor alone reaps,
and workers outlive a zygote that dies.

An app that starts threads or opens sockets while it is imported cannot be forked safely. That is
seen after the import; the supervisor then starts a zygote that leaves the import to the workers.
"""

import contextlib
import faulthandler
import gc
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from aiapi_runtime.runtime import logs
from aiapi_runtime.runtime.channel import Channel, ClosedError
from aiapi_runtime.runtime.loading import describe, load_app
from aiapi_runtime.runtime.process_attributes import die_with_parent, set_process_name
from aiapi_runtime.runtime.settings import Settings
from aiapi_runtime.runtime.worker_init import WorkerInit


def _sockets() -> set[str]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


def _preload(settings: Settings) -> tuple[Any, str]:
    """The app, and what it did on import that a fork would not survive."""
    before = _sockets()
    app = load_app(settings.app, settings.app_dir)
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads > 1:
        return app, f"started {threads - 1} threads"
    opened = _sockets() - before
    if opened:
        return app, f"opened {len(opened)} sockets"
    return app, ""


def _fork(channel: Channel, order: dict[str, Any], worker_fd: int) -> bool:
    """True in the new worker."""
    try:
        child = os.fork()
    except OSError as error:
        channel.send({"is": "full", "why": str(error)})
        os.close(worker_fd)
        return False
    if child:
        os.close(worker_fd)
        # An app that ignores SIGCHLD has it reaped already.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)
        return False
    try:
        worker = os.fork()
    except OSError as error:
        channel.send({"is": "full", "why": str(error)})
        os._exit(1)
    if worker:
        channel.send({"is": "forked", "slot": order["slot"], "pid": worker})
        os._exit(0)
    return True


def _serve(channel: Channel, listener: socket.socket, memory_fd: int) -> WorkerInit | None:
    """Fork on request until the supervisor is gone; returns in the workers, and None at the end."""
    first, _ = channel.receive() or ({}, [])
    settings = Settings(**first["settings"])
    supervisor = first["supervisor"]
    die_with_parent()
    if os.getppid() != supervisor:
        raise ClosedError
    logs.set_up(settings.log_level, settings.log_format)
    from aiapi_runtime.runtime.worker import warm_up  # noqa: PLC0415 - for every fork, after the logs

    warm_up(settings)
    app = None
    if settings.preload != "off":
        try:
            app, unsafe = _preload(settings)
        except BaseException as error:  # noqa: BLE001 - whatever the app raises is the report
            channel.send({"is": "failed", "traceback": describe(error)})
            return None
        if unsafe:
            channel.send({"is": "unforkable", "why": unsafe})
            return None
    gc.collect()
    gc.freeze()
    channel.send({"is": "loaded"})
    while True:
        order, files = channel.receive() or ({}, [])
        if _fork(channel, order, files[0]):
            channel.close()
            return WorkerInit(
                settings=settings,
                app=app,
                slot=order["slot"],
                supervisor=supervisor,
                channel=Channel.from_fd(files[0]),
                listener=listener,
                memory_fd=memory_fd,
            )


def _leave_signals_to_the_supervisor() -> None:
    """It alone hears the terminal and the kubelet, and tells the others in order."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            # Programs that the app starts would inherit SIG_IGN, but no handler.
            signal.signal(number, lambda _number, _frame: None)


def main() -> int:
    _leave_signals_to_the_supervisor()
    faulthandler.enable()
    set_process_name("aiapi-zygote")
    channel_fd, listener_fd, memory_fd = fds = [int(text) for text in sys.argv[1:4]]
    for fd in fds:
        # Programs that the app starts have no business with them.
        os.set_inheritable(fd, False)
    try:
        init = _serve(Channel.from_fd(channel_fd), socket.socket(fileno=listener_fd), memory_fd)
    except ClosedError:
        return 0
    if init is None:
        return 1
    from aiapi_runtime.runtime.worker import run  # noqa: PLC0415 - see above

    return run(init)


if __name__ == "__main__":
    sys.exit(main())
