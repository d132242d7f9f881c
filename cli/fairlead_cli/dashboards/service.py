"""One service: its conditions, what its users see, and how busy its engines are."""

from typing import Final

from fairlead_cli.alerts.rules import ASKED
from fairlead_cli.dashboards.panels import (
    IDLE,
    NAME,
    NAMESPACE,
    RATE,
    Dashboard,
    Panel,
    Query,
    Row,
    Shape,
    Unit,
    one,
    quantiles,
)

_OF: Final = 'namespace="$namespace",name="$name"'
#: A proxy's looks are no requests. What is on no route stays: whoever is told 404 looks for it here.
_NO_HEALTH: Final = ',route!="/health"'
_POD: Final = "{{pod}}"


def _rate(metric: str, by: str, more: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{{_OF}{more}}}[{RATE}]))"


SERVICE: Final = Dashboard(
    "fairlead-service",
    "fairlead / One service",
    "One InferenceService: its conditions, what its users see, and how busy its engines are.",
    choices=(NAMESPACE, NAME),
    rows=(
        Row(
            "State",
            (
                Panel(
                    "Conditions",
                    one(f"max by (type) (fairlead_condition{{{_OF}}})", "{{type}}"),
                    "Stalled and Reconciling exist only while they are True.",
                    Shape.CONDITIONS,
                    width=9,
                ),
                Panel(
                    "Reasons",
                    one(f"max by (type, reason) (fairlead_condition{{{_OF}}})", "status"),
                    "The reason's heading in the runbook has what to do.",
                    Shape.REASONS,
                    width=9,
                ),
                Panel(
                    "Replicas",
                    one(f"max by (state) (fairlead_replicas{{{_OF}}})", "{{state}}"),
                    width=6,
                ),
            ),
        ),
        Row(
            "What users see",
            (
                Panel(
                    "Requests by status",
                    one(_rate("fairlead_requests_total", "code", _NO_HEALTH), "{{code}}", absent=IDLE),
                    "Without /health; 404 is also what is on no route.",
                    Shape.STACKED,
                    Unit.REQUESTS,
                ),
                Panel(
                    "First token",
                    quantiles("vllm:time_to_first_token_seconds", _OF),
                    "Waiting and prefill.",
                    unit=Unit.SECONDS,
                ),
                Panel(
                    "Between tokens",
                    quantiles("vllm:inter_token_latency_seconds", _OF),
                    "The pace of a stream.",
                    unit=Unit.SECONDS,
                ),
                Panel(
                    "Whole answers",
                    quantiles("fairlead_request_duration_seconds", f"{_OF},{ASKED}"),
                    "From a request's head to its last byte, all routes but /health.",
                    unit=Unit.SECONDS,
                ),
                Panel(
                    "Sent away",
                    one(
                        _rate("fairlead_refused_requests_total", "reason"), "{{reason}}", absent="nobody was sent away"
                    ),
                    "By the guard: rate_limit_exceeded and queue_full are the limits of spec.serving.",
                    unit=Unit.REQUESTS,
                ),
                Panel(
                    "Cut short",
                    one(_rate("fairlead_aborted_requests_total", "reason"), "{{reason}}"),
                    "Ended before the answer was complete. `client` is the other side's doing.",
                    unit=Unit.REQUESTS,
                ),
            ),
        ),
        Row(
            "Engines",
            (
                Panel(
                    "Running and waiting",
                    (
                        Query(f"sum(vllm:num_requests_running{{{_OF}}})", "running"),
                        Query(f"sum(vllm:num_requests_waiting{{{_OF}}})", "waiting"),
                    ),
                    "Waiting for long: more replicas, or a larger maxNumSeqs where the KV cache has room.",
                    Shape.STACKED,
                ),
                Panel(
                    "Waited for a place",
                    quantiles("vllm:request_queue_time_seconds", _OF),
                    unit=Unit.SECONDS,
                ),
                Panel(
                    "Tokens per second",
                    (
                        Query(f"sum(rate(vllm:prompt_tokens_total{{{_OF}}}[{RATE}]))", "prompts"),
                        Query(f"sum(rate(vllm:generation_tokens_total{{{_OF}}}[{RATE}]))", "answers"),
                    ),
                    unit=Unit.TOKENS,
                ),
                Panel(
                    "KV cache",
                    one(f"max by (pod) (vllm:kv_cache_usage_perc{{{_OF}}})", _POD),
                    "Full, the engine takes running requests back and computes them again.",
                    unit=Unit.SHARE,
                ),
                Panel(
                    "Taken back",
                    one(f"sum by (pod) (rate(vllm:num_preemptions_total{{{_OF}}}[{RATE}]))", _POD),
                    "Running requests that gave their KV cache to others, per second.",
                    unit=Unit.PER_SECOND,
                ),
                Panel(
                    "Prompts found in the cache",
                    one(
                        f"sum(rate(vllm:prefix_cache_hits_total{{{_OF}}}[{RATE}]))"
                        f" / sum(rate(vllm:prefix_cache_queries_total{{{_OF}}}[{RATE}]))",
                        "share of tokens",
                        absent="no prompt has come, or prefix caching is off",
                    ),
                    unit=Unit.SHARE,
                ),
                Panel(
                    "Guesses taken",
                    one(
                        f"sum(rate(vllm:spec_decode_num_accepted_tokens_total{{{_OF}}}[{RATE}]))"
                        f" / sum(rate(vllm:spec_decode_num_draft_tokens_total{{{_OF}}}[{RATE}]))",
                        "share of drafted tokens",
                        absent="spec.engine.speculative is not set",
                    ),
                    "Of speculative decoding.",
                    unit=Unit.SHARE,
                ),
                Panel(
                    "In flight",
                    one(f"sum by (pod) (fairlead_requests_in_flight{{{_OF}}})", _POD),
                    "Requests that a pod's port answers now. Uneven for long: clients that keep few connections.",
                ),
                Panel(
                    "Draining, stalled",
                    (
                        Query(f"sum(fairlead_draining{{{_OF}}})", "draining"),
                        Query(f"sum(fairlead_engine_stalled{{{_OF}}})", "stalled"),
                    ),
                    "Pods that stop, and engines that the watchdog gave up.",
                ),
            ),
        ),
        Row(
            "Processes",
            (
                Panel(
                    "Engines started anew",
                    one(f'sum by (pod) (changes(process_start_time_seconds{{job="fairlead-engine",{_OF}}}[1h]))', _POD),
                    "Within the last hour, in pods that stayed.",
                ),
                Panel(
                    "Memory of the front end",
                    one(f'sum by (pod) (process_resident_memory_bytes{{job="fairlead-engine",{_OF}}})', _POD),
                    "HTTP server and tokenizer; the engine's own processes are not in it.",
                    unit=Unit.BYTES,
                ),
                Panel(
                    "Processor of the front end",
                    one(f'sum by (pod) (rate(process_cpu_seconds_total{{job="fairlead-engine",{_OF}}}[{RATE}]))', _POD),
                    "Near 1 it holds the engine back: one process, one core.",
                    unit=Unit.CORES,
                ),
            ),
        ),
    ),
)
