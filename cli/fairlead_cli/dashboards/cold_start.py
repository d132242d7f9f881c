"""Where the time of a start goes, from the pod's creation to its first token."""

from typing import Final

from fairlead_cli.dashboards.panels import NAMESPACES, Dashboard, Panel, Row, Shape, Unit, one

_IN: Final = 'namespace=~"$namespace"'
_EACH: Final = "namespace, name"
_NAMED: Final = "{{namespace}}/{{name}}"
_STARTING: Final = "the operator has no start of a pod in any status"

COLD_START: Final = Dashboard(
    "fairlead-cold-start",
    "fairlead / Cold start",
    "Where the time of a start goes, from the pod's creation to its first token.",
    choices=(NAMESPACES,),
    rows=(
        Row(
            "From a pod's creation, as the operator sees it",
            (
                Panel(
                    "Slowest start to Ready",
                    one(f'max by ({_EACH}) (fairlead_replica_startup_seconds{{step="ready",{_IN}}})', _NAMED, absent=_STARTING),
                    "Of the pods that are there. A container that was started again counts from the end of its last run.",
                    Shape.BARS,
                    Unit.ALL_SECONDS,
                    width=12,
                ),
                Panel(
                    "Ready after, and what it waited for first",
                    one(
                        f'avg by ({_EACH}, step) (fairlead_replica_startup_seconds{{step=~"scheduled|pulled|ready",{_IN}}})',
                        f"{_NAMED} {{{{step}}}}",
                        absent=_STARTING,
                    ),
                    "scheduled: a node was found. pulled: images and volumes were there. Both are the cluster's; the rest is the engine's.",
                    unit=Unit.ALL_SECONDS,
                    width=12,
                ),
            ),
        ),
        Row(
            "Inside the container, phase by phase",
            (
                Panel(
                    "Mean of each phase",
                    one(f"avg by (phase) (fairlead_startup_phase_seconds{{{_IN}}})", "{{phase}}"),
                    "load: weights into memory. compile and capture: kernels and CUDA graphs; a cache claim keeps them.",
                    Shape.BARS,
                    Unit.ALL_SECONDS,
                    width=12,
                ),
                Panel(
                    "Each pod's start",
                    one(f"sum by ({_EACH}, pod) (fairlead_startup_phase_seconds{{{_IN}}})", "{{pod}}"),
                    shape=Shape.BARS,
                    unit=Unit.ALL_SECONDS,
                    width=12,
                ),
                Panel(
                    "Phases by service",
                    one(f"max by ({_EACH}, phase) (fairlead_startup_phase_seconds{{{_IN}}})", "took"),
                    "The slowest pod of each service.",
                    Shape.TABLE,
                    Unit.ALL_SECONDS,
                    width=12,
                ),
                Panel(
                    "Compiled code from the cache",
                    one(
                        f"avg by ({_EACH}) (fairlead_compile_cache_hit{{{_IN}}})",
                        _NAMED,
                        absent="no engine compiles: eager mode, or a version that does not say",
                    ),
                    "1: all of it. 0: each start compiles anew; set spec.model.cache.",
                    Shape.BARS,
                    Unit.SHARE,
                    width=12,
                ),
            ),
        ),
        Row(
            "How often",
            (
                Panel(
                    "Services that start",
                    one(
                        f'count(max by ({_EACH}) (fairlead_condition{{type="Ready",reason="Starting",{_IN}}}) < 1) or vector(0)',
                        "starting",
                    ),
                    width=12,
                ),
                Panel(
                    "Containers started",
                    one(f'count by ({_EACH}) (time() - process_start_time_seconds{{job="fairlead-engine",{_IN}}} < 3600)', _NAMED, absent="none in the last hour"),
                    "Within the last hour, of the pods that are there.",
                    width=12,
                ),
            ),
        ),
    ),
)  # fmt: skip
