"""Grafana's JSON of a dashboard, made with Grafana's own types. Only `make generate` runs this: the SDK is a development dependency."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
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

from fairlead_cli.dashboards.panels import Choice, Dashboard, Panel, Query, Row, Shape, Unit

#: The variable by which the reader picks a Prometheus.
SOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG: Final = "fairlead"
#: Of Grafana's grid.
_COLUMNS: Final = 24
#: Heights in rows of that grid, 30 pixels each. What stands side by side is as high as the highest of it.
_HEIGHT: Final = {Shape.NUMBER: 4, Shape.CONDITIONS: 11}
_DEFAULT_HEIGHT: Final = 8
#: Pixels; without them, the fewer there are the larger they get.
_NUMBER_TEXT: Final = 32
_BAR_TITLE: Final = 12
_BAR_TEXT: Final = 20
_BAR: Final = 48
#: Values of fairlead_condition.
_TRUTH: Final = {"1": ("True", "green"), "0": ("False", "red"), "-1": ("Unknown", "yellow")}
#: Colours of the conditions whose True is no good news.
_UNUSUAL: Final = {"Stalled": "red", "Reconciling": "blue"}

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
        for line in _lines_of(row):
            height = max(_HEIGHT.get(panel.shape, _DEFAULT_HEIGHT) for panel in line)
            for panel in line:
                made.with_panel(_panel(panel).height(height).id(next(numbers)))
    return made


def _lines_of(row: Row) -> Iterator[list[Panel]]:
    """Panels that stand side by side."""
    line: list[Panel] = []
    for panel in row.panels:
        if sum(each.width for each in line) + panel.width > _COLUMNS:
            yield line
            line = []
        line.append(panel)
    yield line


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
    if panel.unit is Unit.COUNT:
        made.decimals(0)
    if panel.says:
        made.description(panel.says)
    if panel.bad_from is not None:
        made.thresholds(_steps([(None, "green"), (panel.bad_from, "red")]))
    for name, query in zip("ABCDEFGH", panel.queries, strict=False):
        made.with_target(_target(query, panel.shape).ref_id(name))
    return made


def _target(query: Query, shape: Shape) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query.expr).datasource(SOURCE)
    if shape in {Shape.TABLE, Shape.REASONS}:
        return made.instant().format(PromQueryFormat.TABLE)
    if query.legend:
        made.legend_format(query.legend)
    return made.instant() if shape in {Shape.BARS, Shape.NUMBER} else made.range()


def _lines(panel: Panel) -> timeseries.Panel:
    shown = common.VizLegendOptions().show_legend(True).display_mode(options.LegendDisplayMode.LIST)
    made = timeseries.Panel()
    if panel.unit is Unit.COUNT:
        # Where nothing is counted, the axis does not reach to 100.
        made.axis_soft_max(1)
    return (
        made.min(0)
        .fill_opacity(8)
        .legend(shown.placement(options.LegendPlacement.BOTTOM).calcs([]))
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING))
    )


def _stacked(panel: Panel) -> timeseries.Panel:
    # Areas without an edge: that of a series which is 0 would lie on top and look like all of it.
    made = _lines(panel).line_width(0).fill_opacity(70)
    return made.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))


def _number(_: Panel) -> stat.Panel:
    text = common.VizTextDisplayOptions().value_size(_NUMBER_TEXT)
    return stat.Panel().graph_mode(options.BigValueGraphMode.NONE).text(text).thresholds(_steps([(None, "blue")]))


def _bars(_: Panel) -> bargauge.Panel:
    text = common.VizTextDisplayOptions().title_size(_BAR_TITLE).value_size(_BAR_TEXT)
    made = bargauge.Panel().min(0).orientation(options.VizOrientation.HORIZONTAL).text(text)
    return made.sizing(options.BarGaugeSizing.MANUAL).max_viz_height(_BAR).thresholds(_steps([(None, "blue")]))


def _table(panel: Panel) -> table.Panel:
    """The labels in the order in which the query names them, then the value."""
    (query,) = panel.queries
    labels = re.findall(r"\w+", query.expr.partition(" by (")[2].partition(")")[0])
    shown = {
        "excludeByName": {"Time": True},
        "indexByName": {name: index for index, name in enumerate([*labels, "Value"])},
        "renameByName": {"Value": query.legend},
    }
    made = table.Panel().with_transformation(model.DataTransformerConfig(id_val="organize", options=shown))
    return made.filterable(True)


def _reasons(panel: Panel) -> table.Panel:
    by_type = common.TableSortByFieldState().display_name("type").desc(False)
    return _table(panel).mappings([_words()]).sort_by([by_type])


def _conditions(_: Panel) -> statetimeline.Panel:
    made = statetimeline.Panel().mappings([_words()]).show_value(options.VisibilityMode.NEVER)
    for name, color in _UNUSUAL.items():
        made.override_by_name(name, [model.DynamicConfigValue(id_val="mappings", value=[_words(true=color)])])
    return made


def _words(true: str = _TRUTH["1"][1]) -> model.ValueMap:
    """true: the colour of True."""
    colors = {value: color for value, (_, color) in _TRUTH.items()} | {"1": true}
    words = {value: model.ValueMappingResult(text=word, color=colors[value]) for value, (word, _) in _TRUTH.items()}
    return model.ValueMap(words)


def _steps(steps: Sequence[tuple[float | None, str]]) -> dashboard.ThresholdsConfig:
    found = [model.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(found)


_SHAPES: Final[Mapping[Shape, Callable[[Panel], _Builder]]] = {
    Shape.LINES: _lines,
    Shape.STACKED: _stacked,
    Shape.NUMBER: _number,
    Shape.BARS: _bars,
    Shape.TABLE: _table,
    Shape.REASONS: _reasons,
    Shape.CONDITIONS: _conditions,
}
