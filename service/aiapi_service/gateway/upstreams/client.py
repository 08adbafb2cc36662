"""The upstream client: parsed completions and model lists on top of the pool."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from pydantic import HttpUrl

from aiapi_service.gateway.local.model import NAME as LOCAL_MODEL
from aiapi_service.gateway.local.settings import LocalSettings
from aiapi_service.gateway.problems import ProblemError
from aiapi_service.gateway.upstreams import error_responses, failures, lenient_json
from aiapi_service.gateway.upstreams.budget import RetryBudget
from aiapi_service.gateway.upstreams.calls import MODELS_PATH, Call, chat_call
from aiapi_service.gateway.upstreams.metering import ModelMeter
from aiapi_service.gateway.upstreams.model_labels import ModelLabels
from aiapi_service.gateway.upstreams.pool import CallPolicy, UpstreamPool
from aiapi_service.gateway.upstreams.settings import ModelPrice, UpstreamConfig, UpstreamSettings
from aiapi_service.gateway.upstreams.target import UpstreamTarget, make_target
from aiapi_service.gateway.upstreams.transport import UpstreamTransport
from aiapi_service.gateway.upstreams.usage import parse_usage

_MODELS_SECONDS = 60.0
_MODELS_TIMEOUT_SECONDS = 10.0


class UpstreamClient(UpstreamPool):
    """An upstream pool that returns parsed responses."""

    def __init__(
        self, *args: Any, chat_model: str, prices: Mapping[str, ModelPrice], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._chat_model = chat_model
        self.prices = prices
        self._labels = _reserved_labels(self.targets, [*prices, chat_model])
        self._cards: dict[UpstreamTarget, tuple[float, list[dict[str, Any]]]] = {}

    async def chat(
        self, body: Mapping[str, Any], *, deadline: float | None = None
    ) -> dict[str, Any]:
        """A complete chat completion. Uses the default model if the body has none."""
        model = body.get("model") or self.default_model()
        self.refuse_unsupported({**body, "model": model})
        data = {**body, "model": model, "stream": False}
        data.pop("stream_options", None)
        raw = json.dumps(data).encode()
        meter = self.meter(str(data["model"]))
        try:
            async with asyncio.timeout_at(deadline):
                answer, content = await self.fetch(chat_call(data, raw))
        except TimeoutError:
            raise failures.too_slow("no complete response within the timeout") from None
        parsed = parse_object(content, answer.target.name)
        meter.done(answer.target.name, parse_usage(parsed.get("usage")))
        return parsed

    def refuse_unsupported(self, data: Mapping[str, Any]) -> None:
        """Raise a problem for a tool that must be called by the local model, which cannot."""
        model = str(data["model"])
        is_local = any(one.start_timeout and one.lists_model(model) for one in self.targets)
        if is_local and data.get("tool_choice") not in (None, "auto", "none"):
            raise error_responses.no_tools(model)

    def meter(self, model: str) -> ModelMeter:
        """A meter for one response of the model."""
        return ModelMeter(model, self.prices, self._labels)

    def default_model(self) -> str:
        """The model for requests without one."""
        named = [
            name for one in self.targets if "chat" in one.config.kinds for name in one.config.models
        ]
        if not self._chat_model and not named:
            if not self.targets:
                raise failures.no_upstream()
            text = "Set AIAPI_CHAT_MODEL: no upstream lists its models."
            raise ProblemError(503, "no-model", "No default model is configured", text)
        return self._chat_model or named[0]

    async def cards(self) -> list[dict[str, Any]]:
        """All models: from the settings, and from other upstreams' model lists."""
        if not self.targets:
            raise failures.no_upstream()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._cards_of(target)) for target in self.targets]
        results = [task.result() for task in tasks]
        problems = [result for result in results if isinstance(result, ProblemError)]
        if len(problems) == len(results):
            raise problems[0]
        cards: dict[str, dict[str, Any]] = {}
        for result in results:
            for card in result if isinstance(result, list) else ():
                cards.setdefault(card["id"], card)
        return list(cards.values())

    async def _cards_of(self, target: UpstreamTarget) -> list[dict[str, Any]] | ProblemError:
        if target.config.models:
            return [_card(name, target) for name in target.config.models]
        now = asyncio.get_running_loop().time()
        until, known = self._cards.get(target, (0.0, []))
        if now < until:
            return known
        if not target.is_available("", now):
            return known or failures.all_unavailable(target.wait("", now))
        try:
            async with asyncio.timeout(_MODELS_TIMEOUT_SECONDS):
                body = await self.fetch_from(target, Call(path=MODELS_PATH, method="GET"))
            listed = parse_object(body, target.name).get("data")
        except TimeoutError:
            return failures.too_slow(f"{target.name} did not list its models in time")
        except ProblemError as problem:
            return problem
        cards = [
            _upstream_card(one, target)
            for one in (listed if isinstance(listed, list) else [])
            if isinstance(one, dict) and isinstance(one.get("id"), str)
        ]
        self._cards[target] = (now + _MODELS_SECONDS, cards)
        self._labels.note_listed(target.name, [card["id"] for card in cards])
        return cards


def _reserved_labels(targets: Iterable[UpstreamTarget], models: Iterable[str]) -> ModelLabels:
    """Labels for the models of each upstream, or those named elsewhere if it may serve any."""
    labels = ModelLabels()
    for target in targets:
        labels.reserve(target.name, target.config.models or [one for one in models if one])
    return labels


def _card(name: str, target: UpstreamTarget) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": target.name}


def _upstream_card(card: dict[str, Any], target: UpstreamTarget) -> dict[str, Any]:
    """A card from an upstream. Fields with a wrong type are dropped."""
    known = _card(card["id"], target)
    fits = {key: one for key, one in card.items() if type(one) is type(known.get(key, one))}
    return known | fits | {"object": "model"}


def parse_object(body: bytes, upstream: str) -> dict[str, Any]:
    """Parse the response of an upstream as a JSON object."""
    try:
        data = lenient_json.load(body)
    except ValueError:
        raise failures.broken(f"{upstream} did not return JSON") from None
    if not isinstance(data, dict):
        raise failures.broken(f"{upstream} did not return a JSON object")
    return data


def _targets(settings: UpstreamSettings, local: LocalSettings) -> list[UpstreamTarget]:
    targets = [make_target(config, settings) for config in settings.upstreams]
    if local.local_url and local.local != "off":
        config = UpstreamConfig(
            name="local",
            url=HttpUrl(local.local_url),
            kinds=frozenset({"chat"}),
            models={LOCAL_MODEL: LOCAL_MODEL},
            api_key=local.local_key,
        )
        targets.append(make_target(config, settings, start_timeout=local.local_start_timeout))
    return targets


@asynccontextmanager
async def open_upstream_client(
    settings: UpstreamSettings, local: LocalSettings
) -> AsyncIterator[UpstreamClient]:
    """The upstream client of a worker."""
    policy = CallPolicy(
        total_timeout=settings.upstream_total_timeout,
        retries=settings.upstream_retries,
        retry_wait=settings.upstream_retry_wait,
        hedge_after=settings.upstream_hedge_after,
        answer_limit=settings.max_answer_bytes,
    )
    upstreams = UpstreamClient(
        _targets(settings, local),
        UpstreamTransport(settings),
        policy,
        RetryBudget(settings.upstream_retry_ratio),
        chat_model=settings.chat_model,
        prices=settings.prices,
    )
    try:
        yield upstreams
    finally:
        await upstreams.close()
