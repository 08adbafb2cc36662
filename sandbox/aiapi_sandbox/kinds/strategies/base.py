"""What a kind adds to the common life of an object: its defaults and its rules."""

from __future__ import annotations

from aiapi_sandbox.apimachinery.errors import FieldViolation, Obj


class Strategy:
    """Accepts anything. Kinds override what they need; errors come back as a list."""

    keeps_status_on_create = False  # whether a create may carry a status

    def prepare_for_create(self, obj: Obj) -> None:
        """Fill in defaults, drop what a client may not set."""

    def prepare_for_update(self, obj: Obj, old: Obj, subresource: str | None) -> None:
        """The same for a changed object."""

    def validate_create(self, obj: Obj) -> list[FieldViolation]:  # noqa: ARG002 - the plain kind has no rules
        return []

    def validate_update(
        self,
        obj: Obj,  # noqa: ARG002 - as above
        old: Obj,  # noqa: ARG002
        subresource: str | None,  # noqa: ARG002
    ) -> list[FieldViolation]:
        return []
