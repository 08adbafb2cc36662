"""What every command needs: the database of the service, and a way to print."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from aiapi_service.auth.accounts import AccountError, AccountStore
from aiapi_service.auth.passwords import MAX_LENGTH, MIN_LENGTH
from aiapi_service.auth.principal import ALL_SCOPES, DEFAULT_SCOPES
from aiapi_service.auth.settings import AuthSettings
from aiapi_service.store import local
from aiapi_service.store.database import open_database
from aiapi_service.store.errors import StoreError, StoreUnavailableError

_Result = TypeVar("_Result")


class Environment(AuthSettings, BaseSettings):
    """The settings of the service, from the same variables."""

    model_config = SettingsConfigDict(
        env_prefix="AIAPI_", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )


def settings() -> Environment:
    """Settings from the environment; the local database is the default."""
    path = os.environ.get("AIAPI_DATABASE_URL_FILE")
    try:
        if path:
            # Passed as an argument, so that it is validated like AIAPI_DATABASE_URL.
            text = Path(path).read_text(encoding="utf-8").strip()
            return Environment(database_url=SecretStr(text))
        found = Environment()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        message = first["msg"].removeprefix("Value error, ")
        raise click.ClickException(f"AIAPI_{name}: {message}") from None
    except UnicodeDecodeError:
        raise click.ClickException("AIAPI_DATABASE_URL_FILE: not UTF-8") from None
    except OSError as error:
        raise click.ClickException(f"AIAPI_DATABASE_URL_FILE: {error}") from None
    if found.database_url is None:
        return found.model_copy(update={"database_url": SecretStr(local.url(found.data_dir))})
    return found


def with_accounts(work: Callable[[AccountStore], Awaitable[_Result]]) -> _Result:
    """Run a function on the accounts; report failures in one line."""
    found = settings().model_copy(update={"database_start_wait": 0.0})

    async def connected() -> _Result:
        async with open_database(found) as database:
            assert database is not None  # noqa: S101 - the settings name one
            await database.prepare()
            return await work(AccountStore(database))

    try:
        return asyncio.run(connected())
    except (AccountError, StoreError) as error:
        raise click.ClickException(str(error)) from None
    except StoreUnavailableError as error:
        raise click.ClickException(
            f"{error}. Set AIAPI_DATABASE_URL to the database of the service, or start aiapi-serve "
            "to use its local database."
        ) from None


def scopes_of(_: click.Context, __: click.Parameter, value: Iterable[str]) -> frozenset[str]:
    """Parse repeated or comma-separated scopes. No scope means all scopes."""
    words = {word for part in value for word in part.replace(",", " ").split()}
    unknown = sorted(words - ALL_SCOPES)
    if unknown:
        known = ", ".join(sorted(ALL_SCOPES))
        raise click.BadParameter(f"unknown scope {unknown[0]}; known scopes: {known}")
    return frozenset(words) or DEFAULT_SCOPES


def read_password(*, from_stdin: bool) -> str:
    """Read from standard input or a prompt. Other users can see command line arguments."""
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise click.ClickException(
            f"the password must have {MIN_LENGTH} to {MAX_LENGTH} characters"
        )
    return str(password)


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    if isinstance(value, frozenset | set):
        return sorted(value)
    return value


def show(rows: Iterable[Mapping[str, Any]], output: str) -> None:
    """Print rows as a table or as JSON."""
    plain = [{key: _plain(value) for key, value in row.items()} for row in rows]
    if output == "json":
        click.echo(json.dumps(plain, indent=2))
        return
    if not plain:
        click.echo("none")
        return
    cells = [[name.upper() for name in plain[0]]]
    cells += [[_cell(value) for value in row.values()] for row in plain]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        words = (word.ljust(width) for word, width in zip(line, widths, strict=True))
        click.echo("  ".join(words).rstrip())


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)
