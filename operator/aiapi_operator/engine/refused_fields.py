"""Refusals of the API server in the terms of an AIApi. Pure.

Users write ``podTemplate``, and the API server names fields of the Deployment made from it.
"""

import re

_PREAMBLE = re.compile(
    r"^failed to (?:create typed patch object|convert new object) \([^)]*\)"
    r"(?: to proper version)?: |^[\w.]+ \"[^\"]+\" is invalid: "
)
_TEMPLATE = re.compile(r"(?<![\w.])\.?spec\.template\.(?=spec|metadata|labels|annotations)")


def explained(message: str) -> str:
    """The message without the object that it is about, and with the fields of the AIApi."""
    text = " ".join(_PREAMBLE.sub("", message).split())
    text = _TEMPLATE.sub("spec.podTemplate.", text)
    return text.replace("field not declared in schema", "unknown field: correct or remove it")
