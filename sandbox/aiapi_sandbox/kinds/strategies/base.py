"""The create and update strategy of a kind: defaulting and validation."""

from __future__ import annotations

from aiapi_sandbox.apimachinery.errors import FieldViolation, Obj


class Strategy:
    """Accepts anything. Kinds override what they need; validation returns all errors."""

    keeps_status_on_create = False  # whether a create request may set the status

    def prepare_for_create(self, obj: Obj) -> None:
        """Set defaults and drop fields that a client may not set."""

    def prepare_for_update(self, obj: Obj, old: Obj, subresource: str | None) -> None:
        """The same for an updated object."""

    def validate_create(self, obj: Obj) -> list[FieldViolation]:  # noqa: ARG002 - no rules by default
        return []

    def validate_update(
        self,
        obj: Obj,  # noqa: ARG002 - as above
        old: Obj,  # noqa: ARG002
        subresource: str | None,  # noqa: ARG002
    ) -> list[FieldViolation]:
        return []
