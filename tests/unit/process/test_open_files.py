"""The operator uses the hard limit of open files: one connection for each pod."""

import resource
from resource import RLIM_INFINITY

import pytest

from aiapi_operator.process import open_files


@pytest.mark.parametrize(
    ("soft", "hard", "set_to", "room"),
    [
        (1024, 524_288, 65_536, 65_280),
        (1024, 4096, 4096, 3840),
        (1024, RLIM_INFINITY, 65_536, 65_280),
        (100_000, 524_288, None, 99_744),
        (RLIM_INFINITY, RLIM_INFINITY, None, 65_280),
        (256, 256, None, 128),
    ],
)
def test_the_soft_limit_is_raised_and_leaves_a_reserve(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, set_to: int | None, room: int
) -> None:
    changes: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: changes.append(limits))
    assert open_files.connections() == room
    assert changes == ([] if set_to is None else [(set_to, hard)])
