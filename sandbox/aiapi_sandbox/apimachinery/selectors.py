"""Label and field selectors: query strings and LabelSelector objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from aiapi_sandbox.apimachinery.errors import Obj, bad_request

Labels = Mapping[str, str]
Predicate = Callable[[Labels], bool]
LabelQuery = str | Mapping[str, str] | None
FieldQuery = str | Mapping[str, str] | None

_SET = re.compile(r"^(?P<key>[^\s!=]+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[^\s!=]+)\s*(?P<op>==|=|!=)\s*(?P<value>\S*)$")
_EXISTS = re.compile(r"^(?P<no>!?)\s*(?P<key>[^\s!=(),]+)$")


def _requirement(key: str, operator: str, values: frozenset[str]) -> Predicate:
    tests: dict[str, Predicate] = {
        "In": lambda labels: labels.get(key) in values,
        "NotIn": lambda labels: labels.get(key) not in values,
        "Exists": lambda labels: key in labels,
        "DoesNotExist": lambda labels: key not in labels,
    }
    if operator not in tests:
        raise bad_request(f'"{operator}" is not a valid label selector operator')
    return tests[operator]


def _parse_term(term: str) -> Predicate:
    if found := _SET.match(term):
        values = frozenset(value.strip() for value in found["values"].split(","))
        return _requirement(found["key"], "In" if found["op"] == "in" else "NotIn", values)
    if found := _EQUAL.match(term):
        operator = "NotIn" if found["op"] == "!=" else "In"
        return _requirement(found["key"], operator, frozenset({found["value"]}))
    if found := _EXISTS.match(term):
        return _requirement(found["key"], "DoesNotExist" if found["no"] else "Exists", frozenset())
    raise bad_request(f"unable to parse requirement: found '{term}'")


def parse_labels(query: LabelQuery) -> Predicate:
    """A predicate on labels; an empty query matches everything."""
    if not query:
        return lambda _labels: True
    if isinstance(query, str):
        terms = [term.strip() for term in re.split(r",(?![^(]*\))", query) if term.strip()]
        tests = [_parse_term(term) for term in terms]
    else:
        tests = [_requirement(k, "In", frozenset({v})) for k, v in query.items()]
    return lambda labels: all(test(labels) for test in tests)


def matches_selector(selector: Mapping[str, Any] | None, labels: Labels) -> bool:
    """Whether a LabelSelector matches these labels. None matches nothing, {} everything."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(
        _requirement(term["key"], term["operator"], frozenset(term.get("values") or ()))(labels)
        for term in selector.get("matchExpressions") or ()
    )


def format_selector(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector as a string, as in `Scale.status.selector`."""
    if not selector:
        return ""
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for term in selector.get("matchExpressions") or ():
        values = ",".join(sorted(term.get("values") or ()))
        formats = {
            "In": f"{term['key']} in ({values})",
            "NotIn": f"{term['key']} notin ({values})",
            "Exists": term["key"],
            "DoesNotExist": f"!{term['key']}",
        }
        terms.append(formats[term["operator"]])
    return ",".join(terms)


def field_text(obj: Mapping[str, Any], path: str) -> str:
    """A field's value as field selectors compare it; a missing field is the empty string."""
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def parse_fields(query: FieldQuery) -> Callable[[Obj], bool]:
    """A predicate on objects. Terms are `path=value`, `path==value` and `path!=value`."""
    if not query:
        return lambda _obj: True
    terms: list[tuple[str, bool, str]] = []
    if isinstance(query, str):
        for term in filter(None, (part.strip() for part in query.split(","))):
            found = re.match(r"^([^=!]+)(==|=|!=)(.*)$", term)
            if not found:
                raise bad_request(f"invalid selector: '{term}'; can't understand '{term}'")
            terms.append((found[1].strip(), found[2] != "!=", found[3].strip()))
    else:
        terms = [(path, True, value) for path, value in query.items()]
    return lambda obj: all(
        (field_text(obj, path) == value) is wanted for path, wanted, value in terms
    )
