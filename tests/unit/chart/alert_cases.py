"""Series of metrics, and which alert they set off or leave silent."""

from dataclasses import dataclass, field

import pytest

from fairlead_cli.alerts.rules import ALERTS
from fairlead_runtime.guard_routes import HEALTH, OTHER

#: Of one service, one pod, one operator.
OF = 'namespace="models",name="mistral"'
POD = f'{OF},pod="mistral-a",job="fairlead-engine"'
OPERATOR = 'pod="operator-a",job="fairlead-operator"'
SERVED = {"namespace": "models", "name": "mistral"}
LOOK, STRANGE = HEALTH[1], OTHER
IN_POD = {**SERVED, "pod": "mistral-a"}
TEAM_A, TEAM_B = (f'up{{{OPERATOR},namespace="team-{team}"}}' for team in "ab")
BY_NAME = {alert.name: alert for alert in ALERTS}


def condition(kind: str, reason: str) -> str:
    return f'fairlead_condition{{{OF},type="{kind}",reason="{reason}"}}'


def requests(code: int, route: str = "/v1/completions") -> str:
    return f'fairlead_requests_total{{{POD},route="{route}",code="{code}"}}'


def reconciles(outcome: str) -> str:
    return f'fairlead_reconcile_duration_seconds_count{{{OPERATOR},outcome="{outcome}"}}'


@dataclass(frozen=True)
class Fires:
    """series: values a minute apart, as promtool writes them. labels and summary: of the alert that is told at `minute`."""

    alert: str
    series: dict[str, str]
    minute: int
    summary: str
    labels: dict[str, str] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Silent:
    """The alert is not told at `minute`."""

    alert: str
    series: dict[str, str]
    minute: int


DOWN, NOT_READY = "FairleadServiceDown", "FairleadServiceNotReady"
FIRES = [
    pytest.param(
        Fires(
            DOWN,
            {
                condition("Available", "Serving"): "1x10 stale",
                condition("Available", "Starting"): "_x11 0x5 stale",
                condition("Available", "OutOfGPUMemory"): "_x17 0x20",
            },
            25,
            "models/mistral answers nobody",
            SERVED,
            "OutOfGPUMemory",
        ),
        id="it served, and does not: a change of the reason does not begin the wait anew",
    ),
    pytest.param(
        Fires(
            NOT_READY,
            {condition("Ready", "RollingOut"): "0x60"},
            46,
            "models/mistral is not Ready",
            SERVED,
            "RollingOut",
        ),
        id="not Ready for long",
    ),
    pytest.param(
        Fires(
            "FairleadServiceStalled",
            {condition("Stalled", "InvalidSpec"): "1x20"},
            6,
            "models/mistral waits for its owner",
            SERVED,
            "InvalidSpec",
        ),
        id="stalled",
    ),
    pytest.param(
        Fires(
            "FairleadEngineFailing",
            {condition("EngineHealthy", "EngineStalled"): "0x20"},
            11,
            "An engine of models/mistral fails",
            SERVED,
            "EngineStalled",
        ),
        id="an engine fails",
    ),
    pytest.param(
        Fires(
            "FairleadAutoscalerAtMaximum",
            {condition("Autoscaled", "AtMaximum"): "1x40"},
            31,
            "models/mistral wants more replicas than maxReplicas",
            SERVED,
        ),
        id="at its bound, whatever the condition's status",
    ),
    pytest.param(
        Fires(
            "FairleadAutoscalerBlind",
            {condition("Autoscaled", "MetricsUnavailable"): "0x20"},
            11,
            "models/mistral is not scaled: its pods do not answer the operator",
            SERVED,
        ),
        id="not scaled for want of numbers",
    ),
    pytest.param(
        Fires(
            "FairleadEngineRestarts",
            {f"process_start_time_seconds{{{POD}}}": "100x5 700x5 1400x5 2100x5"},
            20,
            "The engine in mistral-a was started anew 3 times within an hour",
            IN_POD,
        ),
        id="three starts more",
    ),
    pytest.param(
        Fires(
            "FairleadKVCacheFull",
            {f"vllm:kv_cache_usage_perc{{{POD}}}": "0.99x30"},
            20,
            "The KV cache of mistral-a is 99% full",
            IN_POD,
        ),
        id="full",
    ),
    pytest.param(
        Fires(
            "FairleadRequestsWait",
            {f"vllm:num_requests_waiting{{{POD}}}": "0+1x60"},
            40,
            "More and more requests wait in models/mistral: 35 on average",
            SERVED,
        ),
        id="one more each minute",
    ),
    pytest.param(
        Fires(
            "FairleadRequestsFail",
            {requests(200): "0+90x30", requests(503): "0+10x30"},
            21,
            "10% of the requests to models/mistral fail",
            SERVED,
        ),
        id="one in ten fails",
    ),
    pytest.param(
        Fires(
            "FairleadRequestsFail",
            {requests(200, LOOK): "0+95x30", requests(404, STRANGE): "0+95x30", requests(500): "0+4x30"},
            21,
            "100% of the requests to models/mistral fail",
            SERVED,
        ),
        id="all fail, while proxies look whether it is well and strangers what there is",
    ),
    pytest.param(
        Fires("FairleadEngineSilent", {f"up{{{POD}}}": "0x30"}, 16, "mistral-a gives no metrics", IN_POD),
        id="no scrape",
    ),
    pytest.param(
        Fires(
            "FairleadOperatorDown",
            {f"up{{{OPERATOR}}}": "1x5 0x20"},
            17,
            "No fairlead operator answers Prometheus",
        ),
        id="the operator does not answer",
    ),
    pytest.param(
        Fires("FairleadOperatorDown", {}, 11, "No fairlead operator answers Prometheus"),
        id="there is no operator",
    ),
    pytest.param(
        Fires(
            "FairleadOperatorDown",
            {TEAM_A: "1x20", TEAM_B: "0x20"},
            11,
            "No fairlead operator answers Prometheus",
            {"namespace": "team-b"},
        ),
        id="one of two installations does not answer",
    ),
    pytest.param(
        Fires(
            "FairleadOperatorDown",
            {TEAM_A: "1x40", TEAM_B: "1x5 stale"},
            17,
            "No fairlead operator answers Prometheus",
            {"namespace": "team-b"},
        ),
        id="one of two installations has no pod any more",
    ),
    pytest.param(
        Fires("FairleadOperatorDown", {TEAM_A: "1x5 stale"}, 17, "No fairlead operator answers Prometheus"),
        id="the only installation has no pod any more: told once",
    ),
    pytest.param(
        Fires("FairleadOperatorDown", {TEAM_A: "1x5 stale"}, 90, "No fairlead operator answers Prometheus"),
        id="and told for as long as it has none",
    ),
    pytest.param(
        Fires("FairleadNoLeader", {f"fairlead_leader{{{OPERATOR}}}": "0x20"}, 6, "No fairlead operator leads"),
        id="nobody leads",
    ),
    pytest.param(
        Fires(
            "FairleadNoLeader",
            {
                f'fairlead_leader{{{OPERATOR},namespace="team-a"}}': "1x20",
                f'fairlead_leader{{{OPERATOR},namespace="team-b"}}': "0x20",
            },
            6,
            "No fairlead operator leads",
            {"namespace": "team-b"},
        ),
        id="nobody leads one of two installations",
    ),
    pytest.param(
        Fires(
            "FairleadReconcilesFail",
            {reconciles("Done"): "0+60x40", reconciles("Failed"): "0+20x40"},
            30,
            "25% of the operator's reconciles fail",
        ),
        id="a quarter fails",
    ),
    pytest.param(
        Fires(
            "FairleadQueueLong",
            {f"fairlead_workqueue_depth{{{OPERATOR}}}": "50x40", f"fairlead_leader{{{OPERATOR}}}": "1x40"},
            25,
            "50 services wait for a worker of the operator",
        ),
        id="a long queue",
    ),
    pytest.param(
        Fires(
            "FairleadOperatorForbidden",
            {f'fairlead_api_requests_total{{{OPERATOR},verb="apply",resource="services",code="403"}}': "1+1x40"},
            30,
            "The operator may not apply services",
            {"verb": "apply", "resource": "services"},
        ),
        id="a right is missing",
    ),
    pytest.param(
        Fires(
            "FairleadPodsUnreachable",
            {f"fairlead_engine_polls_failed_total{{{OPERATOR}}}": "0+2x60"},
            35,
            "Pods do not answer the operator on port 9090",
        ),
        id="pods do not answer",
    ),
    pytest.param(
        Fires(
            "FairleadWatchesBreak",
            {f"fairlead_watch_restarts_total{{{OPERATOR}}}": "0+1x60"},
            45,
            "The operator's watches break again and again",
            {"pod": "operator-a"},
        ),
        id="a break each minute",
    ),
]
SILENT = [
    pytest.param(Silent(DOWN, {condition("Available", "Starting"): "0x60"}, 50), id="it has never served"),
    pytest.param(
        Silent(
            DOWN,
            {condition("Available", "Serving"): "1x10 stale", condition("Available", "Suspended"): "_x11 0x60"},
            60,
        ),
        id="suspended on purpose",
    ),
    pytest.param(
        Silent(DOWN, {condition("Available", "Serving"): "1x10 0x5 1x60"}, 40), id="away for five minutes only"
    ),
    pytest.param(Silent(NOT_READY, {condition("Ready", "AllReplicasReady"): "1x60"}, 50), id="Ready"),
    pytest.param(Silent(NOT_READY, {condition("Ready", "Starting"): "0x40 1x20"}, 50), id="a long start"),
    pytest.param(Silent("FairleadServiceStalled", {condition("Reconciling", "RollingOut"): "1x20"}, 15), id="it moves"),
    pytest.param(
        Silent("FairleadEngineFailing", {condition("EngineHealthy", "NoFailure"): "1x20"}, 15), id="healthy engines"
    ),
    pytest.param(
        Silent("FairleadAutoscalerAtMaximum", {condition("Autoscaled", "ScalingActive"): "1x60"}, 50), id="it scales"
    ),
    pytest.param(
        Silent("FairleadAutoscalerBlind", {condition("Autoscaled", "AtMaximum"): "1x60"}, 50), id="it sees its pods"
    ),
    pytest.param(
        Silent("FairleadEngineRestarts", {f"process_start_time_seconds{{{POD}}}": "100x5 700x60"}, 30), id="one restart"
    ),
    pytest.param(
        Silent(
            "FairleadEngineRestarts",
            {'process_start_time_seconds{job="other",pod="x"}': "1+1x60"},
            30,
        ),
        id="somebody else's restarts",
    ),
    pytest.param(
        Silent("FairleadKVCacheFull", {f"vllm:kv_cache_usage_perc{{{POD}}}": "0.5x10 1x3 0.5x20"}, 25),
        id="full for a moment",
    ),
    pytest.param(
        Silent("FairleadKVCacheFull", {'vllm:kv_cache_usage_perc{pod="bare-vllm"}': "1x30"}, 25),
        id="a vLLM of somebody else",
    ),
    pytest.param(
        Silent("FairleadRequestsWait", {f"vllm:num_requests_waiting{{{POD}}}": "20x60"}, 50), id="a steady queue"
    ),
    pytest.param(
        Silent("FairleadRequestsWait", {f"vllm:num_requests_waiting{{{POD}}}": "0x20 0+0.1x40"}, 50),
        id="a short queue grows",
    ),
    pytest.param(
        Silent("FairleadRequestsFail", {requests(200): "0+99x30", requests(503): "0+1x30"}, 25),
        id="one in a hundred fails",
    ),
    pytest.param(
        Silent("FairleadRequestsFail", {requests(200): "0+99x30", requests(503, LOOK): "0+95x30"}, 25),
        id="it serves, and is not well for those who ask that alone",
    ),
    pytest.param(Silent("FairleadRequestsFail", {requests(400): "0+99x30"}, 25), id="the callers' own mistakes"),
    pytest.param(Silent("FairleadEngineSilent", {f"up{{{POD}}}": "1x10 0x5 1x20"}, 25), id="a pod that starts"),
    pytest.param(Silent("FairleadOperatorDown", {f"up{{{OPERATOR}}}": "1x60"}, 50), id="the operator answers"),
    pytest.param(
        Silent(
            "FairleadOperatorDown",
            {TEAM_A: "1x40", TEAM_B: "1x5 stale", TEAM_B.replace("operator-a", "operator-b"): "_x8 1x40"},
            30,
        ),
        id="another pod took its place",
    ),
    pytest.param(
        Silent("FairleadOperatorDown", {TEAM_A: "1x90", TEAM_B: "1x5 stale"}, 80),
        id="one of two installations was uninstalled over an hour ago",
    ),
    pytest.param(
        Silent(
            "FairleadNoLeader",
            {f"fairlead_leader{{{OPERATOR}}}": "0x60", 'fairlead_leader{pod="operator-b"}': "1x60"},
            50,
        ),
        id="the other one leads",
    ),
    pytest.param(
        Silent("FairleadReconcilesFail", {reconciles("Done"): "0+60x40", reconciles("Failed"): "0+1x40"}, 35),
        id="one in sixty fails",
    ),
    pytest.param(
        Silent(
            "FairleadQueueLong",
            {f"fairlead_workqueue_depth{{{OPERATOR}}}": "900x40", f"fairlead_leader{{{OPERATOR}}}": "0x40"},
            35,
        ),
        id="the standby's queue, which nobody works off",
    ),
    pytest.param(
        Silent(
            "FairleadOperatorForbidden",
            {f'fairlead_api_requests_total{{{OPERATOR},verb="apply",resource="services",code="200"}}': "1+1x40"},
            30,
        ),
        id="it may",
    ),
    pytest.param(
        Silent("FairleadPodsUnreachable", {f"fairlead_engine_polls_failed_total{{{OPERATOR}}}": "0x10 20x50"}, 35),
        id="some pods ended",
    ),
    pytest.param(
        Silent("FairleadWatchesBreak", {f"fairlead_watch_restarts_total{{{OPERATOR}}}": "0x10 3x50"}, 35),
        id="a few breaks",
    ),
]
