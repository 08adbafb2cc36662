"""The admin port: its token, its limits, and the number of workers."""

from pathlib import Path

from runtime_support.client import Connection
from runtime_support.pod import TOKEN, serve, until


async def test_the_admin_port_requires_the_token(tmp_path):
    async with serve(tmp_path) as pod:
        await pod.ready(1)
        for wrong in ("Bearer x", "Bearer ", TOKEN, f"Basic {TOKEN}", "Bearer \xe9"):
            headers = {"Authorization": wrong}
            assert (await pod.get("/stats", headers=headers))[0] == 401
            assert (await pod.get("/status", headers=headers))[0] == 401
            assert (await pod.put({"count": 2}, headers=headers))[0] == 401
        for open_path in ("/livez", "/readyz", "/metrics"):
            assert (await pod.get(open_path, headers={"Authorization": ""}))[0] == 200
        assert TOKEN not in pod.log.read_text()
        worker = (await pod.status())["workers"][0]["pid"]
        assert TOKEN not in _environment(worker)


async def test_a_flood_of_silent_connections_does_not_fail_a_probe(tmp_path):
    async with serve(tmp_path) as pod:
        await pod.ready(1)
        host, _, port = pod.admin.removeprefix("http://").rpartition(":")
        flood = [await Connection.open(host, int(port)) for _ in range(300)]
        for _ in range(3):
            assert await pod.get("/livez", headers={"connection": "close"}) == (200, "ok")
        # The oldest one was closed, and no others.
        assert await flood[0].reader.read() == b""
        answer = await flood[-1].ask("/livez")
        assert answer.status == 200
        for one in flood:
            await one.close()


async def test_without_a_token_the_admin_port_refuses_and_names_the_option(tmp_path):
    async with serve(tmp_path, AIAPI_ADMIN_TOKEN="") as pod:
        status, answer = await pod.put({"count": 2}, headers={"Authorization": "Bearer "})
        assert status == 403
        assert "AIAPI_ADMIN_TOKEN" in answer["detail"]


async def test_bad_counts_are_refused_with_a_reason(tmp_path):
    async with serve(tmp_path, "--max-workers=8") as pod:
        await pod.ready(1)
        for body, reason in (
            ({"count": 0}, "1 to 8"),
            ({"count": 9}, "1 to 8"),
            ({"count": -1}, "1 to 8"),
            ({"count": True}, "an integer"),
            ({"count": 1.5}, "an integer"),
            ({"count": "2"}, "an integer"),
            ({}, "an integer"),
            ([1], "an integer"),
            (b"nonsense", "must be JSON"),
            (b"\xff", "must be JSON"),
            (b" " * 2000, "longer than"),
        ):
            status, answer = await pod.put(body)
            assert (status, reason in answer["detail"]) == (422, True), (body, answer)
        workers = (await pod.stats())["workers"]
        assert (workers["ready"], workers["wanted"]) == (1, 1)


async def test_a_new_pod_waits_for_its_first_put(tmp_path):
    async with serve(tmp_path, "--size-wait=60") as pod:

        async def waiting():
            return await pod.get("/readyz") == (503, "waiting for the first PUT /workers")

        await until(waiting)
        assert await pod.get("/readyz?workers=any") == (200, "ok")
        status, answer = await pod.put({"count": 2})
        assert (status, answer["wanted"]) == (200, 2)
        await until(lambda: _is_ready(pod))
        assert (await pod.stats())["workers"]["ready"] == 2


async def _is_ready(pod):
    return (await pod.get("/readyz"))[0] == 200


def _environment(pid):
    return Path(f"/proc/{pid}/environ").read_text()
