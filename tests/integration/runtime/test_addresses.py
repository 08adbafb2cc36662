"""A pod that listens on IPv6 and IPv4: clients of both, with their plain addresses."""

from pathlib import Path

import aiohttp
import pytest
from runtime_support.pod import Pod, serve, until

EVERY_CLIENT = pytest.mark.parametrize("address", ["127.0.0.1", "::1"])


def base(pod: Pod, address: str) -> str:
    return f"http://[{address}]:{pod.port}" if ":" in address else f"http://{address}:{pod.port}"


@EVERY_CLIENT
async def test_the_app_sees_plain_addresses_and_trusts_its_proxies(
    tmp_path: Path, address: str
) -> None:
    async with serve(tmp_path, "--host=::", "--forwarded-allow-ips=127.0.0.1,::1") as pod:
        await pod.ready(1)
        assert pod.admin.startswith("http://[::]:")
        url = base(pod, address) + "/client"
        async with aiohttp.ClientSession() as client:
            async with client.get(url) as response:
                assert await response.text() == address
            async with client.get(url, headers={"X-Forwarded-For": "203.0.113.9"}) as response:
                assert await response.text() == "203.0.113.9"
            async with client.ws_connect(url) as websocket:
                assert await websocket.receive_str() == address
            proxied = {"X-Forwarded-For": "203.0.113.9"}
            async with client.ws_connect(url, headers=proxied) as websocket:
                assert await websocket.receive_str() == "203.0.113.9"


@EVERY_CLIENT
async def test_the_admin_port_answers_both(tmp_path: Path, address: str) -> None:
    async with serve(tmp_path, "--host=::") as pod:
        await pod.ready(1)
        port = pod.admin.rpartition(":")[2]
        pod.admin = f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
        assert (await pod.stats())["workers"]["ready"] == 1


async def test_an_access_log_has_plain_addresses(tmp_path: Path) -> None:
    async with serve(tmp_path, "--host=::", "--access-log") as pod:
        await pod.ready(1)
        url = base(pod, "127.0.0.1") + "/client"
        async with aiohttp.ClientSession() as client, client.get(url) as response:
            assert response.status == 200

        async def logged() -> str:
            return next((x for x in pod.log.read_text().splitlines() if "GET /client" in x), "")

        line = await until(logged)
        assert "127.0.0.1:" in line
        assert "::ffff:" not in line
