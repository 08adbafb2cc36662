"""Text that may go on to models and databases.

No lone surrogates (they cannot be encoded; the JSON parser refuses them) and no NUL (Postgres
cannot store it). Names are short and hold no control characters: they end in logs and metrics.
"""

from typing import Annotated

from pydantic import StringConstraints

NAME = r"^[^\x00-\x1f\x7f]+$"
TEXT = r"^[^\x00]*$"

Name = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=NAME)]
Text = Annotated[str, StringConstraints(pattern=TEXT)]
