"""Refresh tokens: used once, and reuse ends the session."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from store_support.service import Service, service

from aiapi_service.auth.sessions import digest


async def _pair(one: Service) -> dict[str, str]:
    name = f"user-{uuid4().hex[:8]}"
    await one.add_user(name)
    # From a separate address, so that its login attempts do not count for other tests.
    pair: dict[str, str] = (await one.log_in(name, address=f"2001:db8:{name[-4:]}::")).json()
    return pair


async def test_a_refresh_returns_a_new_pair(database_url: str, tmp_path: Path) -> None:
    async with service(tmp_path, database_url) as one:
        first = await _pair(one)
        answer = await one.refresh(first["refresh_token"])
        assert answer.headers["Cache-Control"] == "no-store"
        second = answer.json()
        assert second["refresh_token"] != first["refresh_token"]
        assert (await one.get("/chat", second["access_token"])).status_code == 200
        assert (await one.refresh(second["refresh_token"])).status_code == 200


async def test_a_refresh_with_a_narrower_scope(database_url: str, tmp_path: Path) -> None:
    async with service(tmp_path, database_url) as one:
        await one.add_user("narrow", scopes=frozenset({"chat", "answer", "documents:write"}))
        address = "2001:db8:aaaa::"
        first = (await one.log_in("narrow", scope="chat answer", address=address)).json()
        narrow = (await one.refresh(first["refresh_token"], scope="answer")).json()
        assert narrow["scope"] == "answer"
        assert (await one.get("/chat", narrow["access_token"])).status_code == 403
        refused = await one.refresh(narrow["refresh_token"], scope="answer documents:write")
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")
        assert refused.json()["error_description"] == "The session was not granted documents:write."
        full = (await one.refresh(narrow["refresh_token"])).json()
        assert full["scope"] == "answer chat", "the refused request did not use the token"
        assert (await one.get("/chat", full["access_token"])).status_code == 200
        unknown = await one.refresh("aiapi-refresh_" + "x" * 43, scope="chat")
        assert unknown.json()["error"] == "invalid_grant"


async def test_reuse_of_a_token_ends_the_session(database_url: str, tmp_path: Path) -> None:
    async with service(tmp_path, database_url, auth_refresh_grace=0) as one:
        stolen = await _pair(one)
        owner = (await one.refresh(stolen["refresh_token"])).json()
        again = await one.refresh(stolen["refresh_token"])
        assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
        assert (await one.refresh(owner["refresh_token"])).status_code == 400
        assert (await one.get("/chat", owner["access_token"])).status_code == 401
        assert (await one.get("/chat", stolen["access_token"])).status_code == 401


async def test_two_concurrent_refreshes_succeed_and_a_third_ends_nothing(
    database_url: str, tmp_path: Path
) -> None:
    async with service(tmp_path, database_url) as one:
        token = (await _pair(one))["refresh_token"]
        answers = await asyncio.gather(*(one.refresh(token) for _ in range(8)))
        won = [answer.json() for answer in answers if answer.status_code == 200]
        assert len(won) == 2, "exactly two concurrent refreshes succeed"
        assert len({pair["refresh_token"] for pair in won}) == 2
        for pair in won:
            assert (await one.refresh(pair["refresh_token"])).status_code == 200


async def test_without_grace_one_concurrent_refresh_succeeds(
    database_url: str, tmp_path: Path
) -> None:
    async with service(tmp_path, database_url, auth_refresh_grace=0) as one:
        token = (await _pair(one))["refresh_token"]
        answers = await asyncio.gather(*(one.refresh(token) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
        won = next(answer.json() for answer in answers if answer.status_code == 200)
        again = await one.refresh(won["refresh_token"])
        assert again.status_code == 400, "the reuse has ended the session"


@pytest.mark.parametrize("table", ["refresh_tokens", "sessions"])
async def test_an_expired_token_is_refused(database_url: str, tmp_path: Path, table: str) -> None:
    async with service(tmp_path, database_url) as one:
        token = (await _pair(one))["refresh_token"]
        assert one.database is not None
        past = "SET expires = now() - interval '1 second'"
        await one.database.execute(f"UPDATE {table} {past}")
        assert (await one.refresh(token)).status_code == 400


async def test_a_refresh_token_expires_with_its_session(database_url: str, tmp_path: Path) -> None:
    async with service(tmp_path, database_url, auth_session_seconds=100) as one:
        token = (await _pair(one))["refresh_token"]
        fresh = (await one.refresh(token)).json()["refresh_token"]
        assert one.database is not None
        row = await one.database.row(
            "SELECT t.expires <= s.expires AS within FROM refresh_tokens t "
            "JOIN sessions s ON s.id = t.session WHERE t.digest = $1",
            digest(fresh),
        )
        assert row is not None
        assert row["within"]


@pytest.mark.parametrize("token", ["", "nonsense", "aiapi-refresh_" + "a" * 43, "x" * 9000, "\0"])
async def test_an_unknown_token_is_refused(database_url: str, tmp_path: Path, token: str) -> None:
    async with service(tmp_path, database_url) as one:
        assert (await one.refresh(token)).status_code == 400
        assert (await one.revoke(token)).status_code in (200, 400)


async def test_only_digests_are_stored(database_url: str, tmp_path: Path) -> None:
    async with service(tmp_path, database_url) as one:
        token = (await _pair(one))["refresh_token"]
        assert one.database is not None
        for table in ("refresh_tokens", "sessions", "users", "api_keys", "rate_limits"):
            every = f"SELECT {table}::text AS row FROM {table}"  # noqa: S608 - our own names
            rows = await one.database.rows(every)
            stored = "".join(row["row"] for row in rows)
            assert token not in stored
            assert token.encode().hex() not in stored


async def test_valid_refreshes_do_not_count_for_the_address(
    database_url: str, tmp_path: Path
) -> None:
    limits = {"auth_address_burst": 2, "auth_address_seconds": 1000}
    async with service(tmp_path, database_url, **limits) as one:
        address, pair = "198.51.100.77", await _pair(one)
        for _ in range(5):
            answer = await one.refresh(pair["refresh_token"], address)
            assert answer.status_code == 200, answer.text
            pair = answer.json()
        unknown = "aiapi-refresh_" + "x" * 43
        answers = [(await one.refresh(unknown, address)).status_code for _ in range(3)]
        assert answers == [400, 400, 429]
        assert (await one.refresh(pair["refresh_token"], address)).status_code == 200
