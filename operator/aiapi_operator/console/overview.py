"""The page of all AIApis: one row each, those that need attention first. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiapi_operator.api.summary import AIApiSummary, from_manifest, number
from aiapi_operator.console.history import AIApiHistory, History, Metric
from aiapi_operator.present.chart import sparkline
from aiapi_operator.sizing.savings import HOURS_PER_MONTH

ROWS_PER_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewRow:
    """One AIApi."""

    view: AIApiSummary
    spark: str
    """Arrivals of the last 15 minutes, as the points of a sparkline."""

    @property
    def state(self) -> str:
        """The first problem, or "Serving"."""
        if self.view.problems:
            return self.view.problems[0]["type"] if self.ready else self._not_ready
        return (self.view.phase or "Serving") if self.ready else "Unknown"

    @property
    def _not_ready(self) -> str:
        return "Waking" if self.is_waking else "Not ready"

    @property
    def is_waking(self) -> bool:
        """Whether it is not ready only because its first pods start."""
        return self.view.phase == "Waking" and all(p["type"] == "Ready" for p in self.view.problems)

    @property
    def ready(self) -> bool:
        """Whether the condition Ready is True."""
        return self.view.ready == "True"

    @property
    def tone(self) -> str:
        """The CSS class of the state."""
        if self.is_waking:
            return "warn"
        if not self.ready or self.view.is_failing:
            return "bad"
        return "warn" if self.view.problems else "good"


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewTotals:
    """Sums over all AIApis."""

    aiapis: int
    attention: int
    arrivals: float
    workers: int
    saved: tuple[tuple[float, str], ...]
    """Amount per hour and its currency."""
    withheld: int
    """AIApis whose saving is not shown, because requests fail or the objective is missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The content of the page."""

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
    """Filter, sort and paginate the AIApis."""
    views = [from_manifest(manifest) for manifest in manifests]
    text = query.casefold()
    found = [view for view in views if text in f"{view.namespace}/{view.name}".casefold()]
    sort = sort if sort in SORTS else "attention"
    found.sort(key=SORTS[sort])
    pages = max(1, -(-len(found) // ROWS_PER_PAGE))
    page = min(max(1, page), pages)
    shown = found[(page - 1) * ROWS_PER_PAGE : page * ROWS_PER_PAGE]
    histories = {(v.namespace, v.name): history.get((v.namespace, v.name)) for v in views}
    return Overview(
        totals=_totals(views, [each for each in histories.values() if each]),
        rows=[OverviewRow(view=v, spark=_spark(histories[v.namespace, v.name])) for v in shown],
        found=len(found),
        page=page,
        pages=pages,
        query=query,
        sort=sort,
    )


def _spark(history: AIApiHistory | None) -> str:
    return "" if history is None else sparkline(history.rings[0].column(Metric.ARRIVALS))


def _totals(views: Sequence[AIApiSummary], histories: Sequence[AIApiHistory]) -> OverviewTotals:
    saved: dict[str, float] = {}
    for history in histories:
        each = history.current.savings
        if each is not None and each.per_month is not None and each.baseline_hour:
            hour = each.per_month / HOURS_PER_MONTH
            saved[each.currency] = saved.get(each.currency, 0.0) + hour
    return OverviewTotals(
        aiapis=len(views),
        attention=sum(bool(view.problems) or view.ready != "True" for view in views),
        arrivals=sum(number(view.load.get("requestsPerSecond")) or 0.0 for view in views),
        workers=sum(view.workers * view.ready_replicas for view in views),
        saved=tuple((amount, currency) for currency, amount in sorted(saved.items())),
        withheld=sum(bool(view.saving_withheld) for view in views),
    )
