"""Field types for text and numbers that are passed to models and databases.

Text has no lone surrogates (the JSON parser rejects them) and no NUL (Postgres cannot store it).
Names are short and have no control characters, since they appear in logs and metrics.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, StringConstraints

NAME = r"^[^\x00-\x1f\x7f]+$"
TEXT = r"^[^\x00]*$"

Name = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=NAME)]
Text = Annotated[str, StringConstraints(pattern=TEXT)]


def _whole(value: Any) -> Any:
    """Accept 3.0 as an integer. Must come last in Annotated to keep bounds in the schema."""
    return int(value) if type(value) is float and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
