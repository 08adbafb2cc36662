"""The AIApi as YAML, with a comment for everything that is not carried over as it was."""

import textwrap
from collections.abc import Iterable
from typing import Any

from aiapi_operator.plugin import output as out
from aiapi_operator.plugin.adopt.convert import Adoption
from aiapi_operator.plugin.adopt.remarks import Remark

_WIDTH = 100


def render(adoption: Adoption) -> str:
    """The document. Comments stand above the field they explain, or at the end."""
    spec = adoption.manifest["spec"]
    head = {key: value for key, value in adoption.manifest.items() if key != "spec"}
    metadata = [each for each in adoption.remarks if each.near == "metadata"]
    lines = [
        *_comment(
            f"{adoption.origin} as an AIApi. Apply it with: kubectl apply --server-side -f FILE"
        ),
        *_remarks(metadata),
        out.to_yaml(head).rstrip(),
        "spec:",
        *(line for key, value in spec.items() for line in _field(key, value, adoption.remarks)),
        *_lost(adoption.remarks),
    ]
    return "\n".join(lines) + "\n"


def _field(key: str, value: Any, remarks: Iterable[Remark]) -> list[str]:
    about = [each for each in remarks if each.near == key]
    lines = [*_remarks(about), *out.to_yaml({key: value}).rstrip().splitlines()]
    return [f"  {line}".rstrip() for line in lines]


def _lost(remarks: Iterable[Remark]) -> list[str]:
    """The remarks on fields without a counterpart, by object."""
    lost = [each for each in remarks if not each.near]
    if not lost:
        return []
    lines = ["", "# Not carried over:"]
    for origin in dict.fromkeys(each.origin for each in lost):
        lines += ["#", f"# {origin}", *_remarks(each for each in lost if each.origin == origin)]
    return lines


def _remarks(remarks: Iterable[Remark]) -> list[str]:
    return [line for each in remarks for line in _comment(f"- {each.text}", indent="  ")]


def _comment(text: str, indent: str = "") -> list[str]:
    """Comment lines. A line break within a value must not end the comment."""
    lines = [
        line
        for part in text.splitlines()
        for line in textwrap.wrap(
            part, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    ]
    return [f"# {line}" for line in lines]
