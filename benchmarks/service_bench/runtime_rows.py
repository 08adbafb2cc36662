"""Rows about the runtime: overhead, worker start time, and lost requests."""

import asyncio
import re
import shutil
import statistics
from typing import Any

from runtime import changes, overhead, start
from service_bench.harness import (
    CLIENT,
    HERE,
    PEERS,
    SERVER,
    Row,
    Server,
    gunicorn,
    load,
    ours,
    pinned,
    running,
    uvicorn,
)

APPS = HERE.parent / "apps"


async def runtime_overhead() -> Row:
    """CPU per request of one worker each, alternating, since the machine is rarely idle."""
    mine, stock = await overhead(8, 2.0)
    percent = round(100 * (mine["cpu_us"] / stock["cpu_us"] - 1), 1)
    return Row(
        "runtime + metrics on a trivial raw ASGI route: CPU per request",
        {"cpu_us": mine["cpu_us"], "rps": mine["rps"], "overhead_percent": percent},
        {"uvicorn": {"cpu_us": stock["cpu_us"], "rps": stock["rps"]}},
        "<= 8 %",
        percent <= 8,
    )


async def _weights(kind: str, most: int) -> dict[str, float]:
    """Memory of the first worker (with fork server, without supervisor) and of further ones."""
    app = "bench_app:api"
    sizes = []
    for workers in (1 if kind == "ours" else 2, most):
        command = ours(app, f"--workers={workers}")
        if kind != "ours":
            command = uvicorn(app, f"--workers={workers}")
        async with running(command, folder=APPS) as server:
            await asyncio.sleep(2.0)
            supervisor = _own_pss(server)
            sizes.append(server.pss() - supervisor)
    if kind == "ours":
        first, further = sizes[0], (sizes[1] - sizes[0]) / (most - 1)
    else:
        further = (sizes[1] - sizes[0]) / (most - 2)
        first = sizes[0] - further
    return {"first_mb": round(first / 1e6, 1), "further_mb": round(further / 1e6, 1)}


def _own_pss(server: Server) -> int:
    from runtime import pss  # noqa: PLC0415 - the one use

    return pss([server.process.pid])


async def worker_start() -> Row:
    mine, stock = await start("ours", 7), await start("uvicorn", 3)
    weights = {kind: await _weights(kind, 6) for kind in ("ours", "uvicorn")}
    share = weights["ours"]["further_mb"] / weights["ours"]["first_mb"]
    return Row(
        "from PUT /workers to the first response of a new worker; memory (PSS) of further workers",
        {"start_ms": mine["start_ms"], **weights["ours"], "share": round(share, 2)},
        {"uvicorn": {"start_ms": stock["start_ms"], **weights["uvicorn"]}},
        "<= 150 ms; further <= 40 % of the first",
        mine["start_ms"] <= 150 and share <= 0.4,
    )


async def _gunicorn_changes(requests: int) -> dict[str, Any]:
    flags = ("--workers=2", "--worker-class=asgi")
    socket = HERE.parents[1] / "build" / "bench" / "gunicorn.ctl"
    socket.unlink(missing_ok=True)
    command = gunicorn("gunicorn_app:app", *flags, f"--control-socket={socket}")
    async with running(command, cores=SERVER | CLIENT) as server:

        async def change() -> None:
            while True:
                for word in ("add", "remove"):
                    await asyncio.sleep(1.0)
                    process = await asyncio.create_subprocess_exec(
                        str(PEERS / "gunicornc"),
                        *("-s", str(socket), "-c", f"worker {word} 2"),
                        stdout=asyncio.subprocess.DEVNULL,
                        stderr=asyncio.subprocess.DEVNULL,
                    )
                    await process.wait()

        changer = asyncio.create_task(change())
        seen = await _keep_alive_load(server, requests)
        changer.cancel()
        await asyncio.gather(changer, return_exceptions=True)
    return seen


async def _keep_alive_load(server: Server, requests: int) -> dict[str, Any]:
    from runtime import load as keep  # noqa: PLC0415 - a separate generator without retries

    flags = (f"--requests={requests}", "--keeping=32", "--opening=8")
    return await keep(server, *flags)  # type: ignore[arg-type]  # it uses the port only


async def lost_requests() -> Row:
    requests = 100_000
    mine, stock = await changes("ours", requests), await changes("uvicorn", requests)
    peers = {"uvicorn": {key: stock[key] for key in ("answered", "lost", "reasons")}}
    if (PEERS / "gunicornc").exists():
        other = await _gunicorn_changes(requests)
        peers["gunicorn asgi"] = {
            "answered": other["answered"],
            "lost": other["lost"],
            "reasons": other["reasons"],
            "workers_seen": len(other["pids"]),
        }
    return Row(
        "requests lost while workers change 2 <-> 4 every second (32 keep-alive clients, 8 new)",
        {key: mine[key] for key in ("answered", "lost", "reasons", "workers_seen")},
        peers,
        "0 of 100,000",
        mine["lost"] == 0 and mine["answered"] == requests,
    )


async def at_rest() -> Row:
    """CPU of an idle pod."""
    found = {}
    app = "bench_app:api"
    for kind in ("ours", "uvicorn"):
        # Two workers: Uvicorn has no supervisor with one.
        command = (ours if kind == "ours" else uvicorn)(app, "--workers=2")
        async with running(command, folder=APPS) as server:
            await asyncio.sleep(2.0)
            before = server.cpu()
            await asyncio.sleep(30.0)
            found[kind] = {"millicores": round((server.cpu() - before) / 30.0 * 1000, 1)}
    mine = found.pop("ours")
    return Row(
        "an idle pod of two workers",
        mine,
        found,
        "<= 10 millicores",
        mine["millicores"] <= 10,
    )


async def generator() -> Row:
    """The same closed loop with this generator and with wrk, alternating."""
    wrk = shutil.which("wrk")
    goal = "within 10 % of wrk"
    if wrk is None:
        return Row("load generator against wrk", {}, {}, goal, None, ["wrk is not installed"])
    found: dict[str, list[tuple[float, float]]] = {"ours": [], "wrk": []}
    async with running(ours("busy_app:app")) as server:
        url = f"http://127.0.0.1:{server.port}/"
        for _ in range(3):
            seen = await load(server, "--closed=16", "--seconds=4", "--warm=1")
            found["ours"].append((seen["rps"], seen["p50"]))
            process = await asyncio.create_subprocess_exec(
                *(wrk, "-t1", "-c16", "-d4s", "--latency", url),
                stdout=asyncio.subprocess.PIPE,
                preexec_fn=pinned(CLIENT),
            )
            text = (await process.communicate())[0].decode()
            found["wrk"].append((_number(r"Requests/sec:\s+([\d.]+)", text), _median(text)))
    rows = {
        name: {
            "rps": round(statistics.median(rps for rps, _ in runs), 1),
            "p50": round(statistics.median(p50 for _, p50 in runs), 4),
        }
        for name, runs in found.items()
    }
    mine, other = rows["ours"], rows["wrk"]
    agree = all(abs(mine[key] / other[key] - 1) <= 0.1 for key in mine)
    return Row("load generator against wrk (closed loop of 16)", mine, {"wrk": other}, goal, agree)


def _number(pattern: str, text: str) -> float:
    match = re.search(pattern, text)
    return float(match[1]) if match else 0.0


def _median(text: str) -> float:
    match = re.search(r"50%\s+([\d.]+)(us|ms|s)", text)
    return float(match[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[match[2]] if match else 0.0
