"""Decoding of protobuf bodies, which kubectl and Helm send for some built-in kinds."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from aiapi_sandbox.apimachinery.errors import Obj, bad_request, not_implemented

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"

# Message -> field number -> "name:type". Types: str int bool bytes time, or the name of a message.
# A leading `[` means repeated, `{` a map from strings.
_MESSAGES: dict[str, dict[int, str]] = {
    "Unknown": {1: "type:TypeMeta", 2: "raw:raw", 3: "encoding:str", 4: "contentType:str"},
    "TypeMeta": {1: "apiVersion:str", 2: "kind:str"},
    "ObjectMeta": {
        1: "name:str",
        2: "generateName:str",
        3: "namespace:str",
        5: "uid:str",
        6: "resourceVersion:str",
        8: "creationTimestamp:time",
        11: "labels:{str",
        12: "annotations:{str",
        13: "ownerReferences:[OwnerReference",
        14: "finalizers:[str",
    },
    "OwnerReference": {
        1: "kind:str",
        3: "name:str",
        4: "uid:str",
        5: "apiVersion:str",
        6: "controller:bool",
        7: "blockOwnerDeletion:bool",
    },
    "LocalObjectReference": {1: "name:str"},
    "ObjectReference": {1: "kind:str", 2: "namespace:str", 3: "name:str"},
    "Namespace": {1: "metadata:ObjectMeta"},
    "Secret": {
        1: "metadata:ObjectMeta",
        2: "data:{bytes",
        3: "type:str",
        4: "stringData:{str",
        5: "immutable:bool",
    },
    "ConfigMap": {
        1: "metadata:ObjectMeta",
        2: "data:{str",
        3: "binaryData:{bytes",
        4: "immutable:bool",
    },
    "ServiceAccount": {
        1: "metadata:ObjectMeta",
        2: "secrets:[ObjectReference",
        3: "imagePullSecrets:[LocalObjectReference",
        4: "automountServiceAccountToken:bool",
    },
    "DeleteOptions": {
        1: "gracePeriodSeconds:int",
        2: "preconditions:Preconditions",
        3: "orphanDependents:bool",
        4: "propagationPolicy:str",
        5: "dryRun:[str",
    },
    "SelfSubjectAccessReview": {
        1: "metadata:ObjectMeta"
    },  # its spec does not matter: access is always allowed
    "SubjectAccessReview": {1: "metadata:ObjectMeta"},
    "Preconditions": {1: "uid:str", 2: "resourceVersion:str"},
}
_KINDS = frozenset(_MESSAGES) - {"Unknown", "TypeMeta", "ObjectMeta", "Preconditions"}


def decode(body: bytes) -> Obj:
    """Decode a protobuf body into the equivalent JSON object."""
    if not body.startswith(_MAGIC):
        raise bad_request("provided data does not appear to be a protobuf message")
    try:
        envelope = _message(body[len(_MAGIC) :], "Unknown")
        head = envelope.get("type") or {}
        kind = head.get("kind", "")
        if kind not in _KINDS:
            raise not_implemented(
                f"protobuf bodies of kind {kind}; send JSON or use `kubectl apply`"
            )
        return {**head, **_message(envelope.get("raw", b""), kind)}
    except (IndexError, UnicodeDecodeError) as error:
        raise bad_request(f"illegal protobuf message: {error}") from None


def _message(data: bytes, name: str) -> Obj:
    known = _MESSAGES[name]
    result: Obj = {}
    for number, value in _fields(data):
        if number not in known:
            continue
        field, _, type_ = known[number].partition(":")
        if type_[0] == "[":
            result.setdefault(field, []).append(_value(value, type_[1:]))
        elif type_[0] == "{":
            key, item = _entry(value, type_[1:])
            result.setdefault(field, {})[key] = item
        elif (read := _value(value, type_)) not in ("", None, {}):
            result[field] = read
    return result


def _entry(data: bytes, type_: str) -> tuple[str, Any]:
    parts = dict(_fields(data))
    return parts.get(1, b"").decode(), _value(parts.get(2, b""), type_)


def _value(value: Any, type_: str) -> Any:
    if type_ == "str":
        return value.decode()
    if type_ == "bytes":
        return base64.b64encode(value).decode()
    if type_ == "bool":
        return bool(value)
    if type_ in ("int", "raw"):
        return value
    if type_ == "time":
        seconds = dict(_fields(value)).get(1)
        return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else None
    return _message(value, type_)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield field numbers and raw values: integers or bytes."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield number, value
        elif wire == 2:
            length, position = _varint(data, position)
            if position + length > len(data):
                raise IndexError("unexpected EOF")
            yield number, data[position : position + length]
            position += length
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
        else:
            raise IndexError(f"wrong wire type {wire}")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise IndexError("integer overflow")
