"""Builders for the panels of the dashboards."""

from typing import NamedTuple, TypeAlias

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
ONE = '{namespace="$namespace",name="$name"}'
MANY = '{namespace=~"$namespace"}'
DIAGNOSES = 'type!~"Ready|Accepted|Reconciled"'
READY = '{namespace=~"$namespace",type="Ready"}'
RATE = "[$__rate_interval]"
Panel: TypeAlias = timeseries.Panel | stat.Panel | table.Panel | statetimeline.Panel
Page: TypeAlias = dashboards.Dashboard


class Query(NamedTuple):
    """A PromQL expression and the legend of its series."""

    expr: str
    legend: str = ""


def of(metric: str, selector: str = "") -> str:
    """Selector of an operator metric."""
    return f"aiapi_operator_{metric}{selector}"


def more(selector: str, matcher: str) -> str:
    """The selector with one more matcher."""
    return f"{selector[:-1]},{matcher}}}"


def _target(query: Query, at: int, *, instant: bool = False) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend)
    target = target.ref_id(chr(ord("A") + at)).datasource(SOURCE)
    if instant:
        return target.instant().format(prometheus_models.PromQueryFormat.TABLE)
    return target.range()


def lines(
    title: str, description: str, unit: str, *queries: Query, width: int = 12
) -> timeseries.Panel:
    """Lines over time."""
    legend = common_builders.VizLegendOptions().show_legend(True)
    legend = legend.display_mode(common.LegendDisplayMode.LIST)
    legend = legend.placement(common.LegendPlacement.BOTTOM)
    panel = timeseries.Panel().title(title).description(description).datasource(SOURCE).unit(unit)
    panel = panel.legend(legend).span(width).height(8).min(0).fill_opacity(8).line_width(2)
    return panel.targets([_target(query, at) for at, query in enumerate(queries)])


def stacked(
    title: str, description: str, unit: str, *queries: Query, width: int = 12
) -> timeseries.Panel:
    """Stacked areas over time."""
    stacking = common_builders.StackingConfig().mode(common.StackingMode.NORMAL)
    return (
        lines(title, description, unit, *queries, width=width).stacking(stacking).fill_opacity(40)
    )


def number(title: str, description: str, unit: str, expr: str, *, width: int = 4) -> stat.Panel:
    """One number with a sparkline."""
    panel = stat.Panel().title(title).description(description).datasource(SOURCE).unit(unit)
    return panel.span(width).height(4).with_target(_target(Query(expr, "__auto"), 0))


def states(title: str, description: str, *queries: Query, width: int = 24) -> statetimeline.Panel:
    """State timeline: one row per series."""
    panel = statetimeline.Panel().title(title).description(description).datasource(SOURCE)
    values: dict[str, models.ValueMappingResult] = {
        "0": models.ValueMappingResult(text="no", color="transparent", index=0),
        "1": models.ValueMappingResult(text="yes", color="orange", index=1),
    }
    panel = panel.mappings([models.ValueMap(options=values)]).span(width).height(7)
    return panel.targets([_target(query, at) for at, query in enumerate(queries)])


def rows(title: str, description: str, columns: dict[str, tuple[str, str]]) -> table.Panel:
    """Table with one row per AIApi; columns map name -> (unit, expression)."""
    panel = (
        table.Panel().title(title).description(description).datasource(SOURCE).span(24).height(10)
    )
    queries = enumerate(columns.values())
    panel = panel.targets([_target(Query(e), at, instant=True) for at, (_, e) in queries])
    merge = models.DataTransformerConfig(id_val="merge", options={})
    hidden = {"excludeByName": {"Time": True}}
    panel = panel.with_transformation(merge)
    panel = panel.with_transformation(
        models.DataTransformerConfig(id_val="organize", options=hidden)
    )
    for at, (name, (unit, _)) in enumerate(columns.items()):
        shown = [
            models.DynamicConfigValue(id_val="displayName", value=name),
            models.DynamicConfigValue(id_val="unit", value=unit),
        ]
        panel = panel.override_by_name(f"Value #{chr(ord('A') + at)}", shown)
    return panel


def page(uid: str, title: str, description: str, variables: list[dashboards.QueryVariable]) -> Page:
    """An empty dashboard with its variables. The data source is the first variable."""
    made = dashboards.Dashboard(title).uid(f"aiapi-{uid}").description(description).tags(["aiapi"])
    made = made.readonly().time("now-3h", "now").refresh("30s").timezone("browser")
    made = made.tooltip(models.DashboardCursorSync.CROSSHAIR)
    link = dashboards.DashboardLink("AIApi").type(models.DashboardLinkType.DASHBOARDS)
    made = made.link(link.tags(["aiapi"]).as_dropdown(True).keep_time(True).include_vars(True))
    made = made.with_variable(
        dashboards.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    )
    for variable in variables:
        made = made.with_variable(variable)
    return made


def variable(name: str, query: str, *, several: bool = False) -> dashboards.QueryVariable:
    made = dashboards.QueryVariable(name).query(query).datasource(SOURCE)
    made = made.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
    made = made.sort(models.VariableSort.ALPHABETICAL_ASC)
    return made.multi(True).include_all(True).all_value(".*") if several else made


def namespaces(*, several: bool) -> dashboards.QueryVariable:
    return variable(
        "namespace", "label_values(aiapi_operator_ticks_total, namespace)", several=several
    )


def with_panels(made: Page, panels: list[Panel]) -> Page:
    """Adds the panels in order."""
    for panel in panels:
        made = made.with_panel(panel)
    return made
