"""Commands on files: signing keys, and API keys for pods without a database."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from aiapi_service.auth import key_file, signing
from aiapi_service.auth.admin.environment import settings, show
from aiapi_service.auth.jwts import LEEWAY_SECONDS
from aiapi_service.auth.keys import ApiKey
from aiapi_service.auth.secret_files import write_secret

_WRONG = (ValueError, KeyError, TypeError)
FILE = click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="AIAPI_AUTH_SIGNING_KEYS_FILE",
    required=True,
    help="File with the signing keys. Defaults to AIAPI_AUTH_SIGNING_KEYS_FILE.",
)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path}: {error}") from None


def _write(path: Path, text: str) -> None:
    try:
        write_secret(path, text)
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None


def _keyring(path: Path) -> signing.Keyring:
    if not path.exists():
        return signing.Keyring(())
    try:
        return signing.parse(_read(path))
    except _WRONG:
        raise click.ClickException(f"{path} is not a signing keys file") from None


@click.group("signing-keys")
def signing_keys() -> None:
    """Manage the keys that sign access tokens, in a file shared by all pods."""


@signing_keys.command("rotate")
@FILE
@click.option("--algorithm", type=click.Choice(signing.ALGORITHMS), default="EdDSA")
@click.option(
    "--lead",
    type=click.FloatRange(0, 86400),
    default=300.0,
    show_default=True,
    help="Seconds before the new key signs. Every pod must have the file by then.",
)
def rotate(path: Path, algorithm: str, lead: float) -> None:
    """Add a key. Older keys verify until their last tokens have expired."""
    now = time.time()
    keyring = _keyring(path)
    new = signing.new_key(algorithm, signs_from=now + lead if keyring.keys else 0)
    life = settings().auth_access_seconds + LEEWAY_SECONDS
    _write(path, keyring.rotated(new, now=now, token_seconds=life).dump())
    click.echo(f"key {new.kid} added to {path}")


@signing_keys.command("list")
@FILE
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table")
def list_keys(path: Path, output: str) -> None:
    """List the signing keys."""
    now = time.time()
    keys = _keyring(path)
    rows = [
        {
            "kid": key.kid,
            "algorithm": key.algorithm,
            "signs": bool(keys.keys) and keys.signer(now) == key,
            "signs_from": datetime.fromtimestamp(key.signs_from, UTC),
            "verifies_until": _moment(key.verifies_until),
        }
        for key in keys.keys
    ]
    show(rows, output)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def add_key(path: Path, key: ApiKey, **of: Any) -> None:
    """Add the digest of a key to a file. Creates the file if needed."""
    document: dict[str, list[dict[str, Any]]] = {"keys": []}
    if path.exists():
        text = _read(path)
        try:
            key_file.parse(text)
        except _WRONG:
            raise click.ClickException(f"{path} is not an API keys file") from None
        document = json.loads(text)
    document["keys"].append(key_file.entry(key, **of))
    _write(path, json.dumps(document, indent=2) + "\n")
