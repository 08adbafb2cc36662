"""Reads the histograms of a pod's ``/stats`` answer.

A pod sends one of two forms. The full form has ``bounds`` and all ``counts``. The short form has
the counts without the zeros at both ends, and the number of the ``first`` bucket that is sent; all
histograms of the answer share one list of bounds. Older runtimes send the full form.

The bounds are the same in each answer of a runtime, so they are compared as text, and parsed and
checked once. A fleet then shares one tuple instead of holding a copy for each pod.
"""

from functools import lru_cache
from operator import lt
from typing import Annotated

import msgspec
from msgspec import Meta

from aiapi_operator.observe.invalid_stats import InvalidStatsError, described
from aiapi_operator.sizing.histogram import compact
from aiapi_operator.sizing.inputs import Histogram

MAX_BOUNDS = 512
NO_TEXT = msgspec.Raw(b"")

Count = Annotated[int, Meta(ge=0, le=10**15)]
Seconds = Annotated[float, Meta(ge=0, le=1e12)]
_Bound = Annotated[float, Meta(gt=0, le=1e6)]
_ZEROS = (0,) * (MAX_BOUNDS + 1)
_BOUNDS = msgspec.json.Decoder(Annotated[tuple[_Bound, ...], Meta(max_length=MAX_BOUNDS)])


class HistogramText(msgspec.Struct, frozen=True, gc=False):
    """A histogram as a pod sends it. ``first`` is present in the short form only."""

    counts: Annotated[tuple[Count, ...], Meta(max_length=MAX_BOUNDS + 1)]
    sum: Seconds
    bounds: msgspec.Raw = NO_TEXT
    first: Annotated[int, Meta(ge=0, le=MAX_BOUNDS)] | None = None

    def plain(self, name: str, shared: tuple[float, ...] | None) -> Histogram:
        """The histogram called ``name``; ``shared`` has the bounds of the short form."""
        if self.first is None:
            return self._full(name)
        if shared is None:
            raise InvalidStatsError("bounds: missing required field")
        after = len(shared) + 1 - self.first - len(self.counts)
        if after < 0:
            raise InvalidStatsError(f"{name}: counts must end with the last bucket")
        counts = _ZEROS[: self.first] + self.counts + _ZEROS[:after]
        return Histogram(bounds=shared, counts=compact(counts), sum=self.sum)

    def _full(self, name: str) -> Histogram:
        bounds = bounds_of(f"{name}.bounds", self.bounds)
        if bounds is None:
            raise InvalidStatsError(f"{name}: missing required field `bounds`")
        if len(self.counts) != len(bounds) + 1:
            raise InvalidStatsError(f"{name}: counts must have one entry more than bounds")
        return Histogram(bounds=bounds, counts=compact(self.counts), sum=self.sum)


def bounds_of(field: str, text: msgspec.Raw) -> tuple[float, ...] | None:
    """The bounds in a JSON list, or None without one. Equal text gives the same tuple."""
    raw = bytes(text)
    if not raw:
        return None
    try:
        return _parsed(raw)
    except msgspec.ValidationError as error:
        raise InvalidStatsError(described(error, field)) from None
    except _UnorderedError:
        raise InvalidStatsError(f"{field}: bounds must ascend") from None


class _UnorderedError(ValueError):
    """The bounds do not ascend."""


@lru_cache(maxsize=16)
def _parsed(raw: bytes) -> tuple[float, ...]:
    bounds: tuple[float, ...] = _BOUNDS.decode(raw)
    if not all(map(lt, bounds, bounds[1:])):
        raise _UnorderedError
    return bounds
