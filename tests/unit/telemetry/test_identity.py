"""Which id a request has, for every header its caller may send."""

import pytest

from aiapi_runtime.telemetry import identity, request_id
from aiapi_runtime.telemetry.requests import CurrentRequest, current

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def asked():
    """Makes a request with these headers the one that is being answered."""
    tokens = []

    def ask(**headers):
        request = CurrentRequest()
        pairs = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
        request.scope = {"headers": pairs}
        tokens.append(current.set(request))
        return request

    yield ask
    for token in reversed(tokens):
        current.reset(token)


def test_the_callers_own_id_is_kept(asked):
    asked(x_request_id=b"order-7", traceparent=TRACE)
    assert request_id() == "order-7"


@pytest.mark.parametrize("invalid", [b"", b"a b", b"a\r\nset-cookie: x", b"x" * 129, b"\xff"])
def test_an_invalid_id_is_replaced(asked, invalid):
    asked(x_request_id=invalid)
    assert len(request_id()) == 32


def test_the_trace_id_is_used_without_a_request_id(asked):
    asked(traceparent=TRACE)
    assert request_id() == "0af7651916cd43dd8448eb211c80319c"


def test_a_generated_id_stays_the_same_for_its_request(asked):
    asked()
    first = request_id()
    assert request_id() == first
    asked()
    assert request_id() != first


def test_outside_a_request_the_id_is_empty():
    assert request_id() == ""


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"ff" + TRACE[2:],
        TRACE.upper(),
        TRACE + b"-x",
        b"00-" + b"0" * 32 + TRACE[35:],
        TRACE[:36] + b"0" * 16 + b"-01",
    ],
)
def test_an_invalid_trace_context_is_ignored(asked, wrong):
    assert identity.traceparent(asked(traceparent=wrong)) is None


def test_a_later_version_of_the_trace_context_may_be_longer(asked):
    assert identity.traceparent(asked(traceparent=b"01" + TRACE[2:] + b"-more")) is not None
