"""Keeps an AIApi's children as they should be, and costs no request while they are.

A child is applied when the wish changed, when it is missing, or when what was seen of it is not
what our last apply came to: then somebody edited it. Server-side apply sets the operator's own
fields back and leaves the others alone.
"""

import hashlib
import json
import logging
import secrets
from collections.abc import Callable

from aiapi_operator.api import AIApi
from aiapi_operator.cluster.errors import ClusterError, Conflict, Forbidden, Invalid, NotFound
from aiapi_operator.cluster.resources import SECRETS, SERVICES, Manifest, of
from aiapi_operator.engine.aiapi_state import AIApiState, Applied, Rejection
from aiapi_operator.engine.cache import ObjectCache, content_hash
from aiapi_operator.engine.existence import ensure_exists
from aiapi_operator.engine.ownership import ownership_conflict
from aiapi_operator.engine.ports import Cluster
from aiapi_operator.manifests import secret

_FIRST_RETRY = 2.0
_LAST_RETRY = 60.0
_TOKENS_KEPT = 2

_log = logging.getLogger(__name__)


class Children:
    """Applies what is wanted where it is not so."""

    def __init__(self, cluster: Cluster, cache: ObjectCache, *, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._cache = cache
        self._clock = clock

    async def reconcile(
        self, subject: AIApiState, aiapi: AIApi, wanted: tuple[Manifest, ...]
    ) -> list[str]:
        """Bring all children in line; returns what the cluster refused, for people to read."""
        token = await self._token(subject, aiapi)
        for child in (secret.build(aiapi, token), *wanted):
            await self._child(subject, child)
        return [f"{kind}: {refusal.message}" for kind, refusal in subject.refusals.items()]

    async def _child(self, subject: AIApiState, child: Manifest) -> None:
        kind, wish = child["kind"], _digest(child)
        if not self._due(subject, kind, wish):
            return
        applied = subject.applied.get(kind)
        seen = self._cache.objects(subject.key).children.get(kind)
        if applied is not None and seen is None:
            await ensure_exists(self._cluster, subject)
        elif applied is not None and seen is not None and applied.desired == wish:
            _log.info("repairing a child that was edited", extra=_where(subject, kind))
        try:
            if applied is None or seen is None:
                await self._must_be_free(subject, child)
            if seen is not None and _foreign_ports(seen, child):
                await self._cluster.replace_part(child, {"spec": {"ports": child["spec"]["ports"]}})
            answer = await self._cluster.apply(child)
        except (Conflict, Forbidden, Invalid, NotFound) as error:
            await self._refused(subject, kind, wish, error)
            return
        subject.refusals.pop(kind, None)
        subject.applied[kind] = Applied(desired=wish, content=content_hash(answer))
        self._cache.put(answer)

    async def _must_be_free(self, subject: AIApiState, child: Manifest) -> None:
        """``Conflict`` when somebody else's object has the child's name."""
        name = child["metadata"]["name"]
        found = await self._cluster.get(of(child), subject.key[0], name)
        if found is not None and (whose := ownership_conflict(found, uid=subject.uid)):
            raise Conflict(whose)

    def _due(self, subject: AIApiState, kind: str, wish: str) -> bool:
        refusal = subject.refusals.get(kind)
        if refusal is not None and refusal.wish == wish and self._clock() < refusal.retry:
            return False
        applied = subject.applied.get(kind)
        seen = self._cache.objects(subject.key).children.get(kind)
        if applied is None or seen is None or applied.desired != wish:
            return True
        return content_hash(seen) != applied.content

    async def _refused(
        self, subject: AIApiState, kind: str, wish: str, error: ClusterError
    ) -> None:
        if isinstance(error, NotFound):
            await ensure_exists(self._cluster, subject)
        before = subject.refusals.get(kind)
        delay = min(before.delay * 2, _LAST_RETRY) if before else _FIRST_RETRY
        subject.refusals[kind] = Rejection(wish, error.message, self._clock() + delay, delay)
        _log.warning("a child was refused: %s", error.message, extra=_where(subject, kind))

    async def _token(self, subject: AIApiState, aiapi: AIApi) -> str:
        """The token in the Secret, whoever wrote it; a new one when there is none."""
        seen = self._cache.objects(subject.key).children.get(SECRETS.kind)
        if seen is None:
            seen = await self._cluster.get(SECRETS, subject.key[0], secret.name(aiapi))
        token = secret.token(seen or {}) or secrets.token_urlsafe(32)
        if token not in subject.tokens[:1]:
            others = tuple(known for known in subject.tokens if known != token)
            subject.tokens = (token, *others)[:_TOKENS_KEPT]
        return token


def _foreign_ports(seen: Manifest, child: Manifest) -> bool:
    """Whether a Service has ports that are not ours.

    Server-side apply would keep them beside our own, which have the same name: no valid Service.
    """
    if child["kind"] != SERVICES.kind:
        return False
    return not _ports(seen) <= _ports(child)


def _ports(service: Manifest) -> set[tuple[int, str]]:
    ports = service["spec"].get("ports") or ()
    return {(port["port"], port.get("protocol", "TCP")) for port in ports}


def _digest(manifest: Manifest) -> str:
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _where(subject: AIApiState, kind: str) -> dict[str, str]:
    namespace, name = subject.key
    return {"namespace": namespace, "aiapi": name, "child": kind}
