"""One upstream: its connection data and its health."""

import logging
from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

import httpx
from pydantic import SecretStr

from aiapi_service.gateway.upstreams.breaker import BreakerState, CircuitBreaker
from aiapi_service.gateway.upstreams.metering import STATE
from aiapi_service.gateway.upstreams.model_notes import ModelNotes
from aiapi_service.gateway.upstreams.settings import Kind, UpstreamConfig, UpstreamSettings
from aiapi_service.gateway.upstreams.wire import UpstreamEndpoint, make_endpoint

logger = logging.getLogger("aiapi.gateway")

_REJECTED_USAGE_SECONDS = 3600.0


@dataclass(eq=False)
class UpstreamTarget:
    """The view of one worker on an upstream."""

    config: UpstreamConfig
    breaker: CircuitBreaker
    headers: httpx.Headers
    start_timeout: float = 0.0
    """Seconds that a call waits while the upstream refuses connections (it may be starting)."""
    name: str = field(init=False)
    models: ModelNotes = field(default_factory=ModelNotes)
    _rejects_usage_until: float = 0.0
    _was_open: bool = False
    _endpoints: dict[str, UpstreamEndpoint] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name = self.config.title()

    def endpoint(self, method: str, path: str) -> UpstreamEndpoint:
        """The endpoint of one of the gateway's own paths. Each has one method."""
        if path not in self._endpoints:
            address = self.config.address(path)
            self._endpoints[path] = make_endpoint(method, address, self.headers)
        return self._endpoints[path]

    def unknown_endpoint(
        self, method: str, path: str, query: str, content_type: str
    ) -> UpstreamEndpoint:
        """The endpoint of a path that a caller chose, which is not kept."""
        headers = {**self.headers, "Content-Type": content_type}
        return make_endpoint(method, self.config.address(path, query), headers)

    def rejects_usage(self, now: float) -> bool:
        """Whether it recently rejected `stream_options`."""
        return now < self._rejects_usage_until

    def note_rejected_usage(self, now: float) -> None:
        """It rejected `stream_options`. Tried again later, since it may have been upgraded."""
        if not self._rejects_usage_until:
            logger.warning(
                "%s rejects stream_options: the tokens of its streams are counted only if it "
                "reports them anyway",
                self.name,
            )
        self._rejects_usage_until = now + _REJECTED_USAGE_SECONDS

    def serves(self, kind: Kind, model: str) -> bool:
        return self.config.may_serve(kind, model)

    def lists_model(self, model: str) -> bool:
        """Whether the settings list this model for the upstream."""
        return model in self.config.models

    def report_state(self, now: float, reason: str = "") -> None:
        """Set the metric of the circuit breaker, and log when it opens or closes."""
        state = self.breaker.state(now)
        STATE.labels(self.name).set(state.value)
        is_open = state is not BreakerState.CLOSED
        if is_open and not self._was_open:
            logger.warning(
                "%s fails most calls (%s): no calls for %.1f s, then one a second",
                self.name,
                reason,
                self.breaker.wait(now),
            )
        elif self._was_open and not is_open:
            logger.warning("%s answers again: calls are resumed", self.name)
        self._was_open = is_open

    def model(self, name: str) -> str:
        """The name of the model at this upstream."""
        return self.config.models.get(name, name)

    def is_available(self, model: str, now: float) -> bool:
        """Whether it may be called for this model now."""
        return now >= self.models.rest(model).until and self.breaker.would_allow(now)

    def wait(self, model: str, now: float) -> float:
        """Seconds until the next call for this model is allowed."""
        return max(self.models.rest(model).until - now, self.breaker.wait(now), 0.0)

    def limits_rate(self, model: str, now: float) -> bool:
        """Whether only its rate limit for this model prevents a call."""
        rest = self.models.rest(model)
        return rest.is_rate_limit and now < rest.until and self.breaker.wait(now) == 0.0


def make_target(
    config: UpstreamConfig, settings: UpstreamSettings, *, start_timeout: float = 0.0
) -> UpstreamTarget:
    """Create an upstream with its own key or the common one."""
    key = config.key() or _reveal(settings.upstream_api_key)
    url = httpx.URL(str(config.url))
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
        is_bearer = config.api_key_header.lower() == "authorization"
        headers[config.api_key_header] = f"Bearer {key}" if is_bearer else key
    elif url.userinfo:
        headers["Authorization"] = f"Basic {b64encode(unquote_to_bytes(url.userinfo)).decode()}"
    breaker = CircuitBreaker(
        failures=settings.upstream_break_after, seconds=settings.upstream_break_seconds
    )
    return UpstreamTarget(config, breaker, headers, start_timeout)


def _reveal(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
