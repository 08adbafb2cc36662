"""API keys: scopes, expiry and revocation."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from store_support.service import service

from aiapi_service.auth import key_file, keys
from aiapi_service.auth.accounts import AccountError
from aiapi_service.auth.secret_files import SecretFileError, write_secret


async def test_a_key_authenticates_its_owner(database_url: str, tmp_path: Path) -> None:
    async with service(tmp_path, database_url) as one:
        await one.add_user("ann")
        key = await one.add_key("ann")
        answer = await one.get("/v1/auth/me", key.text)
        assert answer.json()["subject"] == "ann"
        assert answer.json()["kind"] == "api-key"


async def test_a_key_with_another_secret_is_refused(database_url: str, tmp_path: Path) -> None:
    async with service(tmp_path, database_url) as one:
        await one.add_user("berta")
        key = await one.add_key("berta")
        for forged in (keys.ApiKey(key.id, keys.new_key().secret), keys.new_key()):
            assert (await one.get("/chat", forged.text)).status_code == 401
        assert (await one.get("/chat", key.text[:-1])).status_code == 401
        assert (await one.get("/chat", key.text + "a")).status_code == 401


async def test_the_scopes_of_a_key_are_limited_to_those_of_its_owner(
    database_url: str, tmp_path: Path
) -> None:
    async with service(tmp_path, database_url) as one:
        await one.add_user("cora", scopes=frozenset({"chat", "answer"}))
        key = await one.add_key("cora", scopes=frozenset({"chat", "documents:write"}))
        assert (await one.get("/v1/auth/me", key.text)).json()["scopes"] == ["chat"]
        refused = await one.get("/both", key.text)
        assert refused.status_code == 403
        assert refused.json()["detail"] == "The token lacks the scope documents:write."
        assert one.database is not None
        await one.database.execute("UPDATE users SET scopes = '{answer}' WHERE name = 'cora'")
        assert (await one.get("/chat", key.text)).status_code == 403


async def test_expired_revoked_and_disabled_keys_are_refused(
    database_url: str, tmp_path: Path
) -> None:
    async with service(tmp_path, database_url) as one:
        await one.add_user("dora")
        soon = datetime.now(UTC) + timedelta(hours=1)
        expiring = await one.add_key("dora", expires=soon)
        revoked, disabled = await one.add_key("dora"), await one.add_key("dora")
        for key in (expiring, revoked, disabled):
            assert (await one.get("/chat", key.text)).status_code == 200
        assert one.database is not None
        await one.database.execute(
            "UPDATE api_keys SET expires = now() - interval '1 second' WHERE id = $1", expiring.id
        )
        await one.accounts.revoke_key(revoked.id)
        assert (await one.get("/chat", expiring.text)).status_code == 401
        assert (await one.get("/chat", revoked.text)).status_code == 401
        await one.accounts.set_disabled("dora", disabled=True)
        assert (await one.get("/chat", disabled.text)).status_code == 401
        await one.accounts.set_disabled("dora", disabled=False)
        assert (await one.get("/chat", disabled.text)).status_code == 200
        with pytest.raises(AccountError, match="does not exist"):
            await one.accounts.revoke_key("0" * 16)


async def test_a_revoked_key_is_refused_after_the_cache_time(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("aiapi_service.auth.cache.monotonic", lambda: now)
    async with service(tmp_path, database_url, auth_cache_seconds=15) as one:
        await one.add_user("elsa")
        key = await one.add_key("elsa")
        assert (await one.get("/chat", key.text)).status_code == 200
        await one.accounts.revoke_key(key.id)
        now += 14
        assert (await one.get("/chat", key.text)).status_code == 200
        now += 1.1
        assert (await one.get("/chat", key.text)).status_code == 401


def _file(path: Path, **changes: object) -> keys.ApiKey:
    key = keys.new_key()
    entry = key_file.entry(
        key, subject="job", tenant="acme", scopes=frozenset({"chat"}), expires=None
    )
    write_secret(path, json.dumps({"keys": [entry | changes]}))
    return key


async def test_a_keys_file_needs_no_database(tmp_path: Path) -> None:
    key = _file(tmp_path / "keys.json")
    assert key.secret not in (tmp_path / "keys.json").read_text()
    async with service(tmp_path, auth_api_keys_file=tmp_path / "keys.json") as one:
        answer = await one.get("/v1/auth/me", key.text)
        assert answer.json()["tenant"] == "acme"
        assert answer.json()["scopes"] == ["chat"]
        assert (await one.get("/both", key.text)).status_code == 403
        assert (await one.get("/chat", keys.new_key().text)).status_code == 401
        assert (await one.get("/chat", keys.ApiKey(key.id, "a" * 43).text)).status_code == 401


async def test_a_key_in_a_file_expires(tmp_path: Path) -> None:
    key = _file(tmp_path / "keys.json", expires="2020-01-01T00:00:00+00:00")
    async with service(tmp_path, auth_api_keys_file=tmp_path / "keys.json") as one:
        assert (await one.get("/chat", key.text)).status_code == 401


@pytest.mark.parametrize(
    "changes", [{"digest": "abc"}, {"digest": "00"}, {"expires": "2020-01-01"}, {"scopes": None}]
)
async def test_an_invalid_keys_file_is_refused_at_start(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    _file(tmp_path / "keys.json", **changes)
    with pytest.raises(SecretFileError, match=r"keys\.json: invalid content"):
        async with service(tmp_path, auth_api_keys_file=tmp_path / "keys.json"):
            pass


async def test_a_key_is_generated_without_configuration(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with service(tmp_path) as one, service(tmp_path) as other_worker:
        path = tmp_path / "api-key"
        key = path.read_text().strip()
        assert path.stat().st_mode & 0o777 == 0o600
        assert (await one.get("/both", key)).status_code == 200
        assert (await other_worker.get("/both", key)).status_code == 200
        assert (await one.get("/both")).status_code == 401
    assert f"is in {path}" in caplog.text
    assert key.split("_", 2)[2] not in caplog.text


async def test_a_read_only_data_folder_is_logged_and_not_fatal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    async with service(tmp_path / "file", auth_signing_keys_file=None) as one:
        assert (await one.get("/chat", keys.new_key().text)).status_code == 401
    assert "no API key: cannot write the first one" in caplog.text


async def test_authentication_off_gives_all_scopes_and_logs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with service(tmp_path, auth="off") as one:
        answer = await one.get("/v1/auth/me", uuid4().hex)
        assert answer.json()["kind"] == "off"
        assert (await one.get("/both")).status_code == 200
        assert (await one.log_in("ann")).json()["detail"] == "Authentication is off."
    assert "AIAPI_AUTH=off: every caller has all scopes" in caplog.text
