"""Variables as they were when this process started.

`opentelemetry-instrument` and others like it work by a `sitecustomize` on PYTHONPATH, which removes
itself from the variable so that programs of the app are left alone. The runtime's own processes
follow one another by exec and by spawn, and each of them has to be found by it.
"""

import os


def initial(name: str) -> "str | None":
    """The variable's value at the start of this process; None when it was not set."""
    try:
        with open("/proc/self/environ", "rb") as file:
            pairs = file.read().split(b"\0")
    except OSError:
        return os.environ.get(name)
    prefix = os.fsencode(name) + b"="
    for pair in pairs:
        if pair.startswith(prefix):
            return os.fsdecode(pair[len(prefix) :])
    return None


def for_own_process() -> "dict[str, str]":
    """The environment of a further process of the runtime."""
    variables = dict(os.environ)
    python_path = initial("PYTHONPATH")
    if python_path is not None:
        variables["PYTHONPATH"] = python_path
    return variables
