"""Grafana's JSON of a dashboard, made with Grafana's own types. Only `make generate` runs this: the SDK is a development dependency."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Final

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from fairlead_cli.dashboards.panels import Choice, Dashboard, Panel, Query, Shape

#: The variable by which the reader picks a Prometheus.
SOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG: Final = "fairlead"
#: Heights in Grafana's rows of 30 pixels.
_HEIGHT: Final = {Shape.NUMBER: 4}
_DEFAULT_HEIGHT: Final = 8
#: Values of fairlead_condition.
_TRUTH: Final = {"1": ("True", "green"), "0": ("False", "red"), "-1": ("Unknown", "yellow")}

_Builder = timeseries.Panel | stat.Panel | bargauge.Panel | table.Panel | statetimeline.Panel


def text(board: Dashboard) -> str:
    """The file's content: sorted, indented, so that a change shows as a change."""
    return json.dumps(_board(board).build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _board(board: Dashboard) -> dashboard.Dashboard:
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.says)
        .tags([TAG])
        .time("now-3h", "now")
        .refresh("30s")
        .timezone("browser")
        .readonly()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(dashboard.DashboardLink("fairlead").type(model.DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(True).keep_time(True))
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )  # fmt: skip
    for choice in board.choices:
        made.with_variable(_variable(choice))
    numbers = count(1)
    for row in board.rows:
        made.with_row(dashboard.Row(row.title).id(next(numbers)))
        for panel in row.panels:
            made.with_panel(_panel(panel).id(next(numbers)))
    return made


def _variable(choice: Choice) -> dashboard.QueryVariable:
    made = (
        dashboard.QueryVariable(choice.name)
        .label(choice.label)
        .datasource(SOURCE)
        .query(choice.values)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
    )
    if choice.many:
        made.multi(True).include_all(True).all_value(".*").current(model.VariableOption(text="All", value="$__all"))
    return made


def _panel(panel: Panel) -> _Builder:
    made = _SHAPES[panel.shape](panel)
    made.title(panel.title).datasource(SOURCE).unit(panel.unit).span(panel.width)
    made.height(_HEIGHT.get(panel.shape, _DEFAULT_HEIGHT))
    if panel.says:
        made.description(panel.says)
    if panel.bad_from is not None:
        made.thresholds(_steps([(None, "green"), (panel.bad_from, "red")]))
    for name, query in zip("ABCDEFGH", panel.queries, strict=False):
        made.with_target(_target(query, panel.shape).ref_id(name))
    return made


def _target(query: Query, shape: Shape) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query.expr).datasource(SOURCE)
    if query.legend:
        made.legend_format(query.legend)
    if shape is Shape.TABLE:
        return made.instant().format(PromQueryFormat.TABLE)
    return made.instant() if shape in {Shape.BARS, Shape.NUMBER} else made.range()


def _lines(_: Panel) -> timeseries.Panel:
    shown = common.VizLegendOptions().show_legend(True).display_mode(options.LegendDisplayMode.LIST)
    return (
        timeseries.Panel()
        .min(0)
        .fill_opacity(8)
        .legend(shown.placement(options.LegendPlacement.BOTTOM).calcs([]))
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING))
    )


def _stacked(panel: Panel) -> timeseries.Panel:
    return _lines(panel).fill_opacity(40).stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))


def _number(_: Panel) -> stat.Panel:
    return stat.Panel().graph_mode(options.BigValueGraphMode.NONE).thresholds(_steps([(None, "blue")]))


def _bars(_: Panel) -> bargauge.Panel:
    return (
        bargauge.Panel().min(0).orientation(options.VizOrientation.HORIZONTAL).thresholds(_steps([(None, "blue")]))
    )  # fmt: skip


def _table(_: Panel) -> table.Panel:
    hidden = model.DataTransformerConfig(id_val="organize", options={"excludeByName": {"Time": True}})
    return table.Panel().with_transformation(hidden).filterable(True)


def _conditions(_: Panel) -> statetimeline.Panel:
    words = {value: model.ValueMappingResult(text=word, color=color) for value, (word, color) in _TRUTH.items()}
    return statetimeline.Panel().mappings([model.ValueMap(words)]).show_value(options.VisibilityMode.NEVER)


def _steps(steps: Sequence[tuple[float | None, str]]) -> dashboard.ThresholdsConfig:
    found = [model.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(found)


_SHAPES: Final[Mapping[Shape, Callable[[Panel], _Builder]]] = {
    Shape.LINES: _lines,
    Shape.STACKED: _stacked,
    Shape.NUMBER: _number,
    Shape.BARS: _bars,
    Shape.TABLE: _table,
    Shape.CONDITIONS: _conditions,
}
