"""Where loops are blocked: the reported place, and how often it is logged."""

import sys
import sysconfig

import pytest

from aiapi_runtime.runtime.blocked_places import BlockedPlaces
from aiapi_runtime.telemetry.heartbeat import code_location


def call_from(path, module, inner):
    """A function of a module there, which calls `inner`."""
    names = {"__name__": module, "inner": inner}
    exec(compile("def handler():\n    return inner()\n", path, "exec"), names)  # noqa: S102 - a module that is nowhere
    return names["handler"]


@pytest.mark.parametrize(
    ("own", "named"), [("myapp", "myapp/main.py:2 handler"), ("", "driver/wire.py:2 handler")]
)
def test_an_app_installed_among_the_libraries_is_the_place(own, named):
    libraries = sysconfig.get_path("purelib")
    driver = call_from(
        f"{libraries}/driver/wire.py",
        "driver.wire",
        lambda: code_location(_Cut(sys._getframe(1)), own),
    )
    app = call_from(f"{libraries}/myapp/main.py", "myapp.main", driver)
    assert app() == f"{libraries}/{named}"


class _Cut:
    """A frame whose callers end where those of libraries do."""

    def __init__(self, frame):
        self.f_code, self.f_lineno, self.f_globals = frame.f_code, frame.f_lineno, frame.f_globals
        caller = frame.f_back
        self.f_back = None if caller.f_globals["__name__"] == __name__ else _Cut(caller)


def test_each_place_and_the_overflow_are_logged_once(caplog):
    blocks = BlockedPlaces()
    for count in range(1, 61):
        blocks.record(0, count, f"app.py:{count} f")
        blocks.record(1, count, f"app.py:{count} f")
    assert len(blocks.counts) == 51
    assert blocks.counts["other"] == 20
    assert len(caplog.messages) == 51
    assert "at app.py:51 f (further places count as other): " in caplog.messages[-1]
