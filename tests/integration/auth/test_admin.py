"""The aiapi-admin command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from store_support.service import service

from aiapi_service.auth.admin.main import main

PASSWORD = "correct horse battery staple"
Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Run:
    environment = {"AIAPI_DATABASE_URL": database_url, "AIAPI_DATA_DIR": str(tmp_path)}

    def invoke(*words: str, stdin: str = "", **more: str | None) -> Result:
        return CliRunner().invoke(main, words, input=stdin, env={**environment, **more})

    return invoke


def _ok(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_user_is_created_with_a_password_from_standard_input(run: Run) -> None:
    output = _ok(run("users", "add", "Ann", "--password-stdin", stdin=PASSWORD + "\n"))
    assert output == "user ann added\n"
    rows = json.loads(_ok(run("users", "list", "-o", "json")))
    ann = next(row for row in rows if row["name"] == "ann")
    assert (ann["tenant"], ann["password"], ann["disabled"]) == ("ann", True, None)
    assert "password_hash" not in ann
    again = run("users", "add", "ann", "--no-password")
    assert again.exit_code == 1
    assert "user ann already exists" in again.output


def test_a_password_is_confirmed_and_never_shown(run: Run) -> None:
    result = run("users", "add", "bea", stdin=f"{PASSWORD}\n{PASSWORD}\n")
    assert PASSWORD not in _ok(result)
    short = run("users", "set-password", "bea", "--password-stdin", stdin="short\n")
    assert short.exit_code == 1
    assert "the password must have 12 to 256 characters" in short.output


def test_no_option_takes_a_password(run: Run) -> None:
    for command in (["users", "add", "x"], ["users", "set-password", "x"]):
        assert run(*command, "--password", PASSWORD).exit_code == 2


def test_users_are_disabled_and_enabled(run: Run) -> None:
    _ok(run("users", "add", "cleo", "--no-password", "--scope", "chat,answer"))
    _ok(run("users", "disable", "cleo"))
    rows = json.loads(_ok(run("users", "list", "-o", "json")))
    cleo = next(row for row in rows if row["name"] == "cleo")
    assert cleo["disabled"] is not None
    assert cleo["scopes"] == ["answer", "chat"]
    _ok(run("users", "enable", "cleo"))
    assert "cleo  cleo    answer,chat" in _ok(run("users", "list")).replace("   ", "  ", 0)
    for command in ("disable", "enable"):
        assert "user nobody does not exist" in run("users", command, "nobody").output


def test_a_key_is_shown_once_and_revoked_by_its_id(run: Run) -> None:
    _ok(run("users", "add", "dana", "--no-password", "--scope", "chat"))
    made = json.loads(_ok(run("keys", "add", "dana", "--days", "30", "-o", "json")))[0]
    assert made["key"].startswith(f"aiapi_{made['id']}_")
    assert made["scopes"] == ["chat"], "no more scopes than the owner"
    listed = _ok(run("keys", "list", "--owner", "dana", "-o", "json"))
    assert made["key"].split("_", 2)[2] not in listed
    assert json.loads(listed)[0]["revoked"] is None
    _ok(run("keys", "revoke", made["id"]))
    assert json.loads(_ok(run("keys", "list", "--owner", "dana", "-o", "json")))[0]["revoked"]
    assert "does not exist" in run("keys", "revoke", "0" * 16).output
    assert "user nobody does not exist" in run("keys", "add", "nobody").output


@pytest.mark.parametrize(
    "words",
    [
        ("users", "add", "a b", "--no-password"),
        ("users", "add", "a:b", "--no-password"),
        ("users", "add", "x" * 129, "--no-password"),
        ("users", "add", "eva", "--no-password", "--scope", "everything"),
        ("keys", "add", "eva", "--days", "0"),
    ],
)
def test_invalid_arguments_are_refused(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2


def test_an_unavailable_database_is_reported_in_one_line(run: Run, tmp_path: Path) -> None:
    away = f"postgresql:///x?host={tmp_path}&user=x"
    result = run("users", "list", AIAPI_DATABASE_URL=away)
    assert result.exit_code == 1
    assert "Set AIAPI_DATABASE_URL to the database of the service" in result.output
    assert "Traceback" not in result.output
    wrong = run("users", "list", AIAPI_DATABASE_URL="mysql://user:s3cret@host")
    assert "AIAPI_DATABASE_URL: " in wrong.output
    assert "s3cret" not in wrong.output


@pytest.mark.parametrize("password", ["word/x", "1/word", "word#", "wo?word", "w[word", "x@:word"])
def test_a_password_that_is_not_percent_encoded_is_not_shown(
    run: Run, tmp_path: Path, password: str
) -> None:
    url = f"postgresql://user:{password}@127.0.0.1:1/app"
    path = tmp_path / "url"
    path.write_text(url + "\n")
    from_file = {"AIAPI_DATABASE_URL": None, "AIAPI_DATABASE_URL_FILE": str(path)}
    for more in ({"AIAPI_DATABASE_URL": url}, from_file):
        result = run("users", "list", **more)
        assert result.exit_code == 1
        assert "percent-encode special characters in the password" in result.output
        assert "word" not in result.output.replace("password", "")
        assert isinstance(result.exception, SystemExit), "reported in one line"


async def test_a_key_in_a_file_works_without_a_database(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    for name in ("one", "two"):
        made = run("keys", "make", name, "--file", str(path), "--scope", "chat", "-o", "json")
        key = json.loads(_ok(made))[0]["key"]
    assert path.stat().st_mode & 0o777 == 0o600
    async with service(tmp_path, auth_api_keys_file=path) as one:
        me = (await one.get("/v1/auth/me", key)).json()
        assert (me["subject"], me["scopes"]) == ("two", ["chat"])
    path.write_text("{}")
    assert "is not an API keys file" in run("keys", "make", "x", "--file", str(path)).output


def test_signing_keys_rotate_with_overlap(run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "signing.json")
    _ok(run("signing-keys", "rotate", "--file", path))
    _ok(run("signing-keys", "rotate", "--file", path, "--algorithm", "ES256"))
    rows = json.loads(_ok(run("signing-keys", "list", "--file", path, "-o", "json")))
    assert [row["algorithm"] for row in rows] == ["EdDSA", "ES256"]
    assert [row["signs"] for row in rows] == [True, False], (
        "the new key signs after every pod has the file"
    )
    assert rows[0]["verifies_until"] is not None
    assert "PRIVATE" not in json.dumps(rows)
    (tmp_path / "signing.json").write_text("nonsense")
    assert "is not a signing keys file" in run("signing-keys", "list", "--file", path).output
