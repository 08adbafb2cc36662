"""Decides the content of an AIApi's Secret: the admin token, and the certificate of its pods.

Both are replaced without a gap. A pod receives a new Secret up to a minute late, so the operator
sends the previous token to a pod that rejects the new one.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from aiapi_operator.cluster.resources import SECRETS, Manifest
from aiapi_operator.engine import serving
from aiapi_operator.engine.admin_tls import AdminTls, host
from aiapi_operator.engine.aiapi_ref import AIApiRef
from aiapi_operator.engine.cache import ObjectCache
from aiapi_operator.engine.cached_child import CachedChild
from aiapi_operator.engine.certificates import KeyPair
from aiapi_operator.engine.ports import Cluster
from aiapi_operator.engine.serving import ServingState
from aiapi_operator.manifests import secret
from aiapi_operator.manifests.secret import AdminSecret, ServingTls

_TOKENS_KEPT = 2


@dataclass(frozen=True, slots=True)
class HeldSecret:
    """What a Secret holds."""

    tokens: tuple[str, ...] = field(repr=False)
    pair: KeyPair


@dataclass(slots=True)
class AdminSecretState:
    """The tokens that pods may have, the newest first, and the certificate."""

    tokens: tuple[str, ...] = field(default=(), repr=False)
    serving: ServingState | None = None
    cached: CachedChild | None = None
    """The Secret that was read last. While it is the same, so is what it holds."""
    held: HeldSecret | None = None


class AdminSecrets:
    """Reads what a Secret holds and adds what it lacks."""

    def __init__(
        self, cluster: Cluster, cache: ObjectCache, *, time_of_day: Callable[[], float]
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._time_of_day = time_of_day

    async def content(
        self, ref: AIApiRef, state: AdminSecretState, name: str, tls: AdminTls | None
    ) -> AdminSecret:
        """What the Secret shall hold; it has a certificate where ``tls`` is given."""
        held = await self._held(ref, state, name)
        _take_tokens(state, held.tokens or (secrets.token_urlsafe(32),))
        token, *previous = state.tokens
        return AdminSecret(
            token=token,
            previous=previous[0] if previous else "",
            tls=self._serving(ref, state, held.pair, tls) if tls is not None else None,
        )

    async def _held(self, ref: AIApiRef, state: AdminSecretState, name: str) -> HeldSecret:
        cached = self._cache.objects(ref.key).children.get(SECRETS.kind)
        if cached is None:
            return _read(await self._cluster.get(SECRETS, ref.namespace, name) or {})
        if state.held is None or cached is not state.cached:
            state.held, state.cached = _read(cached.manifest()), cached
        return state.held

    def _serving(
        self, ref: AIApiRef, state: AdminSecretState, pair: KeyPair, tls: AdminTls
    ) -> ServingTls:
        now = self._time_of_day()
        state.serving = serving.serving(state.serving, pair, tls, host(*ref.key), now)
        return serving.content(state.serving, tls)


def _read(found: Manifest) -> HeldSecret:
    return HeldSecret(secret.tokens(found), KeyPair(*secret.certificate(found)))


def _take_tokens(state: AdminSecretState, found: tuple[str, ...]) -> None:
    """Put the token in the Secret first, before those that pods may still have."""
    token, *previous = found
    others = [known for known in (*state.tokens, *previous) if known != token]
    state.tokens = (token, *others)[:_TOKENS_KEPT]
