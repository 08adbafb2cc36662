"""One upstream: its connection data and its health."""

from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

import httpx
from pydantic import SecretStr

from aiapi_service.gateway.upstreams.breaker import CircuitBreaker
from aiapi_service.gateway.upstreams.metering import STATE
from aiapi_service.gateway.upstreams.settings import Kind, UpstreamConfig, UpstreamSettings
from aiapi_service.gateway.upstreams.wire import UpstreamEndpoint, make_endpoint

_MAX_PAUSE_SECONDS = 30.0
_MISSING_MODEL_SECONDS = 60.0
_MAX_MISSING_MODELS = 256


@dataclass(eq=False)
class UpstreamTarget:
    """The view of one worker on an upstream."""

    config: UpstreamConfig
    breaker: CircuitBreaker
    headers: httpx.Headers
    start_timeout: float = 0.0
    """Seconds that a call waits while the upstream refuses connections (it may be starting)."""
    name: str = field(init=False)
    _endpoints: dict[str, UpstreamEndpoint] = field(default_factory=dict)
    _paused_until: float = 0.0
    _missing_models: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name = self.config.title()

    def endpoint(self, method: str, path: str) -> UpstreamEndpoint:
        """The endpoint of a path. Each path has one method."""
        if path not in self._endpoints:
            self._endpoints[path] = make_endpoint(method, self.config.base + path, self.headers)
        return self._endpoints[path]

    def serves(self, kind: Kind, model: str) -> bool:
        return self.config.may_serve(kind, model)

    def lists_model(self, model: str) -> bool:
        """Whether the settings list this model for the upstream."""
        return model in self.config.models

    def lacks_model(self, model: str, now: float) -> bool:
        """Whether it recently reported the model as not found."""
        return now < self._missing_models.get(model, 0.0)

    def note_missing_model(self, model: str, now: float) -> None:
        """Remember that it does not have the model. Bounded, since callers choose the names."""
        if len(self._missing_models) >= _MAX_MISSING_MODELS:
            self._missing_models.clear()
        self._missing_models[model] = now + _MISSING_MODEL_SECONDS

    def report_state(self, now: float) -> None:
        """Set the metric of the circuit breaker."""
        STATE.labels(self.name).set(self.breaker.state(now).value)

    def model(self, name: str) -> str:
        """The name of the model at this upstream."""
        return self.config.models.get(name, name)

    def is_available(self, now: float) -> bool:
        return now >= self._paused_until and self.breaker.would_allow(now)

    def wait(self, now: float) -> float:
        """Seconds until the next call is allowed."""
        return max(self._paused_until - now, self.breaker.wait(now), 0.0)

    def pause(self, now: float, seconds: float) -> None:
        """Stop calling it for a while, after Retry-After."""
        self._paused_until = now + min(seconds, _MAX_PAUSE_SECONDS)


def make_target(
    config: UpstreamConfig, settings: UpstreamSettings, *, start_timeout: float = 0.0
) -> UpstreamTarget:
    """Create an upstream with its own key or the common one."""
    key = config.key() or _reveal(settings.upstream_api_key)
    url = httpx.URL(config.base)
    headers = httpx.Headers(
        {
            # Set once, so that it is not computed for each call.
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
    return UpstreamTarget(config, breaker, headers, start_timeout)


def _reveal(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
