"""Why an app cannot be served in its image: one line for the log and for the pod's status."""

import os
import sys

# sysexits.h: something was found in an unconfigured or misconfigured state.
EX_CONFIG = 78
_TERMINATION_LOG = "/dev/termination-log"
# The kubelet keeps 4096 bytes.
_MAX_LENGTH = 2048


class Refusal(Exception):  # noqa: N818 - not an error of this program
    """The reason in CamelCase, and the message with advice."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")


def line_of(refusal: Refusal) -> str:
    text = " ".join(f"aiapi: {refusal}".split())
    return text[:_MAX_LENGTH]


def report(refusal: Refusal, termination_log: str = _TERMINATION_LOG) -> int:
    """Print the line, and leave it for the kubelet; returns the exit code."""
    line = line_of(refusal)
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
    try:
        # Without O_CREAT: where there is no kubelet, no file is left behind.
        file = os.open(termination_log, os.O_WRONLY | os.O_TRUNC)
    except OSError:
        return EX_CONFIG
    with os.fdopen(file, "wb") as log:
        log.write(line.encode("utf-8", "replace"))
    return EX_CONFIG
