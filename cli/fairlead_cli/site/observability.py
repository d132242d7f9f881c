"""The tables and pictures in docs/observability.md, from the code that has the metrics, the dashboards and the alerts. `make generate`."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.parser import text_string_to_metric_families

from fairlead_cli.alerts.rules import ALERTS
from fairlead_cli.benchmarks_page import table
from fairlead_cli.dashboards import DASHBOARDS
from fairlead_operator.controller.metrics import Metrics as OperatorMetrics
from fairlead_operator.controller.metrics import StoreCollector
from fairlead_operator.controller.store import Store
from fairlead_runtime.lifecycle import Phase, PhaseReached
from fairlead_runtime.metrics import Metrics as PodMetrics
from fairlead_runtime.reports import Reports

PAGE: Final = Path("docs/observability.md")
_BLOCK: Final = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_ENGINE_METRIC: Final = re.compile(r"vllm:\w+")
_CACHED: Final = "(EngineCore pid=1) INFO Directly load the compiled graph"


def filled(page: str) -> str:
    """The page with each block made anew. Raises KeyError for a block that nobody makes."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{BLOCKS[block[2]]()}\n\n{block[3]}", page)


def operator_metrics() -> Iterator[tuple[str, str]]:
    """Names with labels, and help texts."""
    metrics = OperatorMetrics()
    yield from _families([*_wrapped(metrics), *StoreCollector(Store(), lambda: 0).collect()])
    yield "`process_*`", "The operator's process: memory, processor, open files, start."


def pod_metrics() -> Iterator[tuple[str, str]]:
    """Likewise; the supervisor's are told by itself as text."""
    registry = CollectorRegistry()
    metrics = PodMetrics(registry)
    tokens = (family for family in registry.collect() if family.name == "fairlead_generated_tokens")
    yield from _families([*_wrapped(metrics), *tokens])
    reports = Reports()
    reports.read(_CACHED)
    reports.take(PhaseReached(Phase.LOADING))
    yield from _families(text_string_to_metric_families(reports.startup_metrics()))
    yield "`process_*`, `python_*`", "The process of HTTP server and engine front end."


def _wrapped(metrics: object) -> Iterator[object]:
    return (each for each in vars(metrics).values() if hasattr(each, "_labelnames"))


def _families(metrics: Iterable[object]) -> Iterator[tuple[str, str]]:
    for metric in metrics:
        (family,) = [metric] if isinstance(metric, Metric) else metric.describe()  # type: ignore[attr-defined]
        labels = getattr(metric, "_labelnames", ()) or {name: "" for each in family.samples for name in each.labels}
        ending = "_total" if family.type == "counter" else ""
        told = f"{{{','.join(labels)}}}" if labels else ""
        yield f"`{family.name}{ending}{told}`", family.documentation


def engine_metrics() -> list[str]:
    """vLLM's names in any query, without a histogram's endings."""
    queries = [query.expr for board in DASHBOARDS for panel in board.panels for query in panel.queries]
    queries += [alert.expr for alert in ALERTS]
    found = {name for query in queries for name in _ENGINE_METRIC.findall(query)}
    return sorted({re.sub(r"_(bucket|count|sum)$", "", name) for name in found})


def _dashboards() -> str:
    return table(
        ("dashboard", "shows", "panels"),
        [
            (board.title, board.says, "; ".join(panel.title for panel in board.panels))
            for board in DASHBOARDS
        ],
    )  # fmt: skip


def _pictures() -> str:
    """Each links to itself: on the page it is smaller than it is."""
    shown = [f"![{board.title}](img/{board.uid}.webp)" for board in DASHBOARDS]
    return "\n\n".join(f"[{picture}](img/{board.uid}.webp)" for board, picture in zip(DASHBOARDS, shown, strict=True))


def _alerts() -> str:
    return table(
        ("alert", "severity", "after", "means"),
        [
            (f"[{alert.name}](runbook.md#{alert.anchor})", str(alert.severity), alert.lasts, alert.means)
            for alert in ALERTS
        ],
    )


BLOCKS: Final[Mapping[str, Callable[[], str]]] = {
    "operator": lambda: table(("metric", "says"), list(operator_metrics())),
    "pod": lambda: table(("metric", "says"), list(pod_metrics())),
    "engine": lambda: ", ".join(f"`{name}`" for name in engine_metrics()) + ".",
    "dashboards": _dashboards,
    "pictures": _pictures,
    "alerts": _alerts,
}

if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.write_text(filled(target.read_text(encoding="utf-8")), encoding="utf-8")
