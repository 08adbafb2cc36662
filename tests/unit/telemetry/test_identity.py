"""Which id a request has, whatever its caller sends."""

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


@pytest.mark.parametrize("rubbish", [b"", b"a b", b"a\r\nset-cookie: x", b"x" * 129, b"\xff"])
def test_an_id_that_does_not_belong_in_a_log_is_replaced(asked, rubbish):
    asked(x_request_id=rubbish)
    assert len(request_id()) == 32


def test_the_trace_is_the_id_where_there_is_no_other(asked):
    asked(traceparent=TRACE)
    assert request_id() == "0af7651916cd43dd8448eb211c80319c"


def test_an_id_that_was_made_up_stays_the_same_for_its_request(asked):
    asked()
    first = request_id()
    assert request_id() == first
    asked()
    assert request_id() != first


def test_there_is_none_outside_a_request():
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
def test_a_trace_context_that_breaks_the_rules_is_not_passed_on(asked, wrong):
    assert identity.traceparent(asked(traceparent=wrong)) is None


def test_a_later_version_of_the_trace_context_may_say_more(asked):
    assert identity.traceparent(asked(traceparent=b"01" + TRACE[2:] + b"-more")) is not None
