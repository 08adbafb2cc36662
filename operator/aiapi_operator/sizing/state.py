"""What the right-sizer remembers between two decisions. In memory only: a restart begins anew."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Opaque to callers: start with ``State()`` and pass each decision's ``state`` to the next."""
