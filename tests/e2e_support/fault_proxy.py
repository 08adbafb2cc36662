"""A proxy that injects faults; it runs as a sidecar of the operator or of an AIApi's pod.

Beside the operator it forwards to the API server, beside an app to the admin port, so that a fault
hits one pod only. It can also signal the processes of its pod. It is one script that needs aiohttp
alone, and it takes its settings from the environment:

``LISTEN`` and ``CONTROL``: ports. ``UPSTREAM``: a URL, or ``kubernetes`` for the API server with
the pod's own credentials. ``TARGET``: the name of the processes that are signalled.

``POST /rules`` at the control port replaces the rules, ``POST /signal`` sends a signal, and
``GET /seen`` returns how often each rule matched.
"""

import asyncio
import base64
import json
import os
import re
import signal
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "expect"}
LARGEST = 64 << 20


class Upstream:
    """Where requests go, and with which credentials."""

    def __init__(self, url: str) -> None:
        self.url, self.token, self.tls = url, "", None
        if url == "kubernetes":
            self.url, self.token, self.tls = _kubeconfig() or _in_cluster()


def _kubeconfig() -> tuple[str, str, ssl.SSLContext] | None:
    """The sandbox gives each pod a kubeconfig, in JSON."""
    path = os.environ.get("KUBECONFIG", "")
    if not path:
        return None
    found = json.loads(Path(path).read_text())
    cluster, user = found["clusters"][0]["cluster"], found["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    return cluster["server"], user["token"], ssl.create_default_context(cadata=authority)


def _in_cluster() -> tuple[str, str, ssl.SSLContext]:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    host = f"[{host}]" if ":" in host else host
    tls = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return f"https://{host}:{port}", (ACCOUNT / "token").read_text().strip(), tls


def processes(program: str) -> list[int]:
    """The processes of this pod with a name; containers of a pod share its host name."""
    mine = f"HOSTNAME={os.environ['HOSTNAME']}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            pid = int(folder.name)
            name = (folder / "comm").read_text().strip()
            if name == program and mine in (folder / "environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def send_signal(name: str, program: str = "", most: int = 100) -> int:
    """Signal the processes of the pod's target, or of another program; return their number."""
    found = processes(program or os.environ["TARGET"])[:most]
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.Signals[name])
    return len(found)


class Rule:
    """What to do with requests that match."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.methods: list[str] = fields.get("methods", [])
        self.path = re.compile(fields.get("path", ""))
        self.action: str = fields["action"]
        self.fields = fields
        self.times: int | None = fields.get("times")
        self.seen = 0
        self.kept = b""

    def matches(self, request: web.Request) -> bool:
        if self.methods and request.method not in self.methods:
            return False
        if not self.path.search(request.path_qs):
            return False
        return self.times is None or self.seen < self.times


def is_watch(request: web.Request) -> bool:
    return request.query.get("watch", "") in ("true", "1")


class Proxy:
    """Forwards requests, with the first rule that matches."""

    def __init__(self, upstream: Upstream, session: aiohttp.ClientSession) -> None:
        self._upstream = upstream
        self._session = session
        self.rules: list[Rule] = []
        self._waiting: set[asyncio.Task[Any]] = set()

    async def set_rules(self, request: web.Request) -> web.Response:
        """Replace the rules, and abort watches and what hangs. Other requests go on."""
        self.rules = [Rule(fields) for fields in await request.json()]
        for task in self._waiting:
            task.cancel()
        return web.json_response(len(self.rules))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        try:
            rule = next((rule for rule in self.rules if rule.matches(request)), None)
            if is_watch(request) or (rule is not None and rule.action == "hang"):
                self._waiting.add(task)
            if rule is None:
                return await self._forward(request, None)
            rule.seen += 1
            return await self._apply(rule, request)
        except (aiohttp.ClientError, OSError, asyncio.CancelledError):
            return _abort(request)
        finally:
            self._waiting.discard(task)

    async def _apply(self, rule: Rule, request: web.Request) -> web.StreamResponse:
        fields, action = rule.fields, rule.action
        if action == "close":
            return _abort(request)
        if action == "hang":
            await asyncio.Event().wait()
        if action == "status":
            body = fields.get("body", "").encode() * fields.get("repeat", 1)
            return web.Response(
                status=fields["status"], headers=fields.get("headers", {}), body=body
            )
        if action == "delay":
            await asyncio.sleep(fields["seconds"])
        if action == "kill-before":
            send_signal("SIGKILL")
            return _abort(request)
        answer = await self._forward(request, rule)
        if action == "kill-after":
            send_signal("SIGKILL")
        if action == "truncate" and isinstance(answer, web.Response):
            return await _half(request, answer)
        return answer

    async def _forward(self, request: web.Request, rule: Rule | None) -> web.StreamResponse:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
        if self._upstream.token:
            headers["Authorization"] = f"Bearer {self._upstream.token}"
        if rule is not None and rule.action == "no-token":
            headers.pop("Authorization", None)
        async with self._session.request(
            request.method,
            URL(self._upstream.url + request.raw_path, encoded=True),
            headers=headers,
            data=await request.read(),
            ssl=self._upstream.tls or True,
            allow_redirects=False,
        ) as answer:
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in HOP_BY_HOP}
            if is_watch(request):
                return await _stream(request, answer, kept, rule)
            body = _changed(await answer.read(), rule)
            return web.Response(status=answer.status, headers=kept, body=body)


def _abort(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)


async def _half(request: web.Request, answer: web.Response) -> web.StreamResponse:
    """Half of an answer, after which the connection is closed."""
    body = answer.body if isinstance(answer.body, bytes) else b""
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def _changed(body: bytes, rule: Rule | None) -> bytes:
    """The answer of an admin port: as it was, the same as before, or with smaller counters."""
    if rule is None or rule.action not in ("freeze", "rewind"):
        return body
    if rule.action == "freeze":
        rule.kept = rule.kept or body
        return rule.kept
    return json.dumps(_divided(json.loads(body), rule.fields["keys"], rule.seen)).encode()


def _divided(value: Any, keys: list[str], by: int) -> Any:
    if isinstance(value, dict):
        return {
            key: int(each / by)
            if key in keys and isinstance(each, int | float)
            else _divided(each, keys, by)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [_divided(each, keys, by) for each in value]
    return value


async def _stream(
    request: web.Request,
    answer: aiohttp.ClientResponse,
    headers: dict[str, str],
    rule: Rule | None,
) -> web.StreamResponse:
    """Forward a watch, line by line."""
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    action = rule.action if rule is not None else ""
    if action == "gone":
        error = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410,
                 "reason": "Expired", "message": "too old resource version"}  # fmt: skip
        await response.write(json.dumps({"type": "ERROR", "object": error}).encode() + b"\n")
        return response
    end = rule.fields.get("seconds", 1.0) if rule is not None and action == "cut" else None
    with suppress(TimeoutError):
        async with asyncio.timeout(end):
            async for line in _lines(answer):
                if rule is not None and action == "late":
                    await asyncio.sleep(rule.fields["seconds"])
                for _ in range(2 if action == "duplicate" else 1):
                    await response.write(line)
    return response


async def _lines(answer: aiohttp.ClientResponse) -> Any:
    """Lines of any length."""
    pending = b""
    async for chunk in answer.content.iter_any():
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            yield line + b"\n"


async def main() -> None:
    """Serve until the pod ends."""
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        timeout=timeout, connector=connector, auto_decompress=False
    ) as session:
        proxy = Proxy(Upstream(os.environ["UPSTREAM"]), session)

        async def control(request: web.Request) -> web.StreamResponse:
            if request.path == "/rules":
                return await proxy.set_rules(request)
            if request.path == "/signal":
                return web.json_response(send_signal(**await request.json()))
            return web.json_response([rule.seen for rule in proxy.rules])

        for handler, port in ((proxy.handle, "LISTEN"), (control, "CONTROL")):
            app = web.Application(client_max_size=LARGEST)
            app.router.add_route("*", "/{path:.*}", handler)
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, os.environ["POD_IP"], int(os.environ[port])).start()
        print(f"forwarding to {os.environ['UPSTREAM']}", flush=True)  # noqa: T201 - its log
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
