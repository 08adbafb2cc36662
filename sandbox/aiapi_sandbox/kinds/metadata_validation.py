"""Validation of names, labels and annotations, with Kubernetes' messages."""

from __future__ import annotations

import re
from typing import Any

from aiapi_sandbox.apimachinery.errors import FieldViolation, Obj
from aiapi_sandbox.kinds.resources import ApiResource

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_VALUE = r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_NAME_PART = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    f"for validation is '{_SUBDOMAIN}')"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex "
    f"used for validation is '{_LABEL}')"
)
_LABEL_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or "
    f"'abc-123', regex used for validation is '{_LABEL_1035}')"
)
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
    f"'my_value',  or '12345', regex used for validation is '{_VALUE}')"
)
_NAME_PART_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    f"validation is '{_NAME_PART}')"
)


def _name_rule(resource: ApiResource) -> tuple[str, int, str]:
    if resource.gvr.group == "rbac.authorization.k8s.io":
        return r"[^/%]+", 253, "may not contain '/' or '%'"
    if resource.kind == "Namespace":
        return _LABEL, 63, _LABEL_TEXT
    if resource.kind == "Service":
        return _LABEL_1035, 63, _LABEL_1035_TEXT
    return _SUBDOMAIN, 253, _SUBDOMAIN_TEXT


def validate_metadata(resource: ApiResource, meta: Obj) -> list[FieldViolation]:
    return [*_validate_name(resource, meta), *_validate_labels(meta)]


def _validate_name(resource: ApiResource, meta: Obj) -> list[FieldViolation]:
    name = meta.get("name", "")
    if not name:
        detail = "name or generateName is required"
        return [FieldViolation("FieldValueRequired", "metadata.name", detail)]
    pattern, longest, text = _name_rule(resource)
    errors = []
    if len(name) > longest:
        too_long = f"must be no more than {longest} characters"
        errors.append(FieldViolation("FieldValueInvalid", "metadata.name", too_long, name))
    if not re.fullmatch(pattern, name):
        errors.append(FieldViolation("FieldValueInvalid", "metadata.name", text, name))
    return errors


def _validate_labels(meta: Obj) -> list[FieldViolation]:
    errors = []
    for key, value in (meta.get("labels") or {}).items():
        errors += _validate_key("metadata.labels", key)
        errors += label_value_errors("metadata.labels", value)
    for key in meta.get("annotations") or {}:
        errors += _validate_key("metadata.annotations", key.lower())
    return errors


def label_value_errors(path: str, value: Any) -> list[FieldViolation]:
    if not isinstance(value, str) or not re.fullmatch(_VALUE, value):
        return [FieldViolation("FieldValueInvalid", path, _VALUE_TEXT, value)]
    if len(value) > 63:
        detail = "must be no more than 63 bytes"
        return [FieldViolation("FieldValueInvalid", path, detail, value)]
    return []


def _validate_key(path: str, key: str) -> list[FieldViolation]:
    prefix, slash, name = key.rpartition("/")
    if slash and not re.fullmatch(_SUBDOMAIN, prefix):
        return [FieldViolation("FieldValueInvalid", path, f"prefix part {_SUBDOMAIN_TEXT}", key)]
    if not re.fullmatch(_NAME_PART, name) or len(name) > 63:
        return [FieldViolation("FieldValueInvalid", path, _NAME_PART_TEXT, key)]
    return []
