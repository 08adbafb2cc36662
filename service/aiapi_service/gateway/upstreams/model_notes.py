"""What is known of single models of one upstream: calls rest, or it does not have the model.

A rate limit or an overload of one model says nothing about the others. Callers choose the names of
models, so the number of notes is bounded; the oldest are dropped.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

Note = TypeVar("Note")

_MAX_REST_SECONDS = 30.0
_MISSING_SECONDS = 60.0
_MAX_NOTES = 256


@dataclass(frozen=True, slots=True)
class Rest:
    """A pause of the calls for one model, after Retry-After."""

    until: float = 0.0
    is_rate_limit: bool = False
    """Whether the upstream answered 429."""


_NO_REST = Rest()


class ModelNotes:
    """The notes of one upstream."""

    def __init__(self) -> None:
        self._rests: OrderedDict[str, Rest] = OrderedDict()
        self._missing: OrderedDict[str, float] = OrderedDict()

    def note_rest(self, model: str, now: float, seconds: float, *, is_rate_limit: bool) -> None:
        """Stop calls for the model for a while."""
        rest = Rest(now + min(seconds, _MAX_REST_SECONDS), is_rate_limit)
        _keep(self._rests, model, rest)

    def rest(self, model: str) -> Rest:
        """The latest rest of the model, also when it is over."""
        return self._rests.get(model, _NO_REST)

    def note_missing(self, model: str, now: float) -> None:
        """The upstream does not have the model."""
        _keep(self._missing, model, now + _MISSING_SECONDS)

    def is_missing(self, model: str, now: float) -> bool:
        """Whether the upstream recently reported the model as not found."""
        return now < self._missing.get(model, 0.0)


def _keep(notes: OrderedDict[str, Note], model: str, note: Note) -> None:
    notes[model] = note
    notes.move_to_end(model)
    if len(notes) > _MAX_NOTES:
        notes.popitem(last=False)
