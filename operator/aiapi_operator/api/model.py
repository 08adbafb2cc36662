"""Base classes of the AIApi models: immutable, camelCase in YAML, unknown fields rejected."""

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from aiapi_operator.api.rules import Rule, with_rules


class Model(BaseModel):
    """An immutable part of the resource. ``rules`` validate several of its fields together."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
        validate_by_alias=True,
        validate_by_name=True,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _rules_hold(self) -> Self:
        for rule in self.rules:
            rule.check(self)
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        json_schema = handler(schema)
        target = handler.resolve_ref_schema(json_schema)
        target.update(with_rules(target, *cls.rules))
        return json_schema

    def manifest(self) -> dict[str, Any]:
        """The part as in YAML: camelCase, without unset fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class LenientModel(Model):
    """A part that the API server or another version writes: unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")
