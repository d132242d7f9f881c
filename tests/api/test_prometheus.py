"""Every query of the dashboards and every alert, asked of a real Prometheus that scrapes a real operator and a real runtime.

The engine in the runtime is scripted; tests/engine looks for the same names in a real one.
"""

import asyncio
import re
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from api import pods
from api.access import SYSTEM
from api.cluster import Kubectl, Manifest, eventually, service
from api.engines import engine
from api.operators import OperatorProcess
from api.prometheus import Prometheus, Target, prometheus, scraped
from fairlead_cli.alerts.rules import ALERTS
from fairlead_cli.dashboards import DASHBOARDS
from fairlead_cli.dashboards.panels import RATE, Panel, Query
from fairlead_operator.core import names
from serving.client import once
from serving.process import Runtime, running
from unit.chart.test_chart import only, rendered

MONITORING = tuple(f"monitoring.coreos.com/v1/{kind}" for kind in ("PodMonitor", "PrometheusRule"))
#: In which two scrapes lie on a busy machine.
WINDOW = "30s"
#: Why a panel may be empty here; whatever else leaves one empty is provoked.
EMPTY_HERE = ("spec.engine.speculative is not set", "no engine compiles", "all were answered well")
#: Only there when an engine guesses, or compiles.
RARE = ("vllm:spec_decode_", "fairlead_compile_cache_hit")
SELECTOR = re.compile(r"((?:fairlead_|vllm:|process_)\w+|\bup\b)(?:\{([^}]*)\})?")
EXPRESSIONS = [
    *(
        pytest.param(query.expr, id=f"{board.uid}, {panel.title}, {number}")
        for board in DASHBOARDS
        for panel in board.panels
        for number, query in enumerate(panel.queries)
    ),
    *(pytest.param(alert.expr, id=alert.name) for alert in ALERTS),
]
PANELS = [
    pytest.param(panel, query, id=f"{board.uid}, {panel.title}, {number}")
    for board in DASHBOARDS
    for panel in board.panels
    for number, query in enumerate(panel.queries)
]


@pytest.fixture(scope="module")
def namespace(admin: Kubectl) -> Kubectl:
    return admin.within("prometheus")


@pytest.fixture(scope="module")
def scraping(
    namespace: Kubectl, operator: OperatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """One service that serves and one that its user must change; the runtime has answered some requests."""
    folder = tmp_path_factory.mktemp("prometheus")
    with ExitStack() as stack:
        runtime = stack.enter_context(running(folder))
        stub = stack.enter_context(engine(startup={"imported": 4.0, "ready": 9.0}))
        namespace.apply(service())
        namespace.apply(service("denied", engine={"extraArgs": ["--api-key=x"]}))
        pod = pods.make(namespace, "mistral", "a")
        stub.serve(namespace, pod)
        pods.report(namespace, "mistral", 1, 1)
        told = f'fairlead_replica_startup_seconds{{name="mistral",namespace="{namespace.namespace}",pod="{pod}",step="ready"}}'
        eventually(lambda: operator.metric(told), "the start in the service's status")
        manifests = rendered(apis=MONITORING)
        targets = [
            Target(found(namespace, pod), names.CONTAINER, names.PORT_MANAGEMENT, f"127.0.0.1:{runtime.management}"),
            Target(operator_pod(manifests), "operator", "health", f"127.0.0.1:{operator.port}"),
        ]
        configs = [
            config for m in manifests if m["kind"] == "PodMonitor" for config in scraped(m, targets)
        ]  # fmt: skip
        started = stack.enter_context(prometheus(folder, configs, only(manifests, "PrometheusRule")))
        eventually(lambda: len(started.vector("up == 1")) == 2, "both targets")
        eventually(lambda: answered(runtime, started), "an increase between two scrapes")
        yield started


def answered(runtime: Runtime, scraping: Prometheus) -> bool:
    """Asks once more, and whether Prometheus has seen requests come."""
    asyncio.run(used(runtime))
    rate = f'rate(fairlead_request_duration_seconds_count{{route="/v1/completions"}}[{WINDOW}])'
    return bool(scraping.vector(f"{rate} > 0"))


def found(kubectl: Kubectl, pod: str) -> Manifest:
    manifest = kubectl.get("pod", pod)
    assert manifest is not None
    return manifest


def operator_pod(manifests: list[Manifest]) -> Manifest:
    template = only(manifests, "Deployment")["spec"]["template"]
    return {"metadata": {"namespace": SYSTEM, "name": "operator-a", "labels": template["metadata"]["labels"]}}


async def used(runtime: Runtime) -> None:
    """Answers, a stream, and a route that is not on the list."""
    body = {"prompt": "a b c", "max_tokens": 5}
    for _ in range(3):
        assert (await once(runtime.port, "/v1/completions", body)).status == 200
        assert (await once(runtime.port, "/v1/completions", {**body, "stream": True})).status == 200
        assert (await once(runtime.port, "/v1/nowhere", body)).status == 404


def asked(expr: str, namespace: str) -> str:
    """With what a reader would have chosen."""
    chosen = {RATE: WINDOW, "$namespace": namespace, "$name": "mistral"}
    for variable, value in chosen.items():
        expr = expr.replace(variable, value)
    assert "$" not in expr
    return expr


@pytest.mark.parametrize(("panel", "query"), PANELS)
def test_a_panel_shows_something(scraping: Prometheus, namespace: Kubectl, panel: Panel, query: Query) -> None:
    expr = asked(query.expr, namespace.namespace)
    if query.absent.startswith(EMPTY_HERE):
        shown = scraping.vector(expr)
    else:  # a scrape that takes too long on a busy machine leaves no value until the next one
        shown = eventually(lambda: scraping.vector(expr), f"{panel.title} shows something")
    grouped = re.match(r"(?:sum|max|avg|count) by \(([^)]*)\)", query.expr)
    wanted = {*re.findall(r"\{\{(\w+)\}\}", query.legend), *(grouped[1].split(", ") if grouped else ())}
    for series in shown:
        assert wanted <= series["metric"].keys()


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_what_it_asks_for_exists_with_these_labels(scraping: Prometheus, namespace: Kubectl, expr: str) -> None:
    scraping.vector(asked(expr, namespace.namespace))

    for metric, matchers in SELECTOR.findall(expr):
        if metric.startswith(RARE):
            continue
        for label in re.findall(r"(\w+)[=!]", matchers) or ["job"]:
            selector = f'{metric}{{{label}!=""}}'
            eventually(partial(scraping.vector, selector), f"a {metric} with {label}")


@pytest.mark.parametrize(
    ("board", "choice"),
    [
        pytest.param(board.uid, choice.values, id=f"{board.uid}, {choice.name}")
        for board in DASHBOARDS
        for choice in board.choices
    ],
)
def test_a_reader_can_choose(scraping: Prometheus, namespace: Kubectl, board: str, choice: str) -> None:
    query = re.fullmatch(r"label_values\((.+), (\w+)\)", asked(choice, namespace.namespace))
    assert query is not None
    selector, label = query.groups()

    values = scraping.get(f"/api/v1/label/{label}/values", match=selector)

    assert (namespace.namespace if label == "namespace" else "mistral") in values


def test_a_service_has_the_same_names_whoever_tells_of_it(scraping: Prometheus, namespace: Kubectl) -> None:
    """The operator runs in another namespace than its services."""
    of = f'namespace="{namespace.namespace}",name="mistral"'

    # A scrape that takes too long makes everything of its target stale until the next.
    told = f'fairlead_condition{{type="Ready",{of},job="fairlead-operator"}}'
    eventually(lambda: scraping.vector(told), "the operator's word")
    counted = f'vllm:num_requests_running{{{of},job="fairlead-engine"}}'
    eventually(lambda: scraping.vector(counted), "the engine's word")
    assert not scraping.vector('{__name__=~"fairlead_.+",exported_namespace!=""}')


def rules(scraping: Prometheus) -> dict[str, Any]:
    return {rule["name"]: rule for group in scraping.get("/api/v1/rules")["groups"] for rule in group["rules"]}


def test_every_alert_is_evaluated_and_that_of_the_denied_service_waits(scraping: Prometheus) -> None:
    def waiting() -> list[Any]:
        return [
            alert
            for alert in rules(scraping)["FairleadServiceStalled"]["alerts"]
            if alert["labels"]["name"] == "denied"
        ]

    (alert,) = eventually(waiting, "the alert")
    told = rules(scraping)

    assert told.keys() == {alert.name for alert in ALERTS}
    assert {name: rule["lastError"] for name, rule in told.items() if rule.get("lastError")} == {}
    assert {rule["health"] for rule in told.values()} == {"ok"}
    assert alert["state"] == "pending"
    assert alert["annotations"]["description"].endswith("Reason: DeniedArgument.")
