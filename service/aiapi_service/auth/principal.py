"""Who calls, and what they may do."""

from collections.abc import Iterable
from dataclasses import dataclass

SCOPES = {
    "chat": "Chat completions and fan-outs",
    "embeddings": "Embeddings",
    "models:read": "The list of models",
    "documents:read": "Search and read the tenant's documents",
    "documents:write": "Put and delete the tenant's documents",
    "answer": "Answers from the tenant's documents, and its chats",
}
"""Every scope there is, with what it allows."""

ALL_SCOPES = frozenset(SCOPES)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who was authenticated. Documents and chats belong to the tenant."""

    subject: str
    tenant: str
    scopes: frozenset[str]
    kind: str
    """How: user, api-key, oidc, or off where authentication is."""


def narrow_scopes(scopes: Iterable[str], *limits: Iterable[str]) -> frozenset[str]:
    """The known scopes that every limit has, too: nobody gains one by asking."""
    allowed = ALL_SCOPES.intersection(scopes)
    for limit in limits:
        allowed = allowed.intersection(limit)
    return allowed
