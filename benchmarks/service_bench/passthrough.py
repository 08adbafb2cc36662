"""The row about proxying a chat: the gateway, the LiteLLM proxy, and a bare forwarder."""

import json
from typing import Any

from service_bench.harness import LITELLM, ROOT, Row, load, ours, running, upstream, uvicorn

DELAY = 0.02
BODY = {"model": "small", "messages": [{"role": "user", "content": "Say something ordinary."}]}
ASK = ("--method=POST", "--path=/v1/chat/completions", f"--body={json.dumps(BODY)}")
CONFIG = ROOT / "build" / "bench" / "litellm.yaml"


async def _measure(command: Any, url: str, path: str = "/") -> dict[str, Any]:
    environment = {
        "UPSTREAM_URL": url,
        "AIAPI_UPSTREAMS": url,
        "AIAPI_AUTH": "off",
        "AIAPI_LOCAL": "off",
        "AIAPI_DATABASE_LOCAL": "off",
        "LITELLM_TELEMETRY": "False",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    async with running(command, environment=environment, path=path, start_timeout=120) as server:
        most = await load(server, *ASK, "--closed=64", "--seconds=5", "--warm=2")
        calm = await load(server, *ASK, "--rate=20", "--seconds=5", "--warm=1")
    return {
        "rps": most["rps"],
        "errors": sum(n for status, n in most["statuses"].items() if status != "200"),
        "added_p50_ms": round(1000 * (calm["p50"] - DELAY), 2),
        "added_p99_ms": round(1000 * (calm["p99"] - DELAY), 2),
    }


def _litellm(url: str) -> Any:
    CONFIG.parent.mkdir(parents=True, exist_ok=True)
    parameters = f"{{model: openai/small, api_base: {url}/v1, api_key: none}}"
    CONFIG.write_text(f"model_list:\n  - model_name: small\n    litellm_params: {parameters}\n")

    def command(port: int, _: int) -> list[str]:
        where = ["--host=127.0.0.1", f"--port={port}", "--num_workers=1"]
        return [str(LITELLM / "litellm"), f"--config={CONFIG}", *where]

    return command


async def pass_through() -> Row:
    peers: dict[str, Any] = {}
    async with upstream(1000 * DELAY) as url:
        mine = await _measure(ours("aiapi_service.gateway.app:app"), url)
        peers["raw forwarder"] = limit = await _measure(uvicorn("forwarder:app"), url)
        if (LITELLM / "litellm").exists():
            peers["litellm"] = await _measure(_litellm(url), url, "/health/liveliness")
    share = round(mine["rps"] / limit["rps"], 2)
    times = round(mine["rps"] / peers["litellm"]["rps"], 1) if "litellm" in peers else None
    holds = share >= 0.5 and times is not None and times >= 10
    return Row(
        f"pass-through chat ({1000 * DELAY:.0f} ms upstream): rps per core, added latency",
        {**mine, "of_the_limit": share, "times_litellm": times},
        peers,
        ">= 10x LiteLLM; >= 50 % of the raw forwarder",
        holds if times is not None or share < 0.5 else None,
        ["without authentication on either side"],
    )
