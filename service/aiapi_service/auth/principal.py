"""Principals and scopes."""

from collections.abc import Iterable
from dataclasses import dataclass

SCOPES = {
    "chat": "Chat completions, completions, responses and fan-outs",
    "embeddings": "Embeddings",
    "models:read": "The list of models",
    "documents:read": "Search and read the tenant's documents",
    "documents:write": "Store and delete the tenant's documents",
    "pass-through": "All other paths of the upstreams, with the gateway's key",
    "answer": "Answers from the tenant's documents, and the caller's chats",
}
"""All scopes, with what they allow."""

ALL_SCOPES = frozenset(SCOPES)

DEFAULT_SCOPES = ALL_SCOPES - {"pass-through"}
"""The scopes that are granted unless others are named. Paths that are passed through may change
what belongs to the account of the gateway's key."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. Documents and chats belong to the tenant."""

    subject: str
    tenant: str
    scopes: frozenset[str]
    kind: str
    """How the caller authenticated: user, api-key, oidc, or off when authentication is off."""


def narrow_scopes(scopes: Iterable[str], *limits: Iterable[str]) -> frozenset[str]:
    """The known scopes that are also in every limit."""
    allowed = ALL_SCOPES.intersection(scopes)
    for limit in limits:
        allowed = allowed.intersection(limit)
    return allowed
