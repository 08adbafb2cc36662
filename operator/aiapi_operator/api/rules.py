"""A rule is said once and holds twice: as CEL in the API server, as Python in the models.

The API server refuses bad input at apply. The models refuse it too, because an AIApi may
have been stored under an older CRD, and the right-sizer relies on what the rules promise.
Each ``Rule`` keeps both forms side by side; a property test compares their verdicts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

EXTENSION = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Rule:
    """One promise about a value. Use it in ``Annotated[...]`` or in a model's ``rules``.

    ``message`` names the field and the rule and the way out; users see it at apply.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool]

    def check(self, value: Any) -> Any:
        """The value itself, or ``ValueError`` with the rule's message."""
        if not self.holds(value):
            raise ValueError(self.message)
        return value

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return with_rules(handler(schema), self)


def with_rules(schema: JsonSchemaValue, *rules: Rule) -> JsonSchemaValue:
    """The schema with the rules added to those it has."""
    if not rules:
        return schema
    added = [{"rule": rule.cel, "message": rule.message} for rule in rules]
    return {**schema, EXTENSION: [*schema.get(EXTENSION, []), *added]}
