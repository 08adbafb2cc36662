"""One upstream: how to reach it, and how it does."""

from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

import httpx
from pydantic import SecretStr

from aiapi_service.gateway.upstreams.breaker import CircuitBreaker
from aiapi_service.gateway.upstreams.metering import STATE
from aiapi_service.gateway.upstreams.settings import Kind, UpstreamSettings, UpstreamSpec
from aiapi_service.gateway.upstreams.wire import UpstreamEndpoint, make_endpoint

_LONGEST_REST_SECONDS = 30.0
_LACKS_SECONDS = 60.0
_MOST_LACKED = 256


@dataclass(eq=False)
class UpstreamTarget:
    """Owned by one worker; others have their own view of the same upstream."""

    spec: UpstreamSpec
    breaker: CircuitBreaker
    headers: httpx.Headers
    patience: float = 0.0
    """Seconds for which a call waits while it cannot be connected to: it may be starting."""
    name: str = field(init=False)
    _endpoints: dict[str, UpstreamEndpoint] = field(default_factory=dict)
    _rest_until: float = 0.0
    _lacks: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name = self.spec.title()

    def endpoint(self, method: str, path: str) -> UpstreamEndpoint:
        """For calls to this path, each of which has one method."""
        if path not in self._endpoints:
            self._endpoints[path] = make_endpoint(method, self.spec.base + path, self.headers)
        return self._endpoints[path]

    def serves(self, kind: Kind, model: str) -> bool:
        return self.spec.may_serve(kind, model)

    def names(self, model: str) -> bool:
        """Whether the settings say that it has this model; an upstream that names none may."""
        return model in self.spec.models

    def lacks(self, model: str, now: float) -> bool:
        """Whether it has said lately that it has not got the model."""
        return now < self._lacks.get(model, 0.0)

    def lacked(self, model: str, now: float) -> None:
        """It has just said so. Callers choose the names: only so many are kept."""
        if len(self._lacks) >= _MOST_LACKED:
            self._lacks.clear()
        self._lacks[model] = now + _LACKS_SECONDS

    def note(self, now: float) -> None:
        """Show how it does."""
        STATE.labels(self.name).set(self.breaker.state(now).value)

    def model(self, name: str) -> str:
        """What this upstream calls the model."""
        return self.spec.models.get(name, name)

    def is_free(self, now: float) -> bool:
        return now >= self._rest_until and self.breaker.would_allow(now)

    def wait(self, now: float) -> float:
        """Seconds until it may be asked again."""
        return max(self._rest_until - now, self.breaker.wait(now), 0.0)

    def rest(self, now: float, seconds: float) -> None:
        """It has said that it wants to be left alone."""
        self._rest_until = now + min(seconds, _LONGEST_REST_SECONDS)


def make_target(
    spec: UpstreamSpec, settings: UpstreamSettings, *, patience: float = 0.0
) -> UpstreamTarget:
    """An upstream with its key, its own or that of all."""
    key = spec.key() or _open(settings.upstream_api_key)
    url = httpx.URL(spec.base)
    headers = httpx.Headers(
        {
            # Given here, it need not be added to the headers of each call.
            "Host": url.netloc.decode(),
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "aiapi-gateway",
        }
    )
    if key:
        headers["Authorization"] = f"Bearer {key}"
    elif url.userinfo:
        headers["Authorization"] = f"Basic {b64encode(unquote_to_bytes(url.userinfo)).decode()}"
    breaker = CircuitBreaker(
        failures=settings.upstream_break_after, seconds=settings.upstream_break_seconds
    )
    return UpstreamTarget(spec, breaker, headers, patience)


def _open(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
