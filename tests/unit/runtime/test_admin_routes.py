"""What the admin port answers, as Starlette's router did: statuses, bodies and headers."""

import json

import pytest

from aiapi_runtime.runtime.admin_routes import Token, build

SECRET = "a-token-for-tests"
TOKEN = [(b"authorization", b"Bearer a-token-for-tests")]


class Backend:
    max_workers = 8

    def __init__(self):
        self.waits = []

    async def rest(self, requests, seconds):
        self.waits.append((requests, seconds))

    def live(self):
        return ""

    def ready(self):
        return "1 of 2 workers are ready"

    def serves(self):
        return ""

    async def metrics(self, accept):
        return f"text/x-{accept}", b"aiapi_ready 1.0\n"

    def stats(self, *, short: bool = False):
        return {"failure": "Grüße", "uptime": 1.5}

    def status(self):
        return {}

    def resize(self, count):
        return {"wanted": count, "ready": 1, "draining": 0}


async def call(method, path, headers=(), body=(b"",), token=SECRET, *, backend=None):
    """Status, headers and body; None when nothing was sent."""
    sent = []
    parts = list(body)

    async def receive():
        if not parts:
            return {"type": "http.disconnect"}
        part = parts.pop(0)
        return {"type": "http.request", "body": part or b"", "more_body": part is not body[-1]}

    async def send(message):
        sent.append(message)

    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": list(headers),
    }
    await build(backend or Backend(), Token(token, ""))(scope, receive, send)
    if not sent:
        return None
    start, end = sent
    assert start["type"] == "http.response.start"
    assert not end.get("more_body")
    return start["status"], dict(start["headers"]), end["body"]


TEXT = b"text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/livez", 200, b"ok"),
        ("HEAD", "/livez", 200, b"ok"),
        ("GET", "/livez/", 200, b"ok"),
        ("GET", "/readyz", 503, b"1 of 2 workers are ready"),
        ("GET", "/readyz?workers=2", 503, b"1 of 2 workers are ready"),
        ("GET", "/readyz?workers=any", 200, b"ok"),
        ("GET", "/readyz?x=1&workers=any", 200, b"ok"),
        ("GET", "/", 404, b"Not Found"),
        ("GET", "/nothing", 404, b"Not Found"),
        ("POST", "/livez", 405, b"Method Not Allowed"),
        ("GET", "/workers", 405, b"Method Not Allowed"),
    ],
)
async def test_probes_and_unknown_paths_answer_in_plain_text(method, path, status, text):
    answered, headers, body = await call(method, path)
    assert (answered, body) == (status, text)
    assert headers[b"content-type"] == TEXT
    assert headers[b"content-length"] == b"%d" % len(text)


async def test_a_wrong_method_is_answered_with_the_allowed_ones():
    assert (await call("DELETE", "/stats"))[1][b"allow"] == b"GET, HEAD"
    assert (await call("GET", "/workers"))[1][b"allow"] == b"PUT"


async def test_metrics_are_negotiated_and_need_no_token():
    status, headers, body = await call("GET", "/metrics", [(b"accept", b"openmetrics")], token="")
    assert (status, body) == (200, b"aiapi_ready 1.0\n")
    assert headers[b"content-type"] == b"text/x-openmetrics"


async def test_json_is_compact_and_utf_8():
    status, headers, body = await call("GET", "/stats", TOKEN)
    assert (status, headers[b"content-type"]) == (200, b"application/json")
    assert body.decode() == '{"failure":"Grüße","uptime":1.5}'


@pytest.mark.parametrize(
    ("query", "waits"),
    [
        ("", []),
        ("?wait=0", []),
        ("?wait=60", [(None, 60)]),
        ("?histograms=short&wait=5&requests=17", [(17, 5)]),
        ("?await=5", []),
    ],
)
async def test_an_answer_is_held_back_on_request(query, waits):
    backend = Backend()
    assert (await call("GET", f"/stats{query}", TOKEN, backend=backend))[0] == 200
    assert backend.waits == waits


@pytest.mark.parametrize(
    ("query", "field", "maximum"),
    [
        ("wait=61", "wait", 60),
        ("wait=", "wait", 60),
        ("wait=-1", "wait", 60),
        ("wait=1.5", "wait", 60),
        ("wait=1&requests=x", "requests", 2**53),
        (f"wait=1&requests={'9' * 10_000}", "requests", 2**53),
    ],
)
async def test_a_wrong_wait_is_refused_with_the_reason(query, field, maximum):
    backend = Backend()
    status, _, body = await call("GET", f"/stats?{query}", TOKEN, backend=backend)
    detail = f'"{field}" must be a whole number from 0 to {maximum}'
    assert (status, json.loads(body), backend.waits) == (422, {"detail": detail}, [])


@pytest.mark.parametrize("path", ["/stats", "/status"])
async def test_numbers_and_changes_need_the_token(path):
    status, headers, _ = await call("GET", path)
    assert (status, headers[b"www-authenticate"]) == (401, b"Bearer")
    assert (await call("GET", path, [(b"authorization", b"Bearer wrong")]))[0] == 401
    assert (await call("GET", path, TOKEN, token=""))[0] == 403
    assert (await call("PUT", "/workers", body=(b'{"count": 2}',)))[0] == 401


async def test_the_worker_count_may_arrive_in_pieces():
    status, _, body = await call("PUT", "/workers", TOKEN, (b'{"count"', b": 3}"))
    assert (status, json.loads(body)) == (200, {"wanted": 3, "ready": 1, "draining": 0})


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "must be JSON"),
        (b"[" * 1000, "must be JSON"),
        (b'{"count": true}', "an integer"),
        (b'{"count": 9}', "1 to 8 (--max-workers), not 9"),
        (b"x" * 2000, "longer than 1024 bytes"),
    ],
)
async def test_a_wrong_body_is_refused_with_the_reason(body, detail):
    status, _, answer = await call("PUT", "/workers", TOKEN, (body,))
    assert status == 422
    assert detail in json.loads(answer)["detail"]


async def test_a_client_that_leaves_within_its_body_gets_nothing():
    assert await call("PUT", "/workers", TOKEN, (b'{"co', b"")[:0]) is None
