"""Answers: the steps, their timings, and what is stored when a step fails."""

import asyncio
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from store_support.gateway import Gateway, gateway

from aiapi_service.gateway import problems, steps
from aiapi_service.gateway.answer.store import ChatStore
from aiapi_service.gateway.problems import ProblemError
from aiapi_service.store.errors import StoreUnavailableError

HOURS = {"id": "hours", "content": "the shop opens at nine"}
ASK = {"question": "when does the shop open"}


async def _stored(one: Gateway) -> tuple[int, int]:
    row = await one.database.row(
        "SELECT (SELECT count(*) FROM chats) AS chats, (SELECT count(*) FROM answers) AS answers"
    )
    assert row is not None
    return row["chats"], row["answers"]


async def test_an_answer_uses_the_documents_and_is_stored(
    database_url: str, tmp_path: Path
) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        await client.put("/v1/documents", json={"documents": [HOURS]})
        answer = await client.post("/v1/answer", json=ASK)
        assert answer.status_code == 200, answer.text
        got = answer.json()
        assert (got["answer"], got["model"], got["stored"]) == ("At nine.", "stand-in", True)
        assert [source["id"] for source in got["sources"]] == ["hours"]
        assert got["usage"] == {"prompt_tokens": 7, "completion_tokens": 2}
        assert "timings" not in got
        system = one.model.asked[0]["messages"][0]
        assert system["role"] == "system"
        assert HOURS["content"] in system["content"]
        chat = (await client.get(f"/v1/chats/{got['chat_id']}")).json()
        assert [turn["answer"] for turn in chat["turns"]] == ["At nine."]
        assert chat["turns"][0]["sources"] == got["sources"]


async def test_a_chat_continues_with_its_turns(database_url: str, tmp_path: Path) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        chat = (await client.post("/v1/answer", json=ASK)).json()["chat_id"]
        again = {"question": "and on sundays", "chat_id": chat, "documents": 0}
        assert (await client.post("/v1/answer", json=again)).json()["chat_id"] == chat
        contents = [message["content"] for message in one.model.asked[1]["messages"][1:]]
        assert contents == [ASK["question"], "At nine.", "and on sundays"]
        turns = (await client.get(f"/v1/chats/{chat}")).json()["turns"]
        assert [turn["question"] for turn in turns] == [ASK["question"], "and on sundays"]
        assert (await client.delete(f"/v1/chats/{chat}")).status_code == 204
        assert (await client.get(f"/v1/chats/{chat}")).status_code == 404


async def test_a_chat_of_another_caller_is_404(database_url: str, tmp_path: Path) -> None:
    async with gateway(tmp_path, database_url) as one:
        async with one.client(await one.key(tenant="firm")) as hers:
            chat = (await hers.post("/v1/answer", json=ASK)).json()["chat_id"]
        for key in (await one.key(), await one.key(tenant="firm")):
            async with one.client(key) as his:
                for answer in (
                    await his.get(f"/v1/chats/{chat}"),
                    await his.delete(f"/v1/chats/{chat}"),
                    await his.post("/v1/answer", json=ASK | {"chat_id": chat}),
                    await his.post("/v1/answer", json=ASK | {"chat_id": str(uuid4())}),
                ):
                    assert answer.status_code == 404
                    assert answer.json()["detail"] == "You have no chat with this id."
        assert len(one.model.asked) == 1, "the model is not called for refused requests"


async def test_the_local_model_gets_one_document_and_an_example(
    database_url: str, tmp_path: Path
) -> None:
    other = {"id": "parking", "content": "the shop has twelve parking places"}
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        await client.put("/v1/documents", json={"documents": [HOURS, other]})
        usual = (await client.post("/v1/answer", json=ASK)).json()
        one.model.name = "smollm2-135m"
        small = (await client.post("/v1/answer", json=ASK)).json()
        await client.post("/v1/answer", json=ASK | {"documents": 0, "max_tokens": 300})
    assert [source["id"] for source in usual["sources"]] == ["hours", "parking"]
    assert [source["id"] for source in small["sources"]] == ["hours"], (
        "only the document in the prompt"
    )
    for_usual, for_small, without = one.model.asked
    assert (for_usual["max_tokens"], "temperature" in for_usual) == (512, False)
    assert (for_small["max_tokens"], for_small["temperature"]) == (96, 0)
    roles = [message["role"] for message in for_small["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    contents = for_small["messages"][-1]["content"]
    assert contents == f"Text: {HOURS['content']}\n\nQuestion: {ASK['question']}"
    assert (without["messages"][-1]["content"], without["max_tokens"]) == (ASK["question"], 300)


async def test_independent_steps_run_concurrently_and_others_in_order(
    database_url: str, tmp_path: Path
) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        await client.put("/v1/documents", json={"documents": [HOURS]})
        chat = (await client.post("/v1/answer", json=ASK)).json()["chat_id"]
        one.words.pause = one.model.pause = 0.2
        answer = await client.post("/v1/answer?timings=true", json=ASK | {"chat_id": chat})
        times = answer.json()["timings"]
        first = {"authenticate", "limit", "chat", "embed"}
        assert set(times) == {*first, "search", "model", "store", "total"}

        def end(step: str) -> float:
            return float(times[step]["began"] + times[step]["seconds"])

        for step in ("limit", "chat", "embed"):
            assert times[step]["began"] < end("embed") - 0.1, f"{step} does not wait"
        order = [("authenticate", one) for one in ("limit", "chat", "embed")]
        for before, after in (*order, ("embed", "search"), ("search", "model"), ("model", "store")):
            assert end(before) <= times[after]["began"] + 0.001
        assert times["embed"]["seconds"] >= 0.19
        assert times["total"]["seconds"] >= end("store") - 0.001


async def test_authentication_is_a_measured_step(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans: list[str] = []

    def record(name: str) -> AbstractContextManager[None]:
        spans.append(name)
        return nullcontext()

    monkeypatch.setattr(steps, "span", record)

    def counts() -> list[float]:
        series = (steps.STEP.labels("authenticate", outcome) for outcome in ("ok", "error"))
        return [sum(one.values[:-1]) for one in series]

    ok, failed = counts()
    async with gateway(tmp_path, database_url) as one:
        async with one.client(await one.key()) as client:
            assert (await client.post("/v1/answer", json=ASK)).status_code == 200
        assert spans[0] == "authenticate"
        async with one.client("nobody's") as client:
            assert (await client.post("/v1/answer", json=ASK)).status_code == 401
        assert counts() == [ok + 1, failed + 1]
        async with one.client(await one.key()) as client:
            await client.get("/v1/documents")
        assert counts() == [ok + 1, failed + 1], "other routes do not measure it"


async def test_nothing_is_stored_when_the_model_fails(database_url: str, tmp_path: Path) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        before = await _stored(one)
        one.model.failure = ProblemError(502, "x", "The upstream did not answer", "broken")
        answer = await client.post("/v1/answer", json=ASK)
        assert (answer.status_code, answer.json()["title"]) == (502, "The upstream did not answer")
        one.model.failure = None
        one.model.text = None  # type: ignore[assignment]
        answer = await client.post("/v1/answer", json=ASK)
        assert (answer.status_code, answer.json()["title"]) == (502, "The model gave no answer")
        assert await _stored(one) == before


async def test_the_answer_has_a_warning_when_the_store_fails(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_: Any, **__: Any) -> bool:
        raise StoreUnavailableError("gone")

    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        before = await _stored(one)
        monkeypatch.setattr(ChatStore, "store", fail)
        answer = await client.post("/v1/answer", json=ASK)
        assert answer.status_code == 200
        assert answer.json()["stored"] is False
        assert "could not be stored" in answer.json()["warning"]
        assert answer.json()["answer"] == "At nine."
        assert await _stored(one) == before


async def test_a_lost_confirmation_stores_the_answer_once(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, lost = ChatStore.store, []

    async def lose(self: ChatStore, *args: Any, **more: Any) -> bool:
        kept = await real(self, *args, **more)
        if not lost:
            lost.append(kept)
            raise StoreUnavailableError("the connection broke before the confirmation")
        return kept

    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        chats, answers = await _stored(one)
        monkeypatch.setattr(ChatStore, "store", lose)
        answer = await client.post("/v1/answer", json=ASK)
        assert answer.json()["stored"] is True
        assert await _stored(one) == (chats + 1, answers + 1)


async def test_a_chat_deleted_meanwhile_is_not_recreated(database_url: str, tmp_path: Path) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        chat = (await client.post("/v1/answer", json=ASK)).json()["chat_id"]
        one.model.began.clear()
        one.model.pause = 0.3
        asking = asyncio.create_task(client.post("/v1/answer", json=ASK | {"chat_id": chat}))
        await asyncio.wait_for(one.model.began.wait(), 10)
        assert (await client.delete(f"/v1/chats/{chat}")).status_code == 204
        assert (await asking).json()["stored"] is False
        assert (await client.get(f"/v1/chats/{chat}")).status_code == 404


@pytest.mark.parametrize(
    ("setting", "step"), [("answer_model_timeout", "model"), ("answer_embed_timeout", "embed")]
)
async def test_a_step_that_times_out_is_named(
    database_url: str, tmp_path: Path, setting: str, step: str
) -> None:
    async with (
        gateway(tmp_path, database_url, **{setting: 0.2}) as one,
        one.client(await one.key()) as client,
    ):
        before = await _stored(one)
        one.words.pause = 10 if step == "embed" else 0
        one.model.pause = 10
        answer = await client.post("/v1/answer", json=ASK)
        assert answer.status_code == 504
        assert answer.json()["detail"] == f"The step {step} did not finish within 0.2 s."
        assert await _stored(one) == before


async def test_requests_over_the_limit_do_not_call_the_model(
    database_url: str, tmp_path: Path
) -> None:
    async with (
        gateway(tmp_path, database_url, answer_burst=2, answer_seconds=1000) as one,
        one.client(await one.key()) as client,
    ):
        answers = [await client.post("/v1/answer", json=ASK) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
        assert int(answers[-1].headers["Retry-After"]) > 0
        assert len(one.model.asked) == 2
        async with one.client(await one.key()) as other:
            assert (await other.post("/v1/answer", json=ASK)).status_code == 200


async def test_characters_that_postgres_cannot_store_are_removed(
    database_url: str, tmp_path: Path
) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        one.model.text = "a\0b\ud800c"
        got = (await client.post("/v1/answer", json=ASK)).json()
        assert (got["answer"], got["stored"]) == ("ab?c", True)
        one.model.text, one.model.name, one.model.usage = "yes", "m\0odel", {"to\0kens": 3}
        got = (await client.post("/v1/answer", json=ASK)).json()
        assert (got["model"], got["usage"], got["stored"]) == ("model", {"tokens": 3}, True)


async def test_requests_over_the_limit_do_not_count_as_shed(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked: list[int] = []
    monkeypatch.setattr(problems, "shed", lambda: marked.append(1))
    limit = {"answer_burst": 1, "answer_seconds": 1000}
    async with (
        gateway(tmp_path, database_url, **limit) as one,
        one.client(await one.key()) as client,
    ):
        assert (await client.post("/v1/answer", json=ASK)).status_code == 200
        assert (await client.post("/v1/answer", json=ASK)).status_code == 429
    assert marked == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "question"),
        ({"question": ""}, "question"),
        ({"question": "x" * 8193}, "question"),
        ({"question": "a\0"}, "question"),
        ({"question": "x", "chat_id": "nonsense"}, "chat_id"),
        ({"question": "x", "documents": 21}, "documents"),
        ({"question": "x", "max_tokens": 0}, "max_tokens"),
        ({"question": "x", "stream": True}, "stream"),
    ],
)
async def test_an_invalid_question_is_refused_with_its_field(
    database_url: str, tmp_path: Path, body: dict[str, Any], field: str
) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        answer = await client.post("/v1/answer", json=body)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == field
