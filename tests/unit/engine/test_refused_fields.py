"""Refusals of Kubernetes 1.36 name the fields of the AIApi."""

import pytest

from aiapi_operator.engine.refused_fields import explained

APPLIED = "(shop/a; apps/v1, Kind=Deployment)"
TYPED = f"failed to create typed patch object {APPLIED}"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            (f"{TYPED}: .spec.template.spec.nodeSelectr: field not declared in schema"),
            "spec.podTemplate.spec.nodeSelectr: unknown field: correct or remove it",
        ),
        (
            (
                f"{TYPED}: errors:\n  .spec.template.spec.a:"
                " field not declared in schema\n  .spec.template.spec.b: field not"
                " declared in schema"
            ),
            (
                "errors: spec.podTemplate.spec.a: unknown field: correct or remove it"
                " spec.podTemplate.spec.b: unknown field: correct or remove it"
            ),
        ),
        (
            f"failed to convert new object {APPLIED} to proper version: unable to convert",
            "unable to convert",
        ),
        (
            'Deployment.apps "a" is invalid: spec.template.spec.volumes[2].name: Required value',
            "spec.podTemplate.spec.volumes[2].name: Required value",
        ),
        (
            'strict decoding error: unknown field "spec.template.spec.nodeSelectr"',
            'strict decoding error: unknown field "spec.podTemplate.spec.nodeSelectr"',
        ),
        ("the quota is used up", "the quota is used up"),
    ],
)
def test_messages_name_fields_of_the_aiapi(message: str, expected: str) -> None:
    assert explained(message) == expected
