"""The operator itself: whether somebody leads, how reconciles end, and what it asks of the API server."""

from typing import Final

from fairlead_cli.dashboards.panels import RATE, Dashboard, Panel, Query, Row, Shape, Unit, one

_OURS: Final = 'job="fairlead-operator"'
_POD: Final = "{{pod}}"

CONTROL: Final = Dashboard(
    "fairlead-operator",
    "fairlead / Operator",
    "The operator itself: whether somebody leads, how reconciles end, and what it asks of the API server.",
    rows=(
        Row(
            "Leadership",
            (
                Panel("Leaders", one("sum(fairlead_leader)"), "One. 0: nothing is carried out; models serve.", Shape.NUMBER, width=4),
                Panel("Processes", one(f"count(up{{{_OURS}}} == 1)"), shape=Shape.NUMBER, width=4),
                Panel("Release", one("count by (version) (fairlead_build_info)", "processes"), shape=Shape.TABLE, width=7),
                Panel("Who leads", one("max by (pod) (fairlead_leader)", _POD), width=9),
            ),
        ),
        Row(
            "Reconciles",
            (
                Panel(
                    "By outcome",
                    one(f"sum by (outcome) (rate(fairlead_reconcile_duration_seconds_count[{RATE}]))", "{{outcome}}"),
                    "Failed is tried again, each time later; the log has why. Rejected waits for its user.",
                    Shape.STACKED,
                    Unit.PER_SECOND,
                ),
                Panel(
                    "Duration, p99",
                    one(
                        "histogram_quantile(0.99, sum by (outcome, le)"
                        f" (rate(fairlead_reconcile_duration_seconds_bucket[{RATE}])))",
                        "{{outcome}}",
                    ),
                    unit=Unit.SECONDS,
                ),
                Panel(
                    "Services that wait for a worker",
                    one("max by (pod) (fairlead_workqueue_depth and on (pod) fairlead_leader == 1)", _POD),
                    "Of the leader. Long: raise the chart's workers, or look at the API server's answers.",
                ),
            ),
        ),
        Row(
            "The API server",
            (
                Panel(
                    "Requests by verb",
                    one(f"sum by (verb) (rate(fairlead_api_requests_total[{RATE}]))", "{{verb}}"),
                    "At rest, resyncs write nothing: the Lease and listings are what is left.",
                    Shape.STACKED,
                    Unit.REQUESTS,
                ),
                Panel(
                    "Refused or unanswered",
                    one(
                        f'sum by (resource, code) (rate(fairlead_api_requests_total{{code!~"2.."}}[{RATE}]))',
                        "{{resource}} {{code}}",
                        absent="all were answered well",
                    ),
                    "0: no answer. 403: a right is missing. 409 and 404 in small numbers are everyday.",
                    unit=Unit.REQUESTS,
                ),
                Panel(
                    "Watches begun anew",
                    one(f"sum by (pod) (rate(fairlead_watch_restarts_total[{RATE}]))", _POD),
                    unit=Unit.PER_SECOND,
                ),
            ),
        ),
        Row(
            "What it knows, what it takes",
            (
                Panel("Objects", one("max by (kind) (fairlead_store_objects)", "{{kind}}"), width=9),
                Panel(
                    "Pods that did not answer",
                    one(f"sum by (pod) (rate(fairlead_engine_polls_failed_total[{RATE}]))", _POD),
                    "On port 9090: a NetworkPolicy in the way, or pods that just end.",
                    unit=Unit.PER_SECOND,
                    width=5,
                ),
                Panel(
                    "Memory",
                    one(f"max by (pod) (process_resident_memory_bytes{{{_OURS}}})", _POD),
                    unit=Unit.BYTES,
                    width=5,
                ),
                Panel(
                    "Processor",
                    (Query(f"sum by (pod) (rate(process_cpu_seconds_total{{{_OURS}}}[{RATE}]))", _POD),),
                    unit=Unit.CORES,
                    width=5,
                ),
            ),
        ),
    ),
)  # fmt: skip
