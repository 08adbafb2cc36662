"""Fields and objects of requests that are passed to models and databases.

Text has no lone surrogates (the JSON parser rejects them) and no NUL (Postgres cannot store it).
Names are short and have no control characters, since they appear in logs and metrics. Objects have
few fields, and lists are validated with `fail_fast`, since each invalid item would become an error.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, model_validator

NAME = r"^[^\x00-\x1f\x7f]+$"
TEXT = r"^[^\x00]*$"

Name = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=NAME)]
Text = Annotated[str, StringConstraints(pattern=TEXT)]

MAX_FIELDS = 64
"""Fields of one object."""


def few_fields(value: Any) -> Any:
    """Refuse an object with many fields before each of them becomes an error or a copy."""
    if isinstance(value, dict) and len(value) > MAX_FIELDS:
        raise ValueError(f"has more than {MAX_FIELDS} fields")
    return value


class StrictModel(BaseModel):
    """Refuses unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, value: Any) -> Any:
        return few_fields(value)


def _whole(value: Any) -> Any:
    """Accept 3.0 as an integer. Must come last in Annotated to keep bounds in the schema."""
    return int(value) if type(value) is float and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
