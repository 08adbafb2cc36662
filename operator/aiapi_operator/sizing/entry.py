"""Learner: an entry of ``LEARNERS``. It learns one property and keeps it across a restart."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from aiapi_operator.sizing.facts import Facts

S = TypeVar("S")
Saved = Mapping[str, Any]
"""The fields that the previous operator wrote. It may have been of another version."""


def _nothing_saved(_: Any, __: Saved) -> dict[str, Any]:
    return {}


def _nothing_restored(_: Saved) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Learner(Generic[S]):
    """Learns one property of a fleet, tick by tick.

    ``learn`` gets what it returned last (None at first) and the facts of the tick. ``checkpoint``
    returns the fields of ``status.learned`` to write; it gets those written last, so that small
    changes need no write. ``restore`` reads them back and must accept any content.
    """

    kind: type[S]
    learn: Callable[[S | None, Facts], S | None]
    checkpoint: Callable[[S, Saved], dict[str, Any]] = field(default=_nothing_saved)
    restore: Callable[[Saved], S | None] = field(default=_nothing_restored)
    tuning: object = None
