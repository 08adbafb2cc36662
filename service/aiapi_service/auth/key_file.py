"""API keys from a file instead of the database, for pods that have none: digests, not keys."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiapi_service.auth.keys import ApiKey
from aiapi_service.auth.principal import ALL_SCOPES, Principal, narrow_scopes


@dataclass(frozen=True)
class FileKey:
    """One entry."""

    digest: bytes
    principal: Principal
    expires: float | None = None


FileKeys = Mapping[str, FileKey]


def entry(
    key: ApiKey, *, subject: str, tenant: str, scopes: frozenset[str], expires: datetime | None
) -> dict[str, Any]:
    """How a key is written into the file."""
    return {
        "id": key.id,
        "digest": key.digest.hex(),
        "subject": subject,
        "tenant": tenant,
        "scopes": sorted(scopes),
        "expires": expires.isoformat() if expires else None,
    }


def parse(text: str) -> FileKeys:
    """Read a file's text; ValueError, KeyError or TypeError when it is not as it must be."""
    return {one["id"]: _key(one) for one in json.loads(text)["keys"]}


def _key(one: Mapping[str, Any]) -> FileKey:
    digest = bytes.fromhex(one["digest"])
    if len(digest) != 32:
        raise ValueError("a digest has 32 bytes")
    expires = None
    if one.get("expires"):
        moment = datetime.fromisoformat(one["expires"])
        if moment.tzinfo is None:
            raise ValueError("an expiry without a time zone could mean anything")
        expires = moment.timestamp()
    principal = Principal(
        str(one["subject"]), str(one["tenant"]), narrow_scopes(one["scopes"]), "api-key"
    )
    return FileKey(digest, principal, expires)


def local(key: ApiKey) -> FileKeys:
    """The one key of a pod that nobody has configured."""
    return {key.id: FileKey(key.digest, Principal("local", "local", ALL_SCOPES, "api-key"))}
