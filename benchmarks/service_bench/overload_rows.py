"""Rows about overload: rejections, latency of accepted requests, and goodput."""

from typing import Any

from service_bench.harness import Row, load, ours, running

# Loop time and wait in ms; number of connections to find the peak.
TIMES = {(3, 60): 64, (5, 0): 8, (10, 500): 128, (1, 200): 512}
TIMES_THE_PEAK = (2, 5, 10)
# With more lag, the generator is the bottleneck.
LATE_SECONDS = 0.02


async def overload() -> Row:
    """Five times the peak of one worker, with and without the limit."""
    flags = ("--seconds=6", "--warm=3", "--timeout=5")
    seen: dict[str, dict[str, Any]] = {}
    async with running(ours("busy_app:app")) as server:
        best = await load(server, "--closed=64", "--seconds=4", "--warm=1")
    peak = best["rps"]
    for limit in ("auto", "off"):
        async with running(ours("busy_app:app", f"--limit={limit}")) as server:
            calm = await load(server, f"--rate={0.5 * peak}", *flags)
            over = await load(server, f"--rate={5 * peak}", *flags)
        seen[limit] = {
            "calm_p95": calm["p95"],
            "p95": over["p95"],
            "goodput": over["rps"],
            "goodput_share": round(over["rps"] / peak, 3),
            "refused": over["statuses"].get("503", 0),
            "errors": over["errors"],
        }
    mine = seen["auto"]
    return Row(
        f"5x overload of one worker (3 ms of work around a 60 ms wait; peak {peak:.0f} rps)",
        mine,
        {"without a limit": seen["off"]},
        "p95 of the accepted <= 2x calm; goodput >= 90 % of the peak",
        0 < mine["p95"] <= 2 * mine["calm_p95"] and mine["goodput"] >= 0.9 * peak,
    )


async def _other(work: int, wait: int, connections: int) -> dict[str, Any]:
    path = f"--path=/busy/{work}/{wait}"
    flags = (path, "--seconds=5", "--warm=3", "--timeout=10")
    async with running(ours("busy_app:app")) as server:
        best = await load(server, path, f"--closed={connections}", "--seconds=4", "--warm=2")
    found: dict[str, Any] = {"peak": best["rps"]}
    async with running(ours("busy_app:app", "--limit=auto")) as server:
        calm = await load(server, f"--rate={0.5 * best['rps']}", *flags)
        found["calm_p95"] = calm["p95"]
        for seed, times in enumerate(TIMES_THE_PEAK):
            over = await load(server, f"--rate={times * best['rps']}", f"--seed={seed}", *flags)
            if over["late_p95"] > LATE_SECONDS:
                continue
            found[f"{times}x"] = {
                "p95_of_calm": round(over["p95"] / calm["p95"], 2),
                "goodput_share": round(over["rps"] / best["rps"], 3),
            }
    return found


async def overload_by_times() -> Row:
    """The same limit with other request times and loads."""
    found = {
        f"{work} ms, wait {wait} ms": await _other(work, wait, connections)
        for (work, wait), connections in TIMES.items()
    }
    loads = [one[load] for one in found.values() for load in ("2x", "5x") if load in one]
    return Row(
        "overload of one worker with other times and loads, each with its own seed",
        {
            "worst_p95_of_calm": max(one["p95_of_calm"] for one in loads),
            "worst_goodput_share": min(one["goodput_share"] for one in loads),
            **found,
        },
        {},
        "at 2x and 5x: p95 of the accepted <= 2x calm; goodput >= 90 % of the peak",
        all(one["p95_of_calm"] <= 2 and one["goodput_share"] >= 0.9 for one in loads),
        ["loads above the capacity of the generator on one core are left out"],
    )
