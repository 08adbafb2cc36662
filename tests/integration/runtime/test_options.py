"""Options that apps bring along from other servers."""

import json

import aiohttp
import pytest
from runtime_support.client import Load
from runtime_support.pod import serve, until

SCOPE = """
import json

async def app(scope, receive, send):
    body = json.dumps([scope["root_path"], scope["path"]]).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""


async def test_a_worker_is_replaced_after_its_requests_and_none_is_lost(tmp_path):
    async with serve(tmp_path, "--workers=2", "--limit-max-requests=100") as pod:
        await pod.ready(2)
        async with Load(pod.host, pod.port, keeping=6, opening=2, pause=0.005) as load:

            async def replaced():
                return len(load.result.workers) >= 6

            await until(replaced, 60.0)
        assert load.result.lost == []
        log = pod.log.read_text()
    assert log.count("requests: it is replaced") >= 4
    assert "ERROR" not in log


async def test_the_root_path_is_in_each_scope(tmp_path):
    (tmp_path / "rooted.py").write_text(SCOPE)
    options = {"AIAPI_APP_DIR": str(tmp_path), "AIAPI_ROOT_PATH": "/api/v1"}
    async with serve(tmp_path, app="rooted:app", **options) as pod:
        await pod.ready(1)
        answer = await (await pod.connect()).ask("/items")
    assert json.loads(answer.body) == ["/api/v1", "/api/v1/items"]


CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"mine": {"()": "formats.Mine"}},
    "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "mine"}},
    "root": {"level": "INFO", "handlers": ["out"]},
}
FORMATS = """
import logging

class Mine(logging.Formatter):
    def format(self, record):
        return f"MINE {record.getMessage()}"
"""
LOGGING_APP = "import logging\nlogging.getLogger('shop').info('imported')\n" + SCOPE
INI = """
[loggers]
keys=root
[handlers]
keys=out
[formatters]
keys=mine
[logger_root]
level=INFO
handlers=out
[handler_out]
class=StreamHandler
formatter=mine
[formatter_mine]
format=MINE %(message)s
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("log.json", json.dumps(CONFIG)),
        ("log.yaml", json.dumps(CONFIG)),  # JSON is YAML
        ("log.ini", INI),
    ],
)
async def test_the_workers_log_as_the_file_says(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    (tmp_path / "formats.py").write_text(FORMATS)
    (tmp_path / "logging_app.py").write_text(LOGGING_APP)
    options = {"AIAPI_APP_DIR": str(tmp_path), "AIAPI_LOG_CONFIG": str(tmp_path / name)}
    async with serve(tmp_path, app="logging_app:app", **options) as pod:
        await pod.ready(1)
        lines = pod.log.read_text().splitlines()
    assert "MINE imported" in lines
    assert any("aiapi.supervisor: worker" in line for line in lines), "the supervisor's own format"


async def test_a_log_configuration_with_an_error_names_the_file(tmp_path):
    file = tmp_path / "log.json"
    file.write_text('["no mapping"]')
    async with serve(tmp_path, AIAPI_LOG_CONFIG=str(file)) as pod:

        async def failed():
            return (await pod.stats())["failure"]

        failure = await until(failed)
    assert failure == f"ValueError: --log-config {file}: it is not a mapping as dictConfig reads it"


async def test_the_bounds_of_a_request_are_options(tmp_path):
    flags = ("--max-head=2048", "--max-headers=16", "--head-timeout=0.3")
    async with serve(tmp_path, *flags, AIAPI_WS_MAX_SIZE="1024") as pod:
        await pod.ready(1)
        for head, status, detail in (
            ("x: " + 3000 * "y" + "\r\n", 431, b"larger than 2048 bytes"),
            (20 * "x: y\r\n", 431, b"more than 16 headers"),
        ):
            answer = await (await pod.connect()).ask("/", head)
            assert (answer.status, detail in answer.body) == (status, True)
        slow = await pod.connect()
        slow.writer.write(b"GET / HTTP/1.1\r\n")
        assert b"longer than 0.3 s" in (await slow.read()).body
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"http://{pod.host}:{pod.port}/") as socket,
        ):
            await socket.send_str(2000 * "y")
            message = await socket.receive(timeout=20)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1009)
