"""Renders the console's pages as HTML. All text from the cluster is escaped."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from aiapi_operator.console.detail import detail
from aiapi_operator.console.history import MAX_EVENTS, TIME_RANGES, History
from aiapi_operator.console.overview import SORTS, overview
from aiapi_operator.engine.cache import Key
from aiapi_operator.present import numbers

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSources:
    """Where the pages get their content."""

    aiapis: Callable[[], list[Manifest]]
    """All cached AIApis."""
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
            "number": numbers.number,
            "integer": numbers.integer,
            "money": numbers.money,
            "timestamp": numbers.timestamp,
            "time_of_day": numbers.time_of_day,
        }

    def overview(self, *, query: str, sort: str, page: int) -> str:
        """The page of all AIApis."""
        sources = self._sources
        content = overview(sources.aiapis(), sources.history, query=query, sort=sort, page=page)
        return self._render("overview.html", page=content, sorts=list(SORTS))

    def detail(self, key: Key, *, time_range: int) -> str | None:
        """The page of one AIApi; None if it does not exist."""
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
        history = self._sources.history.get(key)
        content = detail(manifest, history, time_range=time_range, now=self._sources.wall())
        return self._render(
            "detail.html",
            page=content,
            time_range=time_range,
            time_ranges=[each.name for each in TIME_RANGES],
            max_events=MAX_EVENTS,
        )

    def not_found(self, message: str) -> str:
        """The page of a 404 response."""
        return self._render("not_found.html", message=message)

    def _render(self, name: str, **context: Any) -> str:
        sources = self._sources
        return self._environment.get_template(name).render(
            standby=not sources.leads(),
            leader=sources.leader(),
            version=sources.version,
            since=sources.history.since,
            **context,
        )
