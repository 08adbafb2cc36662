"""The shim: the parent of a container's main process, like containerd-shim.

All processes of a container must end when the container ends, and when the sandbox exits, even
after `kill -9`. Only a parent process can guarantee that. As a child subreaper, the shim finds
every descendant. It kills them when the main process exits, or when its standard input closes,
which also happens when the sandbox is killed.

It is a plain script (`python -I -S shim.py STATUS_FD CWD ARGV...`) that imports nothing from the
package, because every container starts one and must start fast. It reports on STATUS_FD, one line
each: `started PID`, `failed MESSAGE`, `exited CODE`. It reads commands from standard input:
`signal NUMBER` for the main process, and `kill`.
"""

import ctypes
import os
import select
import shutil
import signal
import sys
from contextlib import suppress
from typing import NoReturn

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def prctl(option: int, argument: int) -> None:
    """Call prctl(2), which the standard library does not provide."""
    ctypes.CDLL(None, use_errno=True).prctl(option, argument, 0, 0, 0)


def exec_main(argv: list[str], cwd: str, failure: int) -> NoReturn:
    """Replace this forked process with the container's main process."""
    try:
        os.setsid()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (*IGNORED, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(cwd)
        executable = shutil.which(argv[0], path=os.environ.get("PATH"))
        if executable is None:
            raise FileNotFoundError(f'exec: "{argv[0]}": executable file not found in $PATH')
        os.execve(executable, argv, os.environ)  # noqa: S606 - the container's command, without a shell
    except OSError as error:
        message = f'exec: "{argv[0]}": {error.strerror}' if error.strerror else str(error)
        os.write(failure, message.encode())
    os._exit(127)


def launch(argv: list[str], cwd: str) -> tuple[int, str]:
    """Fork the main process; return its PID and an error message, if exec failed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        exec_main(argv, cwd, writer)
    os.close(writer)
    message = b""
    while chunk := os.read(reader, 4096):
        message += chunk
    os.close(reader)
    return pid, message.decode()


def parents() -> dict[int, int]:
    """Map the PID of every process to its parent's, from /proc."""
    found = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib is slower than the scan itself
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                fields = file.read().rpartition(b")")[2].split()
                if fields[0] != b"Z":
                    found[int(name)] = int(fields[1])
    return found


def descendants(root: int) -> list[int]:
    """The PIDs of all running descendants of `root`."""
    parent_of = parents()
    below: list[int] = []
    level = {root}
    while level:
        level = {pid for pid, parent in parent_of.items() if parent in level}
        below.extend(level)
    return below


def reap(main: int) -> int | None:
    """Reap exited children; return the main process's wait status when it is one of them."""
    found = None
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == main:
                found = status
    return found


def kill_descendants() -> None:
    """Kill all descendants, repeatedly, because they may fork before they die."""
    while below := descendants(os.getpid()):
        for pid in below:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        reap(-1)
        select.select([], [], [], 0.002)


def handle_command(line: str, main: int) -> None:
    """Run one command from the sandbox."""
    verb, _, argument = line.partition(" ")
    number = signal.SIGKILL if verb == "kill" else int(argument)
    with suppress(ProcessLookupError):
        os.kill(main, number)


def supervise(main: int) -> int | None:
    """Return the main process's wait status, or None when the sandbox has exited."""
    wake_reader, wake_writer = os.pipe()
    os.set_blocking(wake_writer, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
    pending = ""
    while True:
        status = reap(main)
        if status is not None:
            return status
        readable, _, _ = select.select([0, wake_reader], [], [])
        if wake_reader in readable:
            os.read(wake_reader, 4096)
        if 0 in readable:
            data = os.read(0, 4096).decode()
            if not data:
                return None
            *lines, pending = (pending + data).split("\n")
            for line in lines:
                handle_command(line, main)


def main() -> NoReturn:
    """Run one container until it exits."""
    status_fd, cwd, argv = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    os.set_inheritable(status_fd, False)
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    pid, failure = launch(argv, cwd)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    if failure:
        os.write(status_fd, f"failed {failure}\n".encode())
        os._exit(1)
    os.write(status_fd, f"started {pid}\n".encode())
    status = supervise(pid)
    kill_descendants()
    if status is not None:
        with suppress(OSError):
            code = os.waitstatus_to_exitcode(status)
            os.write(status_fd, f"exited {code if code >= 0 else 128 - code}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    main()
