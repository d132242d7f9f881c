"""When somebody is told, of what, and where it is written what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

#: Stands for the value prometheusRules.runbook of the chart.
RUNBOOK: Final = "$RUNBOOK"
#: What is asked of a model. Proxies that look at /health, and strangers at what is on no route, would hide how many of these fail.
ASKED: Final = 'route!~"/health|other"'


class Severity(StrEnum):
    """critical: users are hurt, wake somebody. warning: they will be, or somebody waits; office hours."""

    CRITICAL = "critical"
    WARNING = "warning"


@dataclass(frozen=True)
class Alert:
    """One rule. lasts: Prometheus' `for`. reason_of: the condition whose reason is told. means, do: for the runbook, in sentences."""

    name: str
    expr: str
    lasts: str
    severity: Severity
    summary: str
    means: str
    do: str
    reason_of: str = ""

    @property
    def anchor(self) -> str:
        """Of its heading in the runbook."""
        return self.name.lower()

    @property
    def rule(self) -> dict[str, Any]:
        """As Prometheus reads it."""
        told = f"{self.means} {_reason(self.reason_of)}" if self.reason_of else self.means
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.lasts,
            "labels": {"severity": str(self.severity)},
            "annotations": {
                "summary": self.summary,
                "description": told,
                "runbook_url": f"{RUNBOOK}#{self.anchor}",
            },
        }


def _reason(condition: str) -> str:
    """Asked for when the alert is told: as a label of the alert, each change of the reason would begin its `for` anew."""
    selector = f'fairlead_condition{{type=\\"{condition}\\",namespace=\\"%s\\",name=\\"%s\\"}}'
    asked = f'printf "{selector}" $labels.namespace $labels.name | query'
    return f'Reason: {{{{ with {asked} }}}}{{{{ . | first | label "reason" }}}}{{{{ end }}}}.'


_SERVICE: Final = "{{ $labels.namespace }}/{{ $labels.name }}"
_EACH: Final = "by (namespace, name)"
_ASLEEP: Final = 'reason!~"Suspended|ScaledToZero"'
#: Of model pods alone: others may run a vLLM too.
_OURS: Final = 'name!=""'
_ENGINES: Final = 'job="fairlead-engine"'
_OPERATOR: Final = 'job="fairlead-operator"'

SERVICES: Final = (
    Alert(
        "FairleadServiceDown",
        f'max {_EACH} (fairlead_condition{{type="Available",{_ASLEEP}}}) == 0'
        f' and max {_EACH} (max_over_time(fairlead_condition{{type="Available"}}[1d])) == 1',
        "10m",
        Severity.CRITICAL,
        f"{_SERVICE} answers nobody",
        "It served within the last day and has not for ten minutes. It is not asleep on purpose.",
        "Run `kubectl fairlead why NAME`; the reason has a section above. A service that was just woken may only be starting: its start is longer than ten minutes.",
        "Available",
    ),
    Alert(
        "FairleadServiceNotReady",
        f'max {_EACH} (fairlead_condition{{type="Ready"}}) < 1',
        "45m",
        Severity.WARNING,
        f"{_SERVICE} is not Ready",
        "For 45 minutes, longer than a start may take by default, not every wanted replica has run the wanted spec. It may serve meanwhile: Available says so.",
        "Run `kubectl fairlead why NAME`; the reason has a section above. A rollout of many replicas may rightly take longer.",
        "Ready",
    ),
    Alert(
        "FairleadServiceStalled",
        f'max {_EACH} (fairlead_condition{{type="Stalled"}}) == 1',
        "5m",
        Severity.WARNING,
        f"{_SERVICE} waits for its owner",
        "Nothing moves before somebody changes the spec or what it refers to.",
        "Tell the service's owner the message of condition Stalled: it names the field and the value. The reason has a section above.",
        "Stalled",
    ),
    Alert(
        "FairleadEngineFailing",
        f'max {_EACH} (fairlead_condition{{type="EngineHealthy"}}) == 0',
        "10m",
        Severity.WARNING,
        f"An engine of {_SERVICE} fails",
        "An engine failed and has not recovered, or was restarted three times without ten minutes of service.",
        "Run `kubectl fairlead why NAME`: it has the engine's own words. An engine that stalled or died is restarted by itself; one that does so again and again is not cured by it.",
        "EngineHealthy",
    ),
    Alert(
        "FairleadAutoscalerAtMaximum",
        f'max {_EACH} (fairlead_condition{{type="Autoscaled",reason="AtMaximum"}}) >= -1',
        "30m",
        Severity.WARNING,
        f"{_SERVICE} wants more replicas than maxReplicas",
        "The load has asked for more replicas than the bound for half an hour; requests wait.",
        "Raise `spec.autoscaling.maxReplicas`, or accept the waiting. See [AtMaximum](#atmaximum).",
    ),
    Alert(
        "FairleadAutoscalerBlind",
        f'max {_EACH} (fairlead_condition{{type="Autoscaled",reason="MetricsUnavailable"}}) >= -1',
        "10m",
        Severity.WARNING,
        f"{_SERVICE} is not scaled: its pods do not answer the operator",
        "No Ready pod answers the operator on port 9090, so the number of replicas stays as it is.",
        "Let the operator's namespace reach the pods' port 9090. See [MetricsUnavailable](#metricsunavailable).",
    ),
)
ENGINES: Final = (
    Alert(
        "FairleadEngineRestarts",
        f"sum by (namespace, name, pod) (changes(process_start_time_seconds{{{_ENGINES}}}[1h])) > 2",
        "1m",
        Severity.WARNING,
        "The engine in {{ $labels.pod }} was started anew {{ $value }} times within an hour",
        "The container ended and was started again by the kubelet, in the same pod.",
        "Run `kubectl fairlead logs NAME --previous`, and look at `status.lastFailure`: its code has a section above.",
    ),
    Alert(
        "FairleadKVCacheFull",
        f"max by (namespace, name, pod) (avg_over_time(vllm:kv_cache_usage_perc{{{_OURS}}}[10m])) > 0.95",
        "10m",
        Severity.WARNING,
        "The KV cache of {{ $labels.pod }} is {{ $value | humanizePercentage }} full",
        "The engine takes running requests back and computes them again: latencies grow and throughput falls.",
        "More replicas, a smaller `spec.engine.maxNumSeqs` or `maxModelLen`, or more memory for the cache: `gpuMemoryUtilizationPercent`, `kvCacheDtype: fp8`.",
    ),
    Alert(
        "FairleadRequestsWait",
        f"sum {_EACH} (avg_over_time(vllm:num_requests_waiting{{{_OURS}}}[10m])) > 5"
        f" and sum {_EACH} (avg_over_time(vllm:num_requests_waiting{{{_OURS}}}[10m]))"
        f" > 1.2 * sum {_EACH} (avg_over_time(vllm:num_requests_waiting{{{_OURS}}}[10m] offset 10m))",
        "5m",
        Severity.WARNING,
        f"More and more requests wait in {_SERVICE}: {{{{ $value | humanize }}}} on average",
        "More requests wait than ten minutes ago: it is asked for more than it computes.",
        "More replicas, or `spec.autoscaling`. Where the KV cache has room, a larger `spec.engine.maxNumSeqs`. `spec.serving.maxQueuedRequests` sends away what would wait too long.",
    ),
    Alert(
        "FairleadRequestsFail",
        f'sum {_EACH} (rate(fairlead_requests_total{{code=~"5..",{ASKED}}}[10m]))'
        f" / sum {_EACH} (rate(fairlead_requests_total{{{ASKED}}}[10m])) > 0.05",
        "10m",
        Severity.CRITICAL,
        f"{{{{ $value | humanizePercentage }}}} of the requests to {_SERVICE} fail",
        "More than one request in twenty was answered with a status of 500 or above. `/health` does not count.",
        "See which status on the service's dashboard, and [what each means](operations.md#requests-fail-while-all-is-ready). 503 `queue_full` and 504 are load, 500 is the engine.",
    ),
    Alert(
        "FairleadEngineSilent",
        f"min by (namespace, name, pod) (up{{{_ENGINES}}}) == 0",
        "15m",
        Severity.WARNING,
        "{{ $labels.pod }} gives no metrics",
        "Prometheus cannot read port 9090 of a pod that runs. The supervisor answers there from the first second to the last.",
        "Most often a NetworkPolicy: let Prometheus' namespace reach port 9090. A pod whose node is lost looks the same, and one whose "
        "container does not stay up.",
    ),
)
OPERATOR: Final = (
    Alert(
        "FairleadOperatorDown",
        # One namespace, one installation: where there are several, each is told. One that has no pod has no `up` either, so that only
        # the last hour knows of it, while another one is there; not a day, or one that was uninstalled would be told for as long.
        f"max by (namespace) (up{{{_OPERATOR}}}) == 0"
        f" or (max by (namespace) (max_over_time(up{{{_OPERATOR}}}[1h])) unless max by (namespace) (up{{{_OPERATOR}}}))"
        f" and on () max(up{{{_OPERATOR}}})"
        f" or absent(max(up{{{_OPERATOR}}}))",
        "10m",
        Severity.CRITICAL,
        "No fairlead operator answers Prometheus",
        "Models serve, and Kubernetes replaces pods that die. Nothing is rolled out, scaled or told.",
        "See [the operator is down](operations.md#the-operator-is-down). Of several installations one without a pod is told for an hour, also "
        "when it was uninstalled; the last one until it is back.",
    ),
    Alert(
        "FairleadNoLeader",
        "sum by (namespace) (fairlead_leader) == 0",
        "5m",
        Severity.CRITICAL,
        "No fairlead operator leads",
        "Operators run, and none of them holds the Lease: nothing is rolled out, scaled or told. Models serve.",
        "See who holds it, `kubectl -n fairlead-system get lease fairlead-operator -o yaml`, and the operators' logs: the API server does not answer them, or their rights to the Lease are gone.",
    ),
    Alert(
        "FairleadReconcilesFail",
        'sum(rate(fairlead_reconcile_duration_seconds_count{outcome="Failed"}[10m]))'
        " / sum(rate(fairlead_reconcile_duration_seconds_count[10m])) > 0.1",
        "15m",
        Severity.WARNING,
        "{{ $value | humanizePercentage }} of the operator's reconciles fail",
        "Each is tried again, later each time. Specs that are wrong are not among them: those are Rejected.",
        "The operator's log has a line with `outcome: Failed` and `why` for each: most often the API server's answer, which the service's condition `UpToDate` tells as `WriteFailed` once it lasts; otherwise a defect to be reported.",
    ),
    Alert(
        "FairleadQueueLong",
        "max(min_over_time(fairlead_workqueue_depth[10m]) and on (pod) fairlead_leader == 1) > 20",
        "10m",
        Severity.WARNING,
        "{{ $value }} services wait for a worker of the operator",
        "Changes are carried out late.",
        "Look at the operator's dashboard: slow answers of the API server, or too few `workers` in the chart's values.",
    ),
    Alert(
        "FairleadOperatorForbidden",
        'sum by (verb, resource) (increase(fairlead_api_requests_total{code="403"}[15m])) > 0',
        "15m",
        Severity.WARNING,
        "The operator may not {{ $labels.verb }} {{ $labels.resource }}",
        "The API server refuses a request of the operator, again and again.",
        "A quota or an admission policy refuses children of a service, which its conditions tell; or the Role is not the chart's: upgrade the chart together with the image.",
    ),
    Alert(
        "FairleadPodsUnreachable",
        "sum(rate(fairlead_engine_polls_failed_total[10m])) > 0.02",
        "20m",
        Severity.WARNING,
        "Pods do not answer the operator on port 9090",
        "Numbers in statuses stand still, and what is scaled by them is not scaled.",
        "Let the operator's namespace reach the pods' port 9090. Events EngineUnreachable name the pods.",
    ),
    Alert(
        "FairleadWatchesBreak",
        "sum by (pod) (increase(fairlead_watch_restarts_total[30m])) > 5",
        "10m",
        Severity.WARNING,
        "The operator's watches break again and again",
        "After each break everything is listed anew: the operator reacts late, and the API server has more to do.",
        "Look at the API server and what lies between; the operator's log has each break's cause.",
    ),
)
GROUPS: Final[Mapping[str, tuple[Alert, ...]]] = {
    "fairlead.services": SERVICES,
    "fairlead.engines": ENGINES,
    "fairlead.operator": OPERATOR,
}
ALERTS: Final = (*SERVICES, *ENGINES, *OPERATOR)


def groups() -> dict[str, Any]:
    """The content of a rules file, and of a PrometheusRule's spec."""
    return {"groups": [{"name": name, "rules": [alert.rule for alert in alerts]} for name, alerts in GROUPS.items()]}
