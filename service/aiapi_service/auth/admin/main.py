"""The aiapi-admin command line."""

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
        raise click.BadParameter(f"{value!r}: use at most 128 letters, digits and . _ @ + -")
    return value.lower() if value else value


OUTPUT = click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="Output format."
)
SCOPES = click.option(
    "--scope",
    "scopes",
    multiple=True,
    callback=scopes_of,
    help="Scope to grant; may be repeated. All scopes by default.",
)
DAYS = click.option(
    "--days", type=click.IntRange(1, 36500), help="Days until the key expires. Never by default."
)
STDIN = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input."
)


def _expiry(days: int | None) -> datetime | None:
    return datetime.now(UTC) + timedelta(days=days) if days else None


def _hashed(from_stdin: bool) -> str:
    return argon2().hash(normalize(read_password(from_stdin=from_stdin)))


@click.group(context_settings={"max_content_width": 100})
def main() -> None:
    """Manage the users, API keys and signing keys of the gateway.

    Reads the same AIAPI_ variables as the gateway.
    """
    # The command reports errors itself; without a handler the log would repeat them.
    logging.getLogger("aiapi").addHandler(logging.NullHandler())


@main.group()
def users() -> None:
    """Manage users, who may log in and own keys."""


@users.command("add")
@click.argument("name", callback=_name)
@click.option(
    "--tenant", callback=_name, help="Tenant whose documents the user shares. Defaults to NAME."
)
@click.option("--no-password", is_flag=True, help="The user will use API keys only.")
@SCOPES
@STDIN
def add_user(
    name: str, tenant: str | None, no_password: bool, scopes: frozenset[str], password_stdin: bool
) -> None:
    """Create the user NAME. Prompts for the password."""
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
    """List all users."""
    show(with_accounts(lambda accounts: accounts.users()), output)


@users.command("set-password")
@click.argument("name", callback=_name)
@STDIN
def set_password(name: str, password_stdin: bool) -> None:
    """Set the password of NAME and end all of the user's sessions."""
    hashed = _hashed(password_stdin)
    with_accounts(lambda accounts: accounts.set_password(name, hashed))
    click.echo(f"password of {name} set; all sessions of the user ended")


@users.command("disable")
@click.argument("name", callback=_name)
def disable(name: str) -> None:
    """Disable NAME: refuse the user's password and API keys."""
    with_accounts(lambda accounts: accounts.set_disabled(name, disabled=True))
    click.echo(f"user {name} disabled")


@users.command("enable")
@click.argument("name", callback=_name)
def enable(name: str) -> None:
    """Enable NAME again. API keys work again; ended sessions stay ended."""
    with_accounts(lambda accounts: accounts.set_disabled(name, disabled=False))
    click.echo(f"user {name} enabled")


@main.group("keys")
def api_keys() -> None:
    """Manage API keys. A key is shown once, on creation; only its digest is stored."""


@api_keys.command("add")
@click.argument("owner", callback=_name)
@click.option("--name", default="", help="Description of the key.")
@SCOPES
@DAYS
@OUTPUT
def add_key(owner: str, name: str, scopes: frozenset[str], days: int | None, output: str) -> None:
    """Create a key for the user OWNER. A key never has more scopes than its owner."""
    key = new_key()
    expires = _expiry(days)

    async def work(accounts: AccountStore) -> User:
        user = await accounts.user(owner)
        if user is None:
            raise AccountError(f"user {owner} does not exist")
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
        click.echo(f"Store this key now; it is not shown again. Its id is {key}.", err=True)


@api_keys.command("list")
@click.option("--owner", callback=_name, help="List the keys of this user only.")
@OUTPUT
def list_keys(owner: str | None, output: str) -> None:
    """List API keys."""
    show(with_accounts(lambda accounts: accounts.keys(owner)), output)


@api_keys.command("revoke")
@click.argument("key")
def revoke_key(key: str) -> None:
    """Revoke the key with the id KEY permanently."""
    with_accounts(lambda accounts: accounts.revoke_key(key))
    click.echo(f"key {key} revoked")


@api_keys.command("make")
@click.argument("subject", callback=_name)
@click.option("--file", "path", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option(
    "--tenant",
    callback=_name,
    help="Tenant whose documents the key can access. Defaults to SUBJECT.",
)
@SCOPES
@DAYS
@OUTPUT
def make_key(path: Path, subject: str, tenant: str | None, **options: Any) -> None:
    """Create a key without a database.

    Writes its digest to FILE, for AIAPI_AUTH_API_KEYS_FILE.
    """
    key, expires = new_key(), _expiry(options["days"])
    scopes = options["scopes"]
    file_commands.add_key(
        path, key, subject=subject, tenant=tenant or subject, scopes=scopes, expires=expires
    )
    _show_key(key.text, key.id, scopes, expires, options["output"])


main.add_command(file_commands.signing_keys)
