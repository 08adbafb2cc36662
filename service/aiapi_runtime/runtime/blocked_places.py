"""Where event loops have stood still: each place is logged once, and counted."""

import logging

logger = logging.getLogger("aiapi.supervisor")

_MOST_PLACES = 50
_OTHER = "other"


class BlockedPlaces:
    """All workers of the pod, those that have left included."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self._seen: dict[int, int] = {}

    def note(self, slot: int, blocks: int, place: str) -> None:
        """A worker has been seen to stand still so many times so far, the last time here."""
        new = blocks - self._seen.get(slot, 0)
        if new <= 0:
            return
        self._seen[slot] = blocks
        known = place if place in self.places or len(self.places) < _MOST_PLACES else _OTHER
        if known not in self.places:
            logger.warning(
                "an event loop stands still at %s: no other request of this worker moves meanwhile",
                f"{place} (further places count as {_OTHER})" if known == _OTHER else place,
            )
        self.places[known] = self.places.get(known, 0) + new

    def forget(self, slot: int) -> None:
        """The slot is for another worker now."""
        self._seen.pop(slot, None)
