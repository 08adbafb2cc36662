"""The OpenAPI v2 document, with the one operation that kubectl still looks up in v2.

For `kind: List`, kubectl checks whether PATCH of a Namespace supports the query parameter
`fieldValidation`, and reads v2 as protobuf only. Everything else uses OpenAPI v3.
"""

CONTENT_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_NAMESPACE_YAML = b"group: ''\nkind: Namespace\nversion: v1\n"


def _field(number: int, value: bytes) -> bytes:
    """A length-delimited protobuf field, up to a length that fits into two bytes."""
    size = len(value)
    length = bytes([size]) if size < 0x80 else bytes([size & 0x7F | 0x80, size >> 7])
    return bytes([number << 3 | 2]) + length + value


def document() -> bytes:
    """Field numbers are from gnostic's openapiv2.proto."""
    query = _field(2, b"query") + _field(4, b"fieldValidation") + _field(6, b"string")
    parameter = _field(1, _field(2, _field(3, query)))
    kind = _field(1, b"x-kubernetes-group-version-kind") + _field(2, _field(2, _NAMESPACE_YAML))
    patch = _field(8, parameter) + _field(13, kind)
    path = _field(1, b"/api/v1/namespaces/{name}") + _field(2, _field(8, patch))
    return _field(1, b"2.0") + _field(8, _field(2, path))
