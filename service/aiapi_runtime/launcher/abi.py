"""The folder with the compiled parts for an interpreter: `cp311-manylinux-x86_64`."""

import os
import platform
import sys


def folder_name() -> str:
    version = f"cp{sys.version_info[0]}{sys.version_info[1]}{_flags()}"
    return f"{version}-{_libc()}-{platform.machine()}"


def _flags() -> str:
    # A free-threaded build loads none of the usual extension modules.
    return "t" if "t" in getattr(sys, "abiflags", "") else ""


def _libc() -> str:
    try:
        found = os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError):
        found = None
    return "manylinux" if found else "musllinux"
