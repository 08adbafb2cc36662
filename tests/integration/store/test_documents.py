"""Documents: storing, searching, and isolation of tenants."""

import asyncio
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from store_support.gateway import gateway

from aiapi_service.gateway.documents.store import _nearest

SHOP = {"id": "hours", "content": "the shop opens at nine", "metadata": {"lang": "en", "n": 1}}
RETURNS = {"id": "returns", "content": "returns are free for a month", "metadata": {"lang": "en"}}
LADEN = {"id": "laden", "content": "der laden opens um neun", "metadata": {"lang": "de"}}


async def test_documents_are_found_by_meaning(database_url: str, tmp_path: Path) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        put = await client.put("/v1/documents", json={"documents": [SHOP, RETURNS, LADEN]})
        assert put.status_code == 200, put.text
        assert put.json()["ids"] == ["hours", "returns", "laden"]
        found = await client.post(
            "/v1/documents/search", json={"query": "when is it that the shop opens", "limit": 2}
        )
        assert found.status_code == 200, found.text
        hits = found.json()["data"]
        assert hits[0]["id"] == "hours"
        assert len(hits) == 2
        assert hits[0]["score"] > hits[1]["score"]
        assert hits[0]["metadata"] == SHOP["metadata"]
        german = {"query": "the shop opens", "filter": {"lang": "de"}}
        found = await client.post("/v1/documents/search", json=german)
        assert [hit["id"] for hit in found.json()["data"]] == ["laden"]


async def test_a_document_is_replaced_by_id_and_deduplicated_by_content(
    database_url: str, tmp_path: Path
) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        for content in ("first", "second"):
            body = {"documents": [{"id": "one", "content": content}, {"content": "the same"}]}
            assert (await client.put("/v1/documents", json=body)).status_code == 200
        listed = (await client.get("/v1/documents")).json()["data"]
        assert sorted(document["content"] for document in listed) == ["second", "the same"]
        assert (await client.get("/v1/documents/one")).json()["content"] == "second"


async def test_the_same_document_twice_is_stored_once(database_url: str, tmp_path: Path) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        body = {"documents": [SHOP, {"content": "a"}, SHOP, {"content": "a"}]}
        answer = await client.put("/v1/documents", json=body)
        assert answer.status_code == 200, answer.text
        ids = answer.json()["ids"]
        assert (len(ids), len(set(ids)), answer.json()["tokens"]) == (4, 2, 2)
        assert len((await client.get("/v1/documents")).json()["data"]) == 2


async def test_ids_may_contain_dots(database_url: str, tmp_path: Path) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        for name in (".hidden", "a.b", "..a"):
            body = {"documents": [{"id": name, "content": "x"}]}
            assert (await client.put("/v1/documents", json=body)).status_code == 200
            assert (await client.get(f"/v1/documents/{name}")).status_code == 200


async def test_integers_may_be_written_as_floats(database_url: str, tmp_path: Path) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        search = {"query": "x", "limit": 5.0}
        assert (await client.post("/v1/documents/search", json=search)).status_code == 200
        question = {"question": "x", "documents": 2.0, "max_tokens": 9.0}
        assert (await client.post("/v1/answer", json=question)).status_code == 200
        search["limit"] = 5.5
        assert (await client.post("/v1/documents/search", json=search)).status_code == 422


async def test_pagination(database_url: str, tmp_path: Path) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        body = {"documents": [{"id": f"d{n:02}", "content": f"number {n}"} for n in range(25)]}
        await client.put("/v1/documents", json=body)
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            answer = await client.get("/v1/documents", params={"limit": 10, "cursor": cursor})
            page = answer.json()
            seen += [document["id"] for document in page["data"]]
            cursor = page["next_cursor"]
        assert seen == [f"d{n:02}" for n in range(25)]


async def test_delete(database_url: str, tmp_path: Path) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        await client.put("/v1/documents", json={"documents": [SHOP]})
        assert (await client.delete("/v1/documents/hours")).status_code == 204
        assert (await client.delete("/v1/documents/hours")).status_code == 404
        missing = await client.get("/v1/documents/hours")
        assert missing.status_code == 404
        assert missing.json()["detail"] == "Document hours does not exist."


async def test_tenants_are_isolated(database_url: str, tmp_path: Path) -> None:
    async with gateway(tmp_path, database_url) as one:
        ann, bob = await one.key(), await one.key()
        async with one.client(ann) as hers, one.client(bob) as his:
            await hers.put("/v1/documents", json={"documents": [SHOP]})
            mine = {"id": "hours", "content": "the shop opens at noon"}
            await his.put("/v1/documents", json={"documents": [mine]})
            query = {"query": "the shop opens", "limit": 50}
            for client, content in ((hers, SHOP["content"]), (his, mine["content"])):
                found = await client.post("/v1/documents/search", json=query)
                listed = await client.get("/v1/documents")
                for answer in (found, listed):
                    assert [one["content"] for one in answer.json()["data"]] == [content]
            assert (await his.delete("/v1/documents/hours")).status_code == 204
            assert (await hers.get("/v1/documents/hours")).json()["content"] == SHOP["content"]


async def test_users_of_a_tenant_share_documents(database_url: str, tmp_path: Path) -> None:
    async with gateway(tmp_path, database_url) as one:
        async with one.client(await one.key(tenant="acme")) as first:
            await first.put("/v1/documents", json={"documents": [SHOP]})
        async with one.client(await one.key(tenant="acme")) as second:
            assert (await second.get("/v1/documents/hours")).status_code == 200


async def test_a_small_tenant_finds_all_its_documents_beside_a_large_one(
    database_url: str, tmp_path: Path
) -> None:
    async with gateway(tmp_path, database_url) as one:
        async with one.client(await one.key()) as large:
            for batch in range(8):
                many = [{"content": f"shop opens {batch} {n}"} for n in range(128)]
                assert (await large.put("/v1/documents", json={"documents": many})).is_success
        async with one.client(await one.key()) as small:
            body = {"documents": [{"id": f"s{n}", "content": f"far off {n}"} for n in range(5)]}
            await small.put("/v1/documents", json=body)
            await one.database.execute("ANALYZE documents")
            query = {"query": "shop opens 1 1", "limit": 50}
            found = await small.post("/v1/documents/search", json=query)
            assert len(found.json()["data"]) == 5


async def test_scopes_are_enforced(database_url: str, tmp_path: Path) -> None:
    async with gateway(tmp_path, database_url) as one:
        reader = await one.key(scopes=frozenset({"documents:read"}))
        async with one.client(reader) as client:
            assert (await client.get("/v1/documents")).status_code == 200
            refused = await client.put("/v1/documents", json={"documents": [SHOP]})
            assert refused.status_code == 403
            assert (await client.delete("/v1/documents/hours")).status_code == 403
            assert (await client.post("/v1/answer", json={"question": "?"})).status_code == 403


def _with_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    return {"documents": [{"content": "x", "metadata": metadata}]}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"documents": []}, "documents"),
        ({"documents": [SHOP] * 129}, "documents"),
        ({"documents": [SHOP, {**SHOP, "content": "other"}]}, "documents[1]"),
        ({"documents": [SHOP, {**SHOP, "metadata": {"other": 1}}]}, "documents[1]"),
        ({"documents": [{"content": "x", "id": "."}]}, "documents[0].id"),
        ({"documents": [{"content": "x", "id": ".."}]}, "documents[0].id"),
        ({"documents": [{"content": "x", "id": "a" * 129}]}, "documents[0].id"),
        ({"documents": [{"content": ""}]}, "documents[0].content"),
        ({"documents": [{"content": "a\0b"}]}, "documents[0].content"),
        ({"documents": [{"content": "x" * 100_001}]}, "documents[0].content"),
        ({"documents": [{"content": "x", "id": "a/b"}]}, "documents[0].id"),
        ({"documents": [{"content": "x", "id": "a\n"}]}, "documents[0].id"),
        ({"documents": [{"content": "x", "more": 1}]}, "documents[0].more"),
        ({"documents": [{"content": "x", "metadata": {"k": "\0"}}]}, "documents[0].metadata"),
        ({"documents": [{"content": "x", "metadata": {"k\0": 1}}]}, "documents[0].metadata"),
        (
            {"documents": [{"content": "x", "metadata": {"k": "v" * 20_000}}]},
            "documents[0].metadata",
        ),
    ],
)
async def test_invalid_documents_are_refused_with_their_field(
    database_url: str, tmp_path: Path, body: dict[str, Any], field: str
) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        answer = await client.put("/v1/documents", json=body)
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["field"] == field
        assert (await client.get("/v1/documents")).json()["data"] == [], "nothing is stored"


@pytest.mark.parametrize("text", ["ünïcödé 日本語 🎉", "\\u0000 as text", "\\ud800", "'; DROP --"])
async def test_unusual_text_survives_a_round_trip(
    database_url: str, tmp_path: Path, text: str
) -> None:
    document = {"id": "odd", "content": text, "metadata": {text: [text, {"deep": text}]}}
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        answer = await client.put("/v1/documents", json={"documents": [document]})
        assert answer.status_code == 200, answer.text
        got = (await client.get("/v1/documents/odd")).json()
        assert (got["content"], got["metadata"]) == (text, document["metadata"])


@pytest.mark.parametrize("cursor", ["%%%", "YQ!", "/w==", "x" * 257, "AA"])
async def test_an_invalid_cursor_is_refused(database_url: str, tmp_path: Path, cursor: str) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        answer = await client.get("/v1/documents", params={"cursor": cursor})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"].endswith("cursor")


@pytest.mark.parametrize(
    "vector",
    [
        [],
        [math.nan, 1.0],
        [math.inf],
        ["a"],
        [None],
        [1e300],
        [1.0] * 16_001,
    ],
)
async def test_an_invalid_vector_of_the_model_is_502(
    database_url: str, tmp_path: Path, vector: list[Any]
) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        one.words.vectors = [vector]
        answer = await client.put("/v1/documents", json={"documents": [SHOP]})
        assert (answer.status_code, answer.json()["title"]) == (502, "The embedding cannot be used")


async def test_a_zero_vector_has_a_score_of_zero(database_url: str, tmp_path: Path) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        one.words.vectors = [[0.0] * 64]
        await client.put("/v1/documents", json={"documents": [SHOP]})
        found = await client.post("/v1/documents/search", json={"query": "anything"})
        assert found.status_code == 200, found.text
        assert all(hit["score"] == 0 for hit in found.json()["data"])


async def test_vectors_of_another_model_are_not_compared(database_url: str, tmp_path: Path) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        await client.put("/v1/documents", json={"documents": [SHOP]})
        one.words.model = "another"
        found = await client.post("/v1/documents/search", json={"query": "shop"})
        assert found.json() == {"object": "list", "data": [], "model": "another"}


@pytest.mark.parametrize("length", [3, 2001])
async def test_vectors_of_any_length_can_be_searched(
    database_url: str, tmp_path: Path, length: int
) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        one.words.vectors = [[1.0] * length]
        await client.put("/v1/documents", json={"documents": [SHOP]})
        found = await client.post("/v1/documents/search", json={"query": "shop"})
        assert found.json()["data"][0]["score"] == pytest.approx(1)


async def test_overlapping_batches_do_not_deadlock(database_url: str, tmp_path: Path) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        documents = [{"id": f"d{n}", "content": f"text {n}"} for n in range(40)]
        bodies = [{"documents": documents}, {"documents": documents[::-1]}] * 5
        answers = await asyncio.gather(*(client.put("/v1/documents", json=body) for body in bodies))
        assert {answer.status_code for answer in answers} == {200}


async def test_the_search_can_use_the_index(database_url: str, tmp_path: Path) -> None:
    async with gateway(tmp_path, database_url) as one, one.client(await one.key()) as client:
        await client.put("/v1/documents", json={"documents": [SHOP]})
        rows = await one.database.rows(
            "SELECT indexdef FROM pg_indexes WHERE indexname = 'documents_embedding_64'"
        )
        assert "hnsw" in rows[0]["indexdef"]
        async with one.database.transaction() as connection:
            await connection.execute("SET LOCAL enable_seqscan = off")
            await connection.execute("SET LOCAL enable_sort = off")
            plan = await connection.fetchval(
                f"EXPLAIN (FORMAT json) {_nearest(64)}",
                "tenant",
                "words",
                json.dumps([0.5] * 64),
                "{}",
                5,
            )
        assert "documents_embedding_64" in plan


async def test_without_a_database_the_problem_names_the_setting(
    database_url: str, tmp_path: Path
) -> None:
    async with gateway(tmp_path, database_url, auth="off") as one:
        one.app.state.services = replace(one.app.state.services, store=None)
        async with one.client("") as client:
            del client.headers["Authorization"]
            answer = await client.get("/v1/documents")
    assert (answer.status_code, answer.json()["title"]) == (503, "No database is configured")
