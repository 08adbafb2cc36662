"""What an entry of ``LEARNERS`` is: how to learn one thing, and how it survives a restart."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from aiapi_operator.sizing.facts import Facts

S = TypeVar("S")
Saved = Mapping[str, Any]
"""``status.learned`` as the previous operator wrote it. It may be of another version."""


def _nothing_saved(_: Any, __: Saved) -> dict[str, Any]:
    return {}


def _nothing_restored(_: Saved) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Learner(Generic[S]):
    """Learns one thing from each tick.

    ``learn`` gets what it returned last (None at first) and the facts of the tick. ``checkpoint``
    returns fields of ``status.learned``; it gets those written last, so that it can leave a value
    that hardly moved as it is. ``restore`` reads them back and must accept anything.
    """

    kind: type[S]
    learn: Callable[[S | None, Facts], S | None]
    checkpoint: Callable[[S, Saved], dict[str, Any]] = field(default=_nothing_saved)
    restore: Callable[[Saved], S | None] = field(default=_nothing_restored)
    tuning: object = None
