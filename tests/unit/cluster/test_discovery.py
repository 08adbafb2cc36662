"""What the version of an API server tells."""

from typing import Any, cast

import pytest

from aiapi_operator.cluster import discovery
from aiapi_operator.cluster.connection import Connection


class Versions:
    """A connection whose API server has this version."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self._answer = answer

    async def send(self, _request: object) -> dict[str, Any]:
        return self._answer


async def test_openshift_assigns_users() -> None:
    found = {"resources": [{"name": "securitycontextconstraints"}]}
    assert await discovery.assigns_users(cast("Connection", Versions(found)))
    assert not await discovery.assigns_users(cast("Connection", Versions({"resources": []})))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"major": "1", "minor": "36"}, True),
        ({"major": "1", "minor": "36+"}, True),
        ({"major": "2", "minor": "0"}, True),
        ({"major": "1", "minor": "35"}, False),
        ({"major": "1", "minor": "9"}, False),
        ({"major": "", "minor": ""}, False),
        ({}, False),
    ],
)
async def test_image_volumes_are_used_from_1_36(answer: dict[str, Any], *, expected: bool) -> None:
    connection = cast("Connection", Versions(answer))
    assert await discovery.has_image_volumes(connection) is expected
