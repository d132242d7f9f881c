"""What a dashboard consists of, independent of who draws it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Shape(StrEnum):
    """How a panel is drawn."""

    LINES = "lines"
    #: Lines on top of each other: parts of a whole.
    STACKED = "stacked"
    NUMBER = "number"
    #: One bar for each series, as of now.
    BARS = "bars"
    TABLE = "table"
    #: A table whose values are conditions: True, False or Unknown.
    REASONS = "reasons"
    #: True, False and Unknown over time, one strip for each series.
    CONDITIONS = "conditions"


class Unit(StrEnum):
    """Grafana's names of units."""

    #: Of whole things.
    COUNT = "short"
    CORES = "suffix:cores"
    #: With k and M from a thousand on.
    TOKENS = "si:tok/s"
    #: With ms below one, and minutes from 60 on.
    SECONDS = "s"
    #: Of starts: their parts and their sums are read beside each other.
    ALL_SECONDS = "suffix:s"
    SHARE = "percentunit"
    BYTES = "bytes"
    REQUESTS = "reqps"
    PER_SECOND = "suffix:/s"


@dataclass(frozen=True)
class Query:
    """expr: PromQL. legend: of its series, with {{label}}; of a table, what its values are. absent: when it rightly finds nothing; "" when it must find something."""

    expr: str
    legend: str = ""
    absent: str = ""


@dataclass(frozen=True)
class Panel:
    """title: what is seen. says: what to make of it. width: of 24 columns. bad_from: the value from which a number is coloured."""

    title: str
    queries: tuple[Query, ...]
    says: str = ""
    shape: Shape = Shape.LINES
    unit: Unit = Unit.COUNT
    width: int = 8
    bad_from: float | None = None


@dataclass(frozen=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Choice:
    """A variable: what the reader picks. values: PromQL's `label_values(...)`. many: several at once, or all."""

    name: str
    label: str
    values: str
    many: bool = False


@dataclass(frozen=True)
class Dashboard:
    """uid: its address in Grafana, and its file's name."""

    uid: str
    title: str
    says: str
    rows: tuple[Row, ...]
    choices: tuple[Choice, ...] = field(default=())

    @property
    def panels(self) -> Iterator[Panel]:
        """All of them in order."""
        return (panel for row in self.rows for panel in row.panels)


#: Of InferenceServices, from the operator: it knows those too that have no pod.
NAMESPACES: Final = Choice(
    "namespace", "Namespace", 'label_values(fairlead_condition{type="Ready"}, namespace)', many=True
)
NAMESPACE: Final = Choice("namespace", "Namespace", 'label_values(fairlead_condition{type="Ready"}, namespace)')
NAME: Final = Choice(
    "name", "Service", 'label_values(fairlead_condition{type="Ready",namespace="$namespace"}, name)'
)  # fmt: skip
#: Grafana's: at least four scrapes, more when zoomed out.
RATE: Final = "$__rate_interval"
IDLE: Final = "no request has come"


def one(expr: str, legend: str = "", *, absent: str = "") -> tuple[Query, ...]:
    """A panel's only query."""
    return (Query(expr, legend, absent),)


def quantiles(histogram: str, selector: str, *, by: str = "", absent: str = IDLE) -> tuple[Query, ...]:
    """p50, p95 and p99 of a histogram. by: labels that part it beside le, each with a comma behind."""
    return tuple(
        Query(
            f"histogram_quantile({share}, sum by ({by}le) (rate({histogram}_bucket{{{selector}}}[{RATE}])))",
            f"p{round(share * 100)}",
            absent,
        )
        for share in (0.5, 0.95, 0.99)
    )
