"""A Flask app under the runtime: served, drained, counted, and limited by its threads."""

import asyncio

from aiohttp import web
from runtime_support.pod import serve, until

APP = """
import os, time
import requests
from flask import Flask, Response, request
app = Flask(__name__)

@app.get("/wait")
def wait():
    time.sleep(float(request.args["s"]))
    return "waited"

@app.post("/echo")
def echo():
    return request.get_data()

@app.get("/stream")
def stream():
    return Response((f"{number} " for number in range(3)), mimetype="text/plain")

closed = []

@app.get("/endless")
def endless():
    def lines():
        try:
            while True:
                time.sleep(0.02)
                yield "line "
        finally:
            closed.append(1)
    return Response(lines(), mimetype="text/plain")

@app.get("/closed")
def count_closed():
    return str(len(closed))

@app.get("/too-long")
def too_long():
    return Response(("12345" for _ in range(50)), headers={"content-length": "3"})

@app.post("/headers")
def headers():
    return repr((request.headers.get("X-Real-Ip"), request.get_data()))

@app.get("/call")
def call():
    return requests.get(os.environ["UPSTREAM"], timeout=20).text

@app.get("/error")
def error():
    raise RuntimeError("wanted")
"""


async def test_flask_runs_with_its_threads_and_drains(tmp_path):
    (tmp_path / "shop.py").write_text(APP)
    flags = (f"--app-dir={tmp_path}", "--wsgi", "--threads=3", "--workers=2")
    async with serve(tmp_path, *flags, app="shop:app") as pod:
        assert (await pod.ready(2))["worker_limit"] == 3
        one = await pod.connect()
        one.writer.write(b"POST /echo HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\n\r\nhello")
        assert (await one.read()).body == b"hello"
        assert (await one.ask("/stream")).body == b"0 1 2 "
        assert (await one.ask("/error")).status == 500
        waiting = [await pod.connect() for _ in range(6)]
        for each in waiting:
            each.write("/wait?s=1.5")

        async def all_open():
            stats = await pod.stats()
            pool = stats["threads"].get("wsgi", {"busy": 0, "waiting": 0})
            known = pool["busy"] + pool["waiting"]
            return pool if stats["in_flight"] == known == 6 else None

        pool = await until(all_open)
        assert pool["limit"] == 3
        assert 3 <= pool["busy"] <= 6
        await pod.resize(1)
        assert [(await each.read()).body for each in waiting] == [b"waited"] * 6
        await pod.settled(1)

        async def counted():
            requests = (await pod.stats())["requests"]
            return requests if requests["success"] == 8 else None

        assert (await until(counted))["server_error"] == 1


async def test_streams_of_disconnected_clients_free_their_threads(tmp_path):
    (tmp_path / "shop.py").write_text(APP)
    flags = (f"--app-dir={tmp_path}", "--wsgi", "--threads=3")
    async with serve(tmp_path, *flags, app="shop:app") as pod:
        await pod.ready(1)
        leavers = [await pod.connect() for _ in range(4)]
        for one in leavers:
            one.write("/endless")
        for one in leavers:
            # The last one gets a thread when one of the others has ended.
            async with asyncio.timeout(10):
                assert (await one.head())[0] == 200
            await one.close()
        asking = await pod.connect()

        async def closed():
            return (await asking.ask("/closed")).body == b"4"

        await until(closed)

        async def ended():
            # The worker may publish between the response to /closed and the end of its request.
            stats = await pod.stats()
            all_ended = stats["requests"]["cancelled"] == 4 and stats["in_flight"] == 0
            return stats["requests"] if all_ended else None

        assert (await until(ended))["server_error"] == 0
        await until(lambda: _no_thread_is_busy(pod))


async def test_a_response_that_cannot_be_sent_frees_its_thread(tmp_path):
    (tmp_path / "shop.py").write_text(APP)
    flags = (f"--app-dir={tmp_path}", "--wsgi", "--threads=1")
    async with serve(tmp_path, *flags, app="shop:app") as pod:
        await pod.ready(1)
        wrong = await pod.connect()
        wrong.write("/too-long")
        assert (await wrong.head())[0] == 200
        assert (await (await pod.connect()).ask("/closed")).body == b"0"
        await until(lambda: _no_thread_is_busy(pod))
        assert "longer than Content-Length" in pod.log.read_text()


async def _no_thread_is_busy(pod):
    pool = (await pod.stats())["threads"].get("wsgi")
    return pool is not None and pool["busy"] == pool["waiting"] == 0


async def test_flask_reads_a_body_of_unknown_length_and_no_ambiguous_header(tmp_path):
    (tmp_path / "shop.py").write_text(APP)
    flags = (f"--app-dir={tmp_path}", "--wsgi", "--threads=1")
    async with serve(tmp_path, *flags, app="shop:app") as pod:
        await pod.ready(1)
        one = await pod.connect()
        head = b"POST /headers HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n"
        one.writer.write(head + b"x_real_ip: 6.6.6.6\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        assert (await one.read()).body == b"(None, b'hello')"
        one.writer.write(head + b"x-real-ip: 1.1.1.1\r\n\r\n0\r\n\r\n")
        assert (await one.read()).body == b"('1.1.1.1', b'')"
        for lost in (
            b"transfer-encoding: chunked\r\n\r\n5\r\nhel",
            b"content-length: 5\r\n\r\nhel",
        ):
            leaver = await pod.connect()
            leaver.writer.write(b"POST /echo HTTP/1.1\r\nhost: t\r\n" + lost)
            await until(lambda: _in_flight(pod, 1))
            await leaver.close()
            await until(lambda: _in_flight(pod, 0))
        requests = (await pod.stats())["requests"]
        assert (requests["success"], requests["cancelled"]) == (2, 2)


async def _in_flight(pod, count):
    return (await pod.stats())["in_flight"] == count


async def test_flasks_upstream_calls_are_counted_and_traced(tmp_path):
    seen = []

    async def upstream(request):
        seen.append(request.headers.get("traceparent"))
        await asyncio.sleep(0.3)
        return web.Response(text="there")

    outside = web.Application()
    outside.router.add_get("/", upstream)
    runner = web.AppRunner(outside)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = "http://{}:{}/".format(*runner.addresses[0])
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    (tmp_path / "shop.py").write_text(APP)
    async with serve(
        tmp_path, f"--app-dir={tmp_path}", "--wsgi", app="shop:app", UPSTREAM=url
    ) as pod:
        await pod.ready(1)
        one = await pod.connect()
        assert (await one.ask("/call", f"traceparent: {parent}\r\n")).body == b"there"

        async def counted():
            stats = await pod.stats()
            return stats if stats["requests"]["success"] else None

        stats = await until(counted)
        assert 0.3 <= stats["upstream_seconds"] <= stats["in_flight_seconds"]
    assert seen == [parent]
    await runner.cleanup()


async def test_a_wsgi_app_without_the_wsgi_option_is_refused_with_a_hint(tmp_path):
    (tmp_path / "shop.py").write_text(APP)
    async with serve(tmp_path, f"--app-dir={tmp_path}", app="shop:app") as pod:

        async def reported():
            return (await pod.stats())["failure"]

        assert await until(reported) == (
            "TypeError: shop:app is a WSGI app: serve it with --wsgi or AIAPI_WSGI=1"
        )
