"""All AIApis at a glance: a row each, those that ask for attention first. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiapi_operator.api.summary import AIApiSummary, from_manifest, number
from aiapi_operator.console.chart import sparkline
from aiapi_operator.console.history import AIApiHistory, History, Metric
from aiapi_operator.sizing.savings import HOURS_PER_MONTH

ROWS_PER_PAGE = 100
"""Rows on a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewRow:
    """One AIApi."""

    view: AIApiSummary
    spark: str
    """Its arrivals of the last 15 minutes, as points of a small line."""

    @property
    def state(self) -> str:
        """The first thing that asks for attention, or that it serves."""
        if self.view.problems:
            return self.view.problems[0]["type"] if self.ready else "Not ready"
        return "Serving" if self.ready else "Not known yet"

    @property
    def ready(self) -> bool:
        """Whether it serves."""
        return self.view.ready == "True"

    @property
    def tone(self) -> str:
        """How its state looks."""
        if not self.ready:
            return "bad"
        return "warn" if self.view.problems else "good"


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewTotals:
    """All of them together."""

    aiapis: int
    attention: int
    arrivals: float
    workers: int
    saved: tuple[tuple[float, str], ...]
    """An hour, by currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The page's content."""

    totals: OverviewTotals
    rows: Sequence[OverviewRow]
    found: int
    page: int
    pages: int
    query: str
    sort: str


SORTS: dict[str, Callable[[AIApiSummary], Any]] = {
    "attention": lambda view: (view.ready == "True", -len(view.problems), view.name),
    "name": lambda view: (view.name, view.namespace),
    "namespace": lambda view: (view.namespace, view.name),
    "load": lambda view: (-(number(view.load.get("requestsPerSecond")) or 0), view.name),
    "workers": lambda view: (-int(view.need.get("workers", 0)), view.name),
}


def overview(
    manifests: Iterable[dict[str, Any]],
    history: History,
    *,
    query: str,
    sort: str,
    page: int,
) -> Overview:
    """Find, sort and cut into pages."""
    views = [from_manifest(manifest) for manifest in manifests]
    word = query.casefold()
    found = [view for view in views if word in f"{view.namespace}/{view.name}".casefold()]
    sort = sort if sort in SORTS else "attention"
    found.sort(key=SORTS[sort])
    pages = max(1, -(-len(found) // ROWS_PER_PAGE))
    page = min(max(1, page), pages)
    shown = found[(page - 1) * ROWS_PER_PAGE : page * ROWS_PER_PAGE]
    stories = {(v.namespace, v.name): history.story((v.namespace, v.name)) for v in views}
    return Overview(
        totals=_totals(views, [story for story in stories.values() if story]),
        rows=[OverviewRow(view=v, spark=_spark(stories[v.namespace, v.name])) for v in shown],
        found=len(found),
        page=page,
        pages=pages,
        query=query,
        sort=sort,
    )


def _spark(story: AIApiHistory | None) -> str:
    return "" if story is None else sparkline(story.rings[0].column(Metric.ARRIVALS))


def _totals(views: Sequence[AIApiSummary], stories: Sequence[AIApiHistory]) -> OverviewTotals:
    saved: dict[str, float] = {}
    for story in stories:
        if (each := story.present.savings) is not None and each.baseline_hour:
            hour = each.per_month / HOURS_PER_MONTH
            saved[each.currency] = saved.get(each.currency, 0.0) + hour
    return OverviewTotals(
        aiapis=len(views),
        attention=sum(bool(view.problems) or view.ready != "True" for view in views),
        arrivals=sum(number(view.load.get("requestsPerSecond")) or 0.0 for view in views),
        workers=sum(view.workers * view.ready_replicas for view in views),
        saved=tuple((amount, currency) for currency, amount in sorted(saved.items())),
    )
