"""The two process attributes of Linux that Python has no call for."""

import ctypes

_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36


def name_process(name: str) -> None:
    """What ps and top show; 15 bytes at most."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def adopt_orphans() -> None:
    """Make this process the parent of its descendants' orphans, as PID 1 is anyway."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
