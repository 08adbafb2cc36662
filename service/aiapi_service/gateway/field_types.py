"""Text and numbers that may go on to models and databases.

No lone surrogates (they cannot be encoded; the JSON parser refuses them) and no NUL (Postgres
cannot store it). Names are short and hold no control characters: they end in logs and metrics.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, StringConstraints

NAME = r"^[^\x00-\x1f\x7f]+$"
TEXT = r"^[^\x00]*$"

Name = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=NAME)]
Text = Annotated[str, StringConstraints(pattern=TEXT)]


def _whole(value: Any) -> Any:
    """JSON has one kind of number: 3.0 is an integer. Named last, it keeps bounds in the schema."""
    return int(value) if type(value) is float and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
