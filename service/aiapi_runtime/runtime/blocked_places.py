"""Where event loops were blocked: each place is logged once and counted."""

import logging

logger = logging.getLogger("aiapi.supervisor")

_MAX_PLACES = 50
_OTHER = "other"


class BlockedPlaces:
    """Covers all workers of the pod, departed ones included."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._seen: dict[int, int] = {}

    def record(self, slot: int, blocks: int, place: str) -> None:
        """A worker's loop has been blocked `blocks` times so far, the last time at `place`."""
        new = blocks - self._seen.get(slot, 0)
        if new <= 0:
            return
        self._seen[slot] = blocks
        name = place if place in self.counts or len(self.counts) < _MAX_PLACES else _OTHER
        if name not in self.counts:
            logger.warning(
                "an event loop is blocked at %s: the worker's other requests wait",
                f"{place} (further places count as {_OTHER})" if name == _OTHER else place,
            )
        self.counts[name] = self.counts.get(name, 0) + new

    def forget(self, slot: int) -> None:
        """The slot is about to get another worker."""
        self._seen.pop(slot, None)
