"""No secret appears in logs, metrics or errors."""

import contextlib
import logging
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from store_support.service import service

from aiapi_service.auth import keys
from aiapi_service.gateway.settings import SettingsError, load
from aiapi_service.store.database import open_database
from aiapi_service.store.errors import StoreError
from aiapi_service.store.settings import StoreSettings

PASSWORD = "a-password-that-nobody-may-see"


async def test_logs_and_responses_contain_no_secrets(
    database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []
    async with service(tmp_path, database_url, auth_refresh_grace=0) as one:
        await one.add_user("ann", password=PASSWORD)
        key = await one.add_key("ann")
        pair = (await one.log_in("ann", PASSWORD)).json()
        access, refresh = pair["access_token"], pair["refresh_token"]
        second = (await one.refresh(refresh)).json()
        stolen = keys.ApiKey(key.id, keys.new_key().secret)
        for answer in (
            await one.log_in("ann", PASSWORD + "x"),
            await one.log_in(PASSWORD, "ann"),
            await one.log_in("ann", PASSWORD, scope="nothing"),
            await one.refresh(refresh),
            await one.refresh(access),
            await one.get("/chat", access),
            await one.get("/chat", access[:-2]),
            await one.get("/chat", key.text),
            await one.get("/both", stolen.text),
            await one.get("/chat", refresh),
            await one.revoke(second["refresh_token"]),
        ):
            texts += [answer.text, str(answer.headers)]
        assert one.database is not None
        await one.database.close()
        for answer in (
            await one.log_in("ann", PASSWORD),
            await one.get("/chat", key.text),
            await one.refresh(second["refresh_token"]),
        ):
            assert answer.status_code == 503
            texts += [answer.text, str(answer.headers)]
    secrets = {
        "password": PASSWORD,
        "key": key.secret,
        "forged key": stolen.secret,
        "access token": access.rpartition(".")[2],
        "refresh token": refresh,
        "new refresh token": second["refresh_token"],
    }
    everything = "\n".join([*texts, caplog.text, *(str(vars(one)) for one in caplog.records)])
    assert "refused a login" in everything, "the log is captured"
    for name, secret in secrets.items():
        assert secret not in everything, f"the {name} was revealed"


UNENCODED = [
    f"postgresql://user:{password}@127.0.0.1/app"
    for password in (
        "s3cret-word/more", "more/s3cret-word", "1/s3cret-word", "s3cret-word?more",
        "1?s3cret-word", "s3cret-word#more", "1#s3cret-word", "more[s3cret-word",
        "more[s3cret-word]", "more@:s3cret-word", "more@s3cret-word", "more@s3cret-word,",
    )
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AIAPI_DATABASE_URL", "mysql://user:s3cret-word@host/db"),
        ("AIAPI_DATABASE_URL", "s3cret-word"),
        *(("AIAPI_DATABASE_URL", url) for url in UNENCODED),
        ("AIAPI_DATABASE_CONNECTIONS", "s3cret-word"),
    ],
)
def test_an_invalid_setting_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as refusal:
        load()
    assert "s3cret-word" not in str(refusal.value)


@pytest.mark.parametrize("url", UNENCODED)
async def test_an_unvalidated_url_is_not_logged(
    tmp_path: Path, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    checked = StoreSettings(database_start_wait=0, data_dir=tmp_path)
    unchecked = checked.model_copy(update={"database_url": SecretStr(url)})
    with contextlib.suppress(StoreError):
        async with open_database(unchecked):
            pass
    assert "s3cret-word" not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "postgres://user:a%2Fb%40c:d@host:5433/app?sslmode=require",
        "postgresql://user@one:5432,two,[::1]:5434/app?target_session_attrs=primary",
        "postgresql://%2Fvar%2Frun:5433/app",
        "postgresql:///app?host=/run/one,/run/two&port=5432,5433&user=ann@example.com",
        "postgresql:///app?host=%2Frun%2Fpostgresql&user=aiapi",
    ],
)
def test_a_valid_url_is_accepted(url: str) -> None:
    found = StoreSettings.model_validate({"database_url": url}).database_url
    assert found is not None
    assert found.get_secret_value() == url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://host:70000/app",
        "postgresql://one,,two/app",
        "postgresql://[::1/app",
        "postgresql://::1/app",
        "postgresql://host/app?sslmode",
        "postgresql:///app?port=many",
        "postgresql:///app?host=one:many",
    ],
)
def test_an_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="must be a postgresql:// URL; percent-encode"):
        StoreSettings.model_validate({"database_url": url})
