"""Answers of a real API server become typed errors."""

import json

import pytest

from aiapi_operator.cluster import errors

NODE_FULL = {
    "kind": "Status",
    "status": "Failure",
    "message": 'pods "d" is forbidden: node didn\'t have enough allocatable resources: cpu',
    "reason": "Forbidden",
    "details": {"name": "d", "kind": "pods", "causes": [{"reason": "NodeCapacity"}]},
    "code": 403,
}
CEL = {
    "kind": "Status",
    "status": "Failure",
    "message": 'Widget.example.dev "b" is invalid: spec: Invalid value: min must not exceed max',
    "reason": "Invalid",
    "details": {"causes": [{"reason": "FieldValueInvalid", "field": "spec"}]},
    "code": 422,
}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.Invalid),
        (401, errors.Unauthorized),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (415, errors.Invalid),
        (422, errors.Invalid),
        (429, errors.TooManyRequests),
        (500, errors.Unavailable),
        (503, errors.Unavailable),
    ],
)
def test_each_status_has_its_type(status: int, kind: type[errors.ClusterError]) -> None:
    assert type(errors.from_answer(status, {}, b"")) is kind


APPLIED = "(shop/a; apps/v1, Kind=Deployment)"
TYPED, CONVERTED = (
    f"failed to {what} {APPLIED}" for what in ("create typed patch object", "convert new object")
)


@pytest.mark.parametrize(
    "message",
    [
        (f"{TYPED}: .spec.template.spec.nodeSelectr: field not declared in schema"),
        (f"{TYPED}: .spec.template.spec.nodeSelector: expected map, got &{{[x]}}"),
        (
            f'{TYPED}: .spec.template.spec.containers[name="app"]'
            '.env: duplicate entries for key [name="A"]'
        ),
        (
            f"{CONVERTED} to proper version: unable to convert unstructured"
            " object to apps/v1, Kind=Deployment: quantities must match the regular expression"
        ),
    ],
)
def test_a_patch_that_cannot_be_applied_is_not_an_outage(message: str) -> None:
    """Kubernetes 1.36 answers 500: a retry would wait for the deadline in each tick."""
    answer = {"kind": "Status", "status": "Failure", "message": message, "code": 500}
    error = errors.from_answer(500, {}, json.dumps(answer).encode())
    assert type(error) is errors.Invalid
    assert error.message == message


def test_the_message_of_the_api_server_is_kept() -> None:
    error = errors.from_answer(403, {}, json.dumps(NODE_FULL).encode())
    assert error.reason == "Forbidden"
    assert "allocatable" in error.message
    invalid = errors.from_answer(422, {}, json.dumps(CEL).encode())
    assert invalid.fields == ("spec",)
    assert "min must not exceed max" in str(invalid)


def test_an_answer_without_a_status_object_becomes_the_message() -> None:
    assert errors.from_answer(404, {}, b"404 page not found\n").message == "404 page not found"
    assert errors.from_answer(503, {}, b"").message == "HTTP 503"


def test_retry_after_comes_from_the_header_or_the_body() -> None:
    body = json.dumps({"details": {"retryAfterSeconds": 2}}).encode()
    assert errors.from_answer(429, {}, body).retry_after == 2.0
    assert errors.from_answer(429, {"Retry-After": "3"}, body).retry_after == 3.0
    assert errors.from_answer(429, {"Retry-After": "soon"}, b"").retry_after == 0.0
