"""Login: no user enumeration, and limited attempts."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from store_support.service import CHEAP, PASSWORD, service

from aiapi_service.auth.passwords import PasswordHasher
from aiapi_service.gateway import problems


class Counting(PasswordHasher):
    """Records the stored hashes that passwords are checked against."""

    def __init__(self) -> None:
        super().__init__(threads=1, queue=50, scheme=CHEAP)
        self.stored: list[str | None] = []

    async def check(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        self.stored.append(stored)
        return await super().check(password, stored)


async def test_all_failed_logins_get_the_same_response_and_cost_a_hash(
    database_url: str, tmp_path: Path
) -> None:
    counting = Counting()
    async with service(tmp_path, database_url, passwords=counting) as one:
        await one.add_user("carol")
        await one.add_user("dora")
        await one.accounts.set_disabled("dora", disabled=True)
        await one.accounts.add_user("keys-only", tenant="x", scopes=frozenset({"chat"}))
        answers = [
            await one.log_in("carol", "not the password"),
            await one.log_in("nobody-at-all", "not the password"),
            await one.log_in("dora", PASSWORD),
            await one.log_in("keys-only", "not the password"),
            await one.log_in("carol", "x" * 5000),
            await one.log_in("n" * 5000, "not the password"),
        ]
    assert {answer.status_code for answer in answers} == {400}
    assert len({answer.text for answer in answers}) == 1
    assert len({tuple(sorted(answer.headers.items())) for answer in answers}) == 1
    assert len(counting.stored) == len(answers)
    assert [stored is None for stored in counting.stored] == [False, True, True, True, True, True]


async def test_names_are_case_insensitive(database_url: str, tmp_path: Path) -> None:
    async with service(tmp_path, database_url) as one:
        await one.add_user("frieda")
        assert (await one.log_in("Frieda")).status_code == 200


async def test_login_never_adds_scopes(database_url: str, tmp_path: Path) -> None:
    async with service(tmp_path, database_url) as one:
        await one.add_user("greta", scopes=frozenset({"chat", "answer"}))
        assert (await one.log_in("greta")).json()["scope"] == "answer chat"
        assert (await one.log_in("greta", scope="chat embeddings")).json()["scope"] == "chat"
        answer = await one.log_in("greta", scope="embeddings")
        assert answer.json()["error"] == "invalid_scope"


async def test_the_account_limit_applies_across_pods_and_to_unknown_users(
    database_url: str, tmp_path: Path
) -> None:
    limits: dict[str, Any] = {"auth_account_burst": 3, "auth_account_seconds": 100}
    async with (
        service(tmp_path, database_url, **limits) as one,
        service(tmp_path, database_url, **limits) as other,
    ):
        await one.add_user("hanna")
        for name in ("hanna", "does-not-exist"):
            pods = [one, other, one, other, one]
            answers = [await pod.log_in(name, "wrong password") for pod in pods]
            assert [answer.status_code for answer in answers] == [400, 400, 400, 429, 429]
            refused = answers[-1]
            assert 1 <= int(refused.headers["Retry-After"]) <= 100
            assert refused.json()["title"] == "Too many attempts"
        right = await one.log_in("hanna")
        assert right.status_code == 429, "the right password is not checked either"


async def test_a_successful_login_resets_the_account_limit(
    database_url: str, tmp_path: Path
) -> None:
    async with service(
        tmp_path, database_url, auth_account_burst=3, auth_account_seconds=1000
    ) as one:
        await one.add_user("ida")
        for _ in range(3):
            assert (await one.log_in("ida", "wrong password")).status_code == 400
            assert (await one.log_in("ida", "wrong password")).status_code == 400
            assert (await one.log_in("ida")).status_code == 200


async def test_the_address_limit_applies_across_accounts(database_url: str, tmp_path: Path) -> None:
    async with service(
        tmp_path, database_url, auth_address_burst=3, auth_address_seconds=1000
    ) as one:
        address = "2001:db8:7::"
        answers = [
            await one.log_in(f"n-{uuid4().hex}", address=f"{address}{host}") for host in range(5)
        ]
        assert [answer.status_code for answer in answers] == [400, 400, 400, 429, 429]
        assert (await one.log_in("anybody", address="198.51.100.9")).status_code == 400


async def test_a_caller_cannot_forge_its_address(database_url: str, tmp_path: Path) -> None:
    async with service(
        tmp_path, database_url, auth_address_burst=2, auth_address_seconds=1000
    ) as one:
        statuses = []
        for number in range(4):
            headers = {
                "X-Forwarded-For": f"203.0.113.{number}",
                "Forwarded": f"for=10.0.0.{number}",
            }
            form = {"grant_type": "password", "username": "x", "password": "y"}
            async with one.client("198.51.100.77") as client:
                answer = await client.post("/v1/auth/token", data=form, headers=headers)
            statuses.append(answer.status_code)
    assert statuses == [400, 400, 429, 429]


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        (b"{}", "application/json", (415, "invalid_request")),
        (b"", FORM, (400, "invalid_request")),
        (b"grant_type=password", FORM, (400, "invalid_request")),
        (b"grant_type=magic", FORM, (400, "unsupported_grant_type")),
        (b"grant_type=a&grant_type=b", FORM, (400, "invalid_request")),
        (b"grant_type=%00", FORM, (400, "invalid_request")),
        (b"grant_type=%ff%fe", FORM, (400, "invalid_request")),
        (b"\xff\xfe", FORM, (400, "invalid_request")),
        (b"a=1&" * 20, FORM, (400, "invalid_request")),
        (b"a" * 20_000, FORM, (413, "invalid_request")),
    ],
)
async def test_an_invalid_form_is_refused(
    database_url: str, tmp_path: Path, content: bytes, kind: str, expected: tuple[int, str]
) -> None:
    async with service(tmp_path, database_url) as one, one.client() as client:
        headers = {"Content-Type": kind}
        answer = await client.post("/v1/auth/token", content=content, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == expected
        answer = await client.post("/v1/auth/revoke", content=content, headers=headers)
        assert answer.status_code == expected[0]


async def test_unavailable_login_names_the_setting(database_url: str, tmp_path: Path) -> None:
    async with service(tmp_path, None) as one:
        answer = await one.log_in("ann")
        assert (answer.status_code, answer.json()["title"]) == (503, "Login is not available")
        assert int(answer.headers["Retry-After"]) > 0
        assert "AIAPI_DATABASE_URL" in answer.json()["detail"]
    async with service(tmp_path, database_url, auth_signing_keys_file=None) as one:
        answer = await one.log_in("ann")
        assert "AIAPI_AUTH_SIGNING_KEYS_FILE" in answer.json()["detail"]


async def test_only_a_full_hashing_queue_counts_as_shed(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shed: list[int] = []
    monkeypatch.setattr(problems, "shed", lambda: shed.append(1))
    async with service(tmp_path, None) as one:
        assert (await one.log_in("ann")).status_code == 503
    limits: dict[str, Any] = {"auth_address_burst": 1, "auth_address_seconds": 1000}
    async with service(tmp_path, database_url, **limits) as one:
        address = "198.51.100.23"
        answers = [await one.log_in("nobody", "guess", address=address) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [400, 429]
    assert shed == []
    full = PasswordHasher(threads=1, queue=-1, scheme=CHEAP)
    async with service(tmp_path, database_url, passwords=full) as one:
        assert (await one.log_in("nobody", address="198.51.100.24")).status_code == 503
    assert shed == [1]
