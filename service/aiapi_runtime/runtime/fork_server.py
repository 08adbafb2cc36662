"""The process that workers are forked from.

It has imported everything and, where that is safe, the user's app too, but never has a thread or an
event loop. So a fork of it becomes a worker within milliseconds and shares the app's memory. A
worker is a grandchild, which the kernel hands to the supervisor (a subreaper): only the supervisor
reaps workers, and they outlive a fork server that dies.

An app that starts threads or opens sockets on import cannot be forked safely. The fork server
detects this after the import; the supervisor then starts one that leaves the import to the workers.
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

from aiapi_runtime.runtime import client_metrics, injection, logs
from aiapi_runtime.runtime.channel import Channel, ClosedError
from aiapi_runtime.runtime.loading import describe, import_failure, load_app
from aiapi_runtime.runtime.process_attributes import die_with_parent, set_process_name
from aiapi_runtime.runtime.settings import RuntimeSettings
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


def _threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def _preload(settings: RuntimeSettings) -> tuple[Any, str]:
    """The app, and what its import did that does not survive a fork."""
    # An agent's sitecustomize may have started some, which it restarts in a fork.
    threads_before, before = _threads(), _sockets()
    app = load_app(settings)
    client_metrics.app_is_imported(settings)
    threads = _threads() - threads_before
    if threads > 0:
        return app, f"started {threads} threads"
    opened = _sockets() - before
    if opened:
        return app, f"opened {len(opened)} sockets"
    return app, ""


def _fork(channel: Channel, order: dict[str, Any], worker_fd: int) -> bool:
    """True in the new worker."""
    try:
        child = os.fork()
    except OSError as error:
        channel.send({"event": "fork_failed", "why": str(error)})
        os.close(worker_fd)
        return False
    if child:
        os.close(worker_fd)
        # In an app that ignores SIGCHLD the kernel has reaped it already.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)
        return False
    try:
        worker = os.fork()
    except OSError as error:
        channel.send({"event": "fork_failed", "why": str(error)})
        os._exit(1)
    if worker:
        channel.send({"event": "forked", "slot": order["slot"], "pid": worker})
        os._exit(0)
    return True


def _serve(channel: Channel, listener: socket.socket, memory_fd: int) -> WorkerInit | None:
    """Fork on request until the supervisor is gone.

    Returns in each worker; in the fork server only when the import failed (None).
    """
    first, _ = channel.receive() or ({}, [])
    settings = RuntimeSettings(**first["settings"])
    supervisor = first["supervisor"]
    die_with_parent()
    if os.getppid() != supervisor:
        raise ClosedError
    logs.set_up(settings.log_level, settings.log_format)
    from aiapi_runtime.runtime.worker import warm_up  # noqa: PLC0415 - for every fork, after the logs

    warm_up(settings)
    injection.end(settings.app_dir)
    app = None
    if settings.preload != "off":
        try:
            app, unsafe = _preload(settings)
        except BaseException as error:  # noqa: BLE001 - whatever the app raises is reported
            channel.send(
                {
                    "event": "failed",
                    "traceback": describe(error),
                    "reason": import_failure(error),
                }
            )
            return None
        if unsafe:
            channel.send({"event": "unforkable", "why": unsafe})
            return None
    gc.collect()
    gc.freeze()
    channel.send({"event": "loaded"})
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


def _ignore_signals() -> None:
    """The supervisor alone reacts to the terminal and the kubelet, and ends the others in order."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            # Programs that the app starts would inherit SIG_IGN, but they do not inherit a handler.
            signal.signal(number, lambda _number, _frame: None)


def main(arguments: list[str] | None = None) -> int:
    _ignore_signals()
    faulthandler.enable()
    set_process_name("aiapi-forksrv")
    channel_fd, listener_fd, memory_fd = fds = [int(text) for text in (arguments or sys.argv[1:4])]
    for fd in fds:
        # Programs that the app starts must not inherit them.
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
