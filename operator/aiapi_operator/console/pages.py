"""Turns what is known into HTML. Everything that comes from a cluster is escaped."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from aiapi_operator.console import figures
from aiapi_operator.console.detail import detail
from aiapi_operator.console.history import MAX_EVENTS, TIME_RANGES, History
from aiapi_operator.console.overview import SORTS, overview
from aiapi_operator.engine.cache import Key

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSources:
    """Where the pages get what they show."""

    aiapis: Callable[[], list[Manifest]]
    """All AIApis as last seen."""
    history: History
    leads: Callable[[], bool]
    leader: Callable[[], str]
    wall: Callable[[], float]
    version: str


class Pages:
    """The console's pages."""

    def __init__(self, sources: PageSources) -> None:
        self._sources = sources
        self._environment = Environment(
            loader=PackageLoader("aiapi_operator.console"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "segment": partial(quote, safe=""),
            "number": figures.number,
            "whole": figures.whole,
            "money": figures.money,
            "moment": figures.moment,
            "clock": figures.clock,
        }

    def overview(self, *, query: str, sort: str, page: int) -> str:
        """All AIApis."""
        sources = self._sources
        it = overview(sources.aiapis(), sources.history, query=query, sort=sort, page=page)
        return self._render("overview.html", it=it, sorts=list(SORTS))

    def detail(self, key: Key, *, span: int) -> str | None:
        """One AIApi; None when there is none of this name."""
        manifest = next(
            (
                each
                for each in self._sources.aiapis()
                if (each["metadata"]["namespace"], each["metadata"]["name"]) == key
            ),
            None,
        )
        if manifest is None:
            return None
        story = self._sources.history.story(key)
        it = detail(manifest, story, span=span, now=self._sources.wall())
        spans = [each.name for each in TIME_RANGES]
        return self._render("detail.html", it=it, span=span, spans=spans, most=MAX_EVENTS)

    def missing(self, told: str) -> str:
        """There is nothing at this address."""
        return self._render("missing.html", it=told)

    def _render(self, name: str, **context: Any) -> str:
        sources = self._sources
        return self._environment.get_template(name).render(
            standby=not sources.leads(),
            leader=sources.leader(),
            version=sources.version,
            since=sources.history.since,
            **context,
        )
