"""``spec.strategy``: how a change of the pod template replaces the pods."""

import re
from typing import Annotated, ClassVar

from pydantic import Field

from aiapi_operator.api.model import Model
from aiapi_operator.api.rules import Rule
from aiapi_operator.api.scalars import Int

_PERCENT = r"^([0-9]{1,2}|100)%$"


def _is_count(value: int | str) -> bool:
    if isinstance(value, int):
        return value >= 0
    return re.fullmatch(_PERCENT, value) is not None


def _is_zero(value: int | str) -> bool:
    return value in (0, "0%", "00%")


_Count = Annotated[
    Int | str,
    Rule(
        cel=f"type(self) == int ? self >= 0 : self.matches(r'{_PERCENT}')",
        message="must be a number of pods or a percentage up to 100%, such as 1 or 25%",
        holds=_is_count,
    ),
]


class Strategy(Model):
    """How a change of the pod template replaces the pods."""

    max_surge: _Count = "25%"
    """Pods that a rollout may add, as a number or a percentage. Set 0, and maxUnavailable to 1,
    where a quota or the nodes have no room for another pod."""
    max_unavailable: _Count = 0
    """Pods that a rollout may take away before their replacements are ready, as a number or a
    percentage. Above 0, the fleet is smaller during a rollout."""
    min_ready_seconds: Annotated[Int, Field(ge=0, le=3600)] = 2
    """Seconds that a new pod must be ready before the rollout goes on."""
    progress_deadline_seconds: Annotated[Int, Field(ge=1, le=86_400)] = 600
    """Seconds without progress after which a rollout counts as stuck."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!(string(self.maxSurge) in ['0', '0%', '00%']"
            " && string(self.maxUnavailable) in ['0', '0%', '00%'])",
            message="maxSurge and maxUnavailable must not both be 0, because no pod could then be"
            " replaced: set maxUnavailable to 1",
            holds=lambda one: not (_is_zero(one.max_surge) and _is_zero(one.max_unavailable)),
        ),
        Rule(
            cel="self.minReadySeconds < self.progressDeadlineSeconds",
            message="progressDeadlineSeconds must exceed minReadySeconds: raise it",
            holds=lambda one: one.min_ready_seconds < one.progress_deadline_seconds,
        ),
    )
