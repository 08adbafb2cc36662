"""The values of the label `model`. Callers invent names, and a metric has a limited number of
label sets: models from the settings and from `/v1/models` keep theirs.
"""

from collections.abc import Iterable

from aiapi_runtime.telemetry.metrics import OTHER

# Each pair of upstream and model takes two label sets of `aiapi_tokens_total`, of 100. The rest is
# for `other`, one pair for each upstream.
_MAX_PAIRS = 36
_MAX_UNKNOWN_PAIRS = 8
_MAX_LISTED = 10_000


class ModelLabels:
    """The labels of one worker."""

    def __init__(self) -> None:
        self._pairs: set[tuple[str, str]] = set()
        self._unknown: set[tuple[str, str]] = set()
        self._listed: set[tuple[str, str]] = set()

    def reserve(self, upstream: str, models: Iterable[str]) -> None:
        """Reserve labels for models from the settings."""
        for model in models:
            if len(self._pairs) < _MAX_PAIRS:
                self._pairs.add((upstream, model))

    def note_listed(self, upstream: str, models: Iterable[str]) -> None:
        """Models that the upstream lists take a label when they are used."""
        for model in models:
            if len(self._listed) < _MAX_LISTED:
                self._listed.add((upstream, model))

    def label(self, upstream: str, model: str) -> str:
        """The label of a model: its name, or `other`."""
        pair = (upstream, model)
        if pair in self._pairs or pair in self._unknown:
            return model
        kept, limit = (
            (self._pairs, _MAX_PAIRS)
            if pair in self._listed
            else (self._unknown, _MAX_UNKNOWN_PAIRS)
        )
        if len(kept) >= limit:
            return OTHER
        kept.add(pair)
        return model
