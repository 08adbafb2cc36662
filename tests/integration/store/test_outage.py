"""Postgres is killed under load: requests fail cleanly, the pool recovers, no partial data."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from store_support.gateway import Gateway, gateway
from store_support.postgres import Server, running
from store_support.service import service

ASK = {"question": "when does the shop open"}


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A server that is not shared with other tests."""
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def own_url(own_server: Server) -> str:
    return own_server.create("outage")


@pytest.fixture
async def one(own_server: Server, own_url: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    limits = {"answer_burst": 100_000, "database_connections": 4}
    async with gateway(tmp_path, own_url, **limits) as running_gateway:
        yield running_gateway
    if own_server.stopped:
        own_server.launch()
        await own_server.wait_ready()


def _is_clean(answer: httpx.Response) -> bool:
    """A success, or a 503 with Retry-After."""
    if answer.status_code in (200, 204):
        return True
    return (
        answer.status_code == 503
        and answer.headers["content-type"] == "application/problem+json"
        and int(answer.headers["Retry-After"]) > 0
    )


async def test_a_kill_under_load(one: Gateway, own_server: Server, own_url: str) -> None:
    over = asyncio.Event()
    answers: list[httpx.Response] = []

    async def work(client: httpx.AsyncClient, number: int) -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            pair = [{"id": f"{number}-{turn}-{half}", "content": "text"} for half in "ab"]
            answers.append(await client.put("/v1/documents", json={"documents": pair}))
            answers.append(await client.post("/v1/answer", json=ASK))
            await asyncio.sleep(0.01)

    async with one.client(await one.key()) as client:
        workers = [asyncio.create_task(work(client, number)) for number in range(8)]
        await _until(lambda: sum(answer.status_code == 200 for answer in answers) > 20)
        await asyncio.to_thread(own_server.kill)
        await _until(lambda: sum(answer.status_code == 503 for answer in answers) > 8)
        own_server.launch()
        await own_server.wait_ready()
        seen = len(answers)
        await _until(lambda: sum(one.status_code == 200 for one in answers[seen:]) > 20)
        over.set()
        await asyncio.wait_for(asyncio.gather(*workers), 30)

        wrong = [answer for answer in answers if not _is_clean(answer)]
        assert not wrong, [(answer.status_code, answer.text) for answer in wrong[:3]]
        halves = await one.database.rows(
            "SELECT left(id, -2) AS pair FROM documents GROUP BY 1 HAVING count(*) <> 2"
        )
        assert halves == [], "a batch is stored completely or not at all"
        empty = await one.database.rows(
            "SELECT c.id FROM chats c LEFT JOIN answers a ON a.chat = c.id WHERE a.id IS NULL"
        )
        assert empty == [], "no chat is stored without its answer"
        for answer in answers:
            body = answer.json()
            if answer.status_code == 200 and body.get("stored"):
                kept = await client.get(f"/v1/chats/{body['chat_id']}")
                assert len(kept.json()["turns"]) == 1, "a confirmed answer is stored"


async def _until(check: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not check():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)


async def test_a_kill_during_the_model_call_returns_the_answer_unstored(
    one: Gateway, own_server: Server
) -> None:
    async with one.client(await one.key()) as client:
        one.model.pause = 1.0
        asking = asyncio.create_task(client.post("/v1/answer", json=ASK))
        await asyncio.wait_for(one.model.began.wait(), 20)
        await asyncio.to_thread(own_server.kill)
        answer = await asyncio.wait_for(asking, 60)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["answer"], answer.json()["stored"]) == ("At nine.", False)
        refused = await client.get("/v1/documents")
        assert refused.status_code == 503
        assert refused.json()["title"] == "The database is not available"
        assert "socket" not in refused.text, "callers do not see its address"


async def test_a_hanging_statement_times_out(own_url: str, tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, own_url, database_timeout=0.5) as one,
        one.client(await one.key()) as client,
    ):
        other = await asyncpg.connect(own_url)
        async with other.transaction():
            await other.execute("LOCK TABLE documents IN ACCESS EXCLUSIVE MODE")
            answer = await asyncio.wait_for(client.get("/v1/documents"), 20)
        await other.close()
        assert _is_clean(answer)
        assert answer.status_code == 503
        assert (await client.get("/v1/documents")).status_code == 200


async def test_a_worker_starts_without_its_database_and_connects_later(
    own_server: Server, own_url: str, tmp_path: Path
) -> None:
    await asyncio.to_thread(own_server.kill)
    form = {"grant_type": "password", "username": "ann", "password": "x"}
    async with service(tmp_path, own_url, database_start_wait=0) as one, one.client() as client:
        refused = await client.post("/v1/auth/token", data=form)
        assert refused.status_code == 503
        assert _is_clean(refused)
        own_server.launch()
        await own_server.wait_ready()
        assert (await client.post("/v1/auth/token", data=form)).status_code == 400
