"""API keys from a file, for pods without a database. The file holds digests, not keys."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiapi_service.auth.keys import ApiKey
from aiapi_service.auth.principal import ALL_SCOPES, Principal, narrow_scopes


@dataclass(frozen=True)
class FileKey:
    """One entry of the file."""

    digest: bytes
    principal: Principal
    expires: float | None = None


FileKeys = Mapping[str, FileKey]


def entry(
    key: ApiKey, *, subject: str, tenant: str, scopes: frozenset[str], expires: datetime | None
) -> dict[str, Any]:
    """The entry for a key."""
    return {
        "id": key.id,
        "digest": key.digest.hex(),
        "subject": subject,
        "tenant": tenant,
        "scopes": sorted(scopes),
        "expires": expires.isoformat() if expires else None,
    }


def parse(text: str) -> FileKeys:
    """Parse the content of a file; ValueError, KeyError or TypeError when it is not valid."""
    return {one["id"]: _key(one) for one in json.loads(text)["keys"]}


def _key(one: Mapping[str, Any]) -> FileKey:
    digest = bytes.fromhex(one["digest"])
    if len(digest) != 32:
        raise ValueError("a digest must have 32 bytes")
    expires = None
    if one.get("expires"):
        moment = datetime.fromisoformat(one["expires"])
        if moment.tzinfo is None:
            raise ValueError("expires must have a time zone")
        expires = moment.timestamp()
    principal = Principal(
        str(one["subject"]), str(one["tenant"]), narrow_scopes(one["scopes"]), "api-key"
    )
    return FileKey(digest, principal, expires)


def local(key: ApiKey) -> FileKeys:
    """The generated key of a pod without configuration."""
    return {key.id: FileKey(key.digest, Principal("local", "local", ALL_SCOPES, "api-key"))}
