"""Builds authentication from the settings."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiapi_service.auth import key_file, keys, signing
from aiapi_service.auth.accounts import AccountStore
from aiapi_service.auth.authenticator import AccessTokens, Authenticator
from aiapi_service.auth.cache import CredentialCache
from aiapi_service.auth.key_file import FileKeys
from aiapi_service.auth.login_throttle import LoginThrottle
from aiapi_service.auth.oidc import OidcProvider
from aiapi_service.auth.password_flow import PasswordFlow
from aiapi_service.auth.passwords import PasswordHasher
from aiapi_service.auth.secret_files import SecretFileError, WatchedFile, write_secret
from aiapi_service.auth.sessions import SessionStore
from aiapi_service.auth.settings import AuthSettings
from aiapi_service.auth.signing import Keyring
from aiapi_service.store.cleanup import delete_expired_periodically
from aiapi_service.store.database import Database
from aiapi_service.store.limits import PostgresLimiter

logger = logging.getLogger("aiapi.auth")


@dataclass(frozen=True)
class Auth:
    """Authentication of one worker.

    Without a password flow, ``login_unavailable`` has the reason.
    """

    authenticator: Authenticator
    password_flow: PasswordFlow | None
    login_unavailable: str = ""


@asynccontextmanager
async def open_auth(
    settings: AuthSettings, database: Database | None, *, passwords: PasswordHasher | None = None
) -> AsyncIterator[Auth]:
    """Authentication for these settings, until the worker ends."""
    if settings.auth == "off":
        logger.warning(
            "AIAPI_AUTH=off: every caller has all scopes. Do not use this where others can reach "
            "the port."
        )
        async with _periodic_cleanup(database):
            yield Auth(
                Authenticator(cache=CredentialCache(0), off=True), None, "Authentication is off."
            )
        return
    passwords = passwords or PasswordHasher(
        threads=settings.auth_hash_threads, queue=settings.auth_hash_queue
    )
    provider = OidcProvider(settings) if settings.oidc_issuer else None
    auth = _build(settings, database, passwords, provider)
    try:
        async with _periodic_cleanup(database):
            yield auth
    finally:
        await auth.authenticator.close()
        passwords.close()


@asynccontextmanager
async def _periodic_cleanup(database: Database | None) -> AsyncIterator[None]:
    """Deletes expired rows of limits and sessions in the background."""
    cleanup = asyncio.create_task(delete_expired_periodically(database)) if database else None
    try:
        yield
    finally:
        if cleanup is not None:
            cleanup.cancel()
            await asyncio.gather(cleanup, return_exceptions=True)


def _build(
    settings: AuthSettings,
    database: Database | None,
    passwords: PasswordHasher,
    provider: OidcProvider | None,
) -> Auth:
    keyring = _keyring(settings)
    tokens = AccessTokens(settings, keyring) if keyring else None
    sessions = _sessions(settings, database) if database else None
    accounts = AccountStore(database) if database else None
    authenticator = Authenticator(
        cache=CredentialCache(settings.auth_cache_seconds),
        accounts=accounts,
        sessions=sessions,
        file_keys=_file_keys(settings),
        tokens=tokens,
        provider=provider,
    )
    if database is None or accounts is None or sessions is None:
        return Auth(authenticator, None, "No database is configured. Set AIAPI_DATABASE_URL.")
    if tokens is None:
        return Auth(
            authenticator, None, "No signing key is configured. Set AIAPI_AUTH_SIGNING_KEYS_FILE."
        )
    password_flow = PasswordFlow(
        accounts=accounts,
        sessions=sessions,
        passwords=passwords,
        throttle=LoginThrottle(PostgresLimiter(database), settings),
        tokens=tokens,
        authenticator=authenticator,
    )
    return Auth(authenticator, password_flow)


def _sessions(settings: AuthSettings, database: Database) -> SessionStore:
    return SessionStore(
        database,
        refresh=settings.auth_refresh_seconds,
        session=settings.auth_session_seconds,
        grace=settings.auth_refresh_grace,
    )


def _keyring(settings: AuthSettings) -> WatchedFile[Keyring] | None:
    path = settings.auth_signing_keys_file
    if path is None:
        if not settings.is_standalone:
            return None
        path = settings.data_dir / "signing-keys.json"
        try:
            write_secret(path, Keyring((signing.new_key("EdDSA", signs_from=0),)).dump(), keep=True)
        except OSError as error:
            logger.warning("login is not available: cannot write %s: %s", path, error.strerror)
            return None
    return WatchedFile(path, signing.parse)


def _file_keys(settings: AuthSettings) -> WatchedFile[FileKeys] | None:
    if settings.auth_api_keys_file is not None:
        return WatchedFile(settings.auth_api_keys_file, key_file.parse)
    if not settings.is_standalone or settings.oidc_issuer:
        return None
    path = settings.data_dir / "api-key"
    try:
        write_secret(path, keys.new_key().text + "\n", keep=True)
        watched = WatchedFile(path, _parse_local)
    except OSError as error:
        logger.warning(
            "no API key: cannot write the first one to %s: %s. Set AIAPI_DATA_DIR to a writable "
            "folder, or set AIAPI_AUTH_API_KEYS_FILE",
            path,
            error.strerror,
        )
        return None
    logger.info("the first API key, with all scopes, is in %s", path)
    return watched


def _parse_local(text: str) -> FileKeys:
    key = keys.parse(text.strip())
    if key is None:
        raise ValueError("not an API key")
    return key_file.local(key)


__all__ = ["Auth", "SecretFileError", "open_auth"]
