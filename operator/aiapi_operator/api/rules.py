"""Validation rules, defined once and checked twice: as CEL in the API server, in Python here.

The API server rejects invalid input at apply. The models check it again, because an AIApi may have
been stored under an older CRD. A property test compares the two forms of each rule.
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
    """A constraint on a value. Use it in ``Annotated[...]`` or in a model's ``rules``.

    Users see ``message`` at apply: it names the field, the constraint and what to write.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool]

    def check(self, value: Any) -> Any:
        """Returns the value; raises ``ValueError`` with the message if the rule does not hold."""
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
    """The schema with the rules appended."""
    if not rules:
        return schema
    added = [{"rule": rule.cel, "message": rule.message} for rule in rules]
    return {**schema, EXTENSION: [*schema.get(EXTENSION, []), *added]}
