"""Handlers of probes and lifecycle hooks: httpGet, tcpSocket, exec and sleep."""

import asyncio
import functools
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiapi_sandbox.node.process import StartError

JsonObject = Mapping[str, Any]
Execute = Callable[[list[str], float], Awaitable[tuple[int, str]]]
USER_AGENT = "kube-probe/1.36"
MAX_HEADER_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """The times and thresholds of a probe, with Kubernetes' defaults."""

    initial_delay: float
    period: float
    timeout: float
    success_threshold: int
    failure_threshold: int

    @classmethod
    def of(cls, probe: JsonObject) -> "ProbeSettings":
        """Read the settings from a probe's spec."""
        return cls(
            initial_delay=float(probe.get("initialDelaySeconds", 0)),
            period=float(probe.get("periodSeconds", 10)),
            timeout=float(probe.get("timeoutSeconds", 1)),
            success_threshold=int(probe.get("successThreshold", 1)),
            failure_threshold=int(probe.get("failureThreshold", 3)),
        )


@dataclass(frozen=True, kw_only=True)
class ProbeTarget:
    """The container that a handler acts on."""

    pod_ip: str
    ports: Mapping[str, int]
    execute: Execute

    def port(self, value: int | str) -> int:
        """Resolve a port number or name."""
        return value if isinstance(value, int) else self.ports[value]


async def run_handler(spec: JsonObject, target: ProbeTarget, limit: float) -> str:
    """Run one handler; return the failure message, or an empty string."""
    for name, handler in _HANDLERS.items():
        if name in spec:
            try:
                return await handler(spec[name], target, limit)
            except KeyError as error:
                return f"no such port: {error}"
            except StartError as error:
                return str(error)
    return f"unsupported handler; the sandbox supports {', '.join(_HANDLERS)}"


async def _exec(spec: JsonObject, target: ProbeTarget, limit: float) -> str:
    try:
        code, output = await target.execute(spec["command"], limit)
    except TimeoutError:
        return f"command timed out after {limit:g}s"
    return "" if code == 0 else output.strip() or f"command exited with code {code}"


async def _sleep(spec: JsonObject, _target: ProbeTarget, limit: float) -> str:
    await asyncio.sleep(min(float(spec["seconds"]), limit))
    return ""


async def _tcp(spec: JsonObject, target: ProbeTarget, limit: float) -> str:
    host, port = spec.get("host") or target.pod_ip, target.port(spec["port"])
    try:
        async with asyncio.timeout(limit):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return f"dial tcp {_host_port(host, port)}: i/o timeout"
    except OSError as error:
        return f"dial tcp {_host_port(host, port)}: connect: {_reason(error)}"
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return ""


async def _http_get(spec: JsonObject, target: ProbeTarget, limit: float) -> str:
    host, port = spec.get("host") or target.pod_ip, target.port(spec["port"])
    path = spec.get("path") or "/"
    address = _host_port(host, port)
    scheme = spec.get("scheme", "HTTP").lower()
    url = f"{scheme}://{address}{path}"
    context = _unverified() if scheme == "https" else None
    try:
        async with asyncio.timeout(limit):
            status = await _status_of((host, port), context, _request(spec, host, port, path))
    except TimeoutError:
        return f'Get "{url}": context deadline exceeded while awaiting headers'
    except (OSError, ValueError, EOFError) as error:
        return f'Get "{url}": dial tcp {address}: connect: {_reason(error)}'
    return "" if 200 <= status < 400 else f"HTTP probe failed with statuscode: {status}"


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return "connection refused" if isinstance(error, ConnectionRefusedError) else text


def _request(spec: JsonObject, host: str, port: int, path: str) -> bytes:
    headers = {"Host": _host_port(host, port), "User-Agent": USER_AGENT, "Accept": "*/*"}
    headers |= {item["name"]: item["value"] for item in spec.get("httpHeaders", ())}
    headers["Connection"] = "close"
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@functools.cache
def _unverified() -> ssl.SSLContext:
    """As the kubelet connects: it verifies no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _status_of(
    address: tuple[str, int], context: ssl.SSLContext | None, request: bytes
) -> int:
    reader, writer = await asyncio.open_connection(*address, ssl=context, limit=MAX_HEADER_BYTES)
    try:
        writer.write(request)
        line = await reader.readline()
        parts = line.split()
        if len(parts) < 2 or not parts[0].startswith(b"HTTP/"):
            raise ValueError("malformed HTTP response")
        return int(parts[1])
    finally:
        writer.close()


_HANDLERS: Mapping[str, Callable[[JsonObject, ProbeTarget, float], Awaitable[str]]] = {
    "httpGet": _http_get,
    "tcpSocket": _tcp,
    "exec": _exec,
    "sleep": _sleep,
}
