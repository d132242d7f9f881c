"""All services at a glance: who does not serve, and who is about to be full."""

from typing import Final

from fairlead_cli.alerts.rules import ASKED
from fairlead_cli.dashboards.panels import (
    IDLE,
    NAMESPACES,
    RATE,
    Dashboard,
    Panel,
    Query,
    Row,
    Shape,
    Unit,
    one,
)

_IN: Final = 'namespace=~"$namespace"'
#: Of model pods alone: others may run a vLLM too.
_PODS: Final = f'{_IN},name!=""'
_REQUESTS: Final = f"{_PODS},{ASKED}"
_EACH: Final = "by (namespace, name)"
_NAMED: Final = "{{namespace}}/{{name}}"
_AWAKE: Final = ',reason!~"Suspended|ScaledToZero"'


def _condition(kind: str, more: str = "") -> str:
    """One series for each service, however many operators tell it."""
    return f'max {_EACH} (fairlead_condition{{type="{kind}",{_IN}{more}}})'


FLEET: Final = Dashboard(
    "fairlead-fleet",
    "fairlead / Fleet",
    "All InferenceServices: who serves, who does not and why, and where it gets tight.",
    choices=(NAMESPACES,),
    rows=(
        Row(
            "Now",
            (
                Panel("Services", one(f"count({_condition('Ready')})"), shape=Shape.NUMBER, width=4),
                Panel(
                    "Not available",
                    one(f"sum({_condition('Available', _AWAKE)} == bool 0)", absent="all are asleep"),
                    "They answer nobody, and are not asleep on purpose.",
                    Shape.NUMBER,
                    width=4,
                    bad_from=1,
                ),
                Panel(
                    "Stalled",
                    one(f"count({_condition('Stalled')} == 1) or vector(0)"),
                    "Nothing moves before somebody changes something.",
                    Shape.NUMBER,
                    width=4,
                    bad_from=1,
                ),
                Panel(
                    "Replicas",
                    tuple(
                        Query(f'sum(max {_EACH} (fairlead_replicas{{state="{state}",{_IN}}}))', state)
                        for state in ("ready", "wanted")
                    ),
                    shape=Shape.NUMBER,
                    width=4,
                ),
                Panel(
                    "Requests",
                    one(f"sum(rate(fairlead_requests_total{{{_REQUESTS}}}[{RATE}]))", absent=IDLE),
                    shape=Shape.NUMBER,
                    unit=Unit.REQUESTS,
                    width=4,
                ),
                Panel(
                    "Tokens per second",
                    one(f"sum(rate(fairlead_generated_tokens_total{{{_PODS}}}[{RATE}]))"),
                    shape=Shape.NUMBER,
                    unit=Unit.TOKENS,
                    width=4,
                ),
                Panel(
                    "Not Ready",
                    one(
                        f'max by (namespace, name, reason) (fairlead_condition{{type="Ready",{_IN}}}) < 1',
                        "Ready",
                        absent="all are Ready",
                    ),
                    "The reason's heading in the runbook has what to do; so does kubectl fairlead why NAME.",
                    Shape.REASONS,
                    width=12,
                ),
                Panel(
                    "Services by reason of Ready",
                    one(
                        f'count by (reason) (max by (namespace, name, reason) (fairlead_condition{{type="Ready",{_IN}}}))',
                        "{{reason}}",
                    ),
                    shape=Shape.STACKED,
                    width=12,
                ),
            ),
        ),
        Row(
            "Answers",
            (
                Panel(
                    "Requests",
                    one(f"sum {_EACH} (rate(fairlead_requests_total{{{_REQUESTS}}}[{RATE}]))", _NAMED, absent=IDLE),
                    "Without /health and what is on no route.",
                    unit=Unit.REQUESTS,
                ),
                Panel(
                    "Failed",
                    one(
                        # A code that nobody was answered with has no series.
                        f'(sum {_EACH} (rate(fairlead_requests_total{{code=~"5..",{_REQUESTS}}}[{RATE}]))'
                        f" or 0 * sum {_EACH} (rate(fairlead_requests_total{{{_REQUESTS}}}[{RATE}])))"
                        f" / sum {_EACH} (rate(fairlead_requests_total{{{_REQUESTS}}}[{RATE}]))",
                        _NAMED,
                        absent=IDLE,
                    ),
                    "Share of requests answered with 5xx; 503 queue_full and 504 deadlines are among them.",
                    unit=Unit.SHARE,
                ),
                Panel(
                    "First token, p95",
                    one(
                        "histogram_quantile(0.95, sum by (namespace, name, le)"
                        f" (rate(vllm:time_to_first_token_seconds_bucket{{{_PODS}}}[{RATE}])))",
                        _NAMED,
                        absent=IDLE,
                    ),
                    unit=Unit.SECONDS,
                ),
            ),
        ),
        Row(
            "Room",
            (
                Panel(
                    "Waiting",
                    one(f"sum {_EACH} (vllm:num_requests_waiting{{{_PODS}}})", _NAMED),
                    "Requests that the engines have no place for. They grow before latencies do.",
                ),
                Panel(
                    "KV cache",
                    one(f"max {_EACH} (vllm:kv_cache_usage_perc{{{_PODS}}})", _NAMED),
                    "Of the fullest pod. Full, the engine takes running requests back and computes them again.",
                    unit=Unit.SHARE,
                ),
                Panel(
                    "Engines started anew",
                    one(
                        f'sum {_EACH} (changes(process_start_time_seconds{{job="fairlead-engine",{_PODS}}}[1h]))',
                        _NAMED,
                    ),
                    "Within the last hour, in pods that stayed.",
                ),
            ),
        ),
    ),
)
