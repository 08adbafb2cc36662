"""The command line of aiapi-admin."""

import logging
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from aiapi_service.auth.accounts import AccountError, AccountStore, User
from aiapi_service.auth.admin import file_commands
from aiapi_service.auth.admin.environment import read_password, scopes_of, show, with_accounts
from aiapi_service.auth.keys import new_key
from aiapi_service.auth.passwords import argon2, normalize

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,127}", re.ASCII)


def _name(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _NAME.fullmatch(value.lower()):
        raise click.BadParameter(f"{value!r} is not letters, digits and . _ @ + - (at most 128)")
    return value.lower() if value else value


OUTPUT = click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print."
)
SCOPES = click.option(
    "--scope", "scopes", multiple=True, callback=scopes_of, help="A scope; all when none is given."
)
DAYS = click.option(
    "--days", type=click.IntRange(1, 36500), help="Expires after so many days; never when not set."
)
STDIN = click.option("--password-stdin", is_flag=True, help="Read it from standard input.")


def _expiry(days: int | None) -> datetime | None:
    return datetime.now(UTC) + timedelta(days=days) if days else None


def _hashed(from_stdin: bool) -> str:
    return argon2().hash(normalize(read_password(from_stdin=from_stdin)))


@click.group(context_settings={"max_content_width": 100})
def main() -> None:
    """Users, API keys and signing keys of the service that these AIAPI_ variables describe."""
    # What goes wrong is said once, by the command, and not by the service's log as well.
    logging.getLogger("aiapi").addHandler(logging.NullHandler())


@main.group()
def users() -> None:
    """Who may log in and own keys."""


@users.command("add")
@click.argument("name", callback=_name)
@click.option("--tenant", callback=_name, help="Whose documents they share; their own name if not.")
@click.option("--no-password", is_flag=True, help="They will use API keys only.")
@SCOPES
@STDIN
def add_user(
    name: str, tenant: str | None, no_password: bool, scopes: frozenset[str], password_stdin: bool
) -> None:
    """Make the user NAME. There is no default password: it is asked for."""
    hashed = None if no_password else _hashed(password_stdin)

    async def work(accounts: AccountStore) -> None:
        await accounts.add_user(name, tenant=tenant or name, scopes=scopes)
        if hashed:
            await accounts.set_password(name, hashed)

    with_accounts(work)
    click.echo(f"user {name} added")


@users.command("list")
@OUTPUT
def list_users(output: str) -> None:
    """Show all users."""
    show(with_accounts(lambda accounts: accounts.users()), output)


@users.command("set-password")
@click.argument("name", callback=_name)
@STDIN
def set_password(name: str, password_stdin: bool) -> None:
    """Give NAME a new password, and end all of their log-ins."""
    hashed = _hashed(password_stdin)
    with_accounts(lambda accounts: accounts.set_password(name, hashed))
    click.echo(f"password of {name} set; their log-ins have ended")


@users.command("disable")
@click.argument("name", callback=_name)
def disable(name: str) -> None:
    """Let NAME in no more, neither by password nor by key."""
    with_accounts(lambda accounts: accounts.set_disabled(name, disabled=True))
    click.echo(f"user {name} disabled")


@users.command("enable")
@click.argument("name", callback=_name)
def enable(name: str) -> None:
    """Let NAME in again; their keys work again, their log-ins do not."""
    with_accounts(lambda accounts: accounts.set_disabled(name, disabled=False))
    click.echo(f"user {name} enabled")


@main.group("keys")
def api_keys() -> None:
    """API keys. A key is shown once, when it is made; only its digest is kept."""


@api_keys.command("add")
@click.argument("owner", callback=_name)
@click.option("--name", default="", help="What it is for.")
@SCOPES
@DAYS
@OUTPUT
def add_key(owner: str, name: str, scopes: frozenset[str], days: int | None, output: str) -> None:
    """Make a key for the user OWNER. It never allows more than its owner may do."""
    key = new_key()
    expires = _expiry(days)

    async def work(accounts: AccountStore) -> User:
        user = await accounts.user(owner)
        if user is None:
            raise AccountError(f"there is no user {owner}")
        await accounts.add_key(key, owner=user, name=name, scopes=scopes, expires=expires)
        return user

    user = with_accounts(work)
    _show_key(key.text, key.id, scopes & user.scopes, expires, output)


def _show_key(
    text: str, key: str, scopes: frozenset[str], expires: datetime | None, output: str
) -> None:
    if output == "json":
        show([{"id": key, "key": text, "scopes": scopes, "expires": expires}], output)
    else:
        click.echo(text)
        click.echo(f"keep it: it is not shown again. Its id is {key}", err=True)


@api_keys.command("list")
@click.option("--owner", callback=_name, help="Of one user only.")
@OUTPUT
def list_keys(owner: str | None, output: str) -> None:
    """Show keys by their ids."""
    show(with_accounts(lambda accounts: accounts.keys(owner)), output)


@api_keys.command("revoke")
@click.argument("key")
def revoke_key(key: str) -> None:
    """Let the key with the id KEY in no more, for good."""
    with_accounts(lambda accounts: accounts.revoke_key(key))
    click.echo(f"key {key} revoked")


@api_keys.command("make")
@click.argument("subject", callback=_name)
@click.option("--file", "path", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option("--tenant", callback=_name, help="Whose documents it sees; SUBJECT if not given.")
@SCOPES
@DAYS
@OUTPUT
def make_key(path: Path, subject: str, tenant: str | None, **options: Any) -> None:
    """Make a key without a database: its digest goes into FILE, for AIAPI_AUTH_API_KEYS_FILE."""
    key, expires = new_key(), _expiry(options["days"])
    scopes = options["scopes"]
    file_commands.add_key(
        path, key, subject=subject, tenant=tenant or subject, scopes=scopes, expires=expires
    )
    _show_key(key.text, key.id, scopes, expires, options["output"])


main.add_command(file_commands.signing_keys)
