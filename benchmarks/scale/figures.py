"""From runs to the row that is kept, and what got worse against it."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Final

from fairlead_cli.bench.record import this_machine, today
from fairlead_cli.bench.scale_record import ScaleRecord, ScaleRow
from fairlead_cli.bench.statistics import median, quantile
from fairlead_cli.local.programs import PROGRAMS
from scale.ground import flags
from scale.phases import CHILDREN, Seen, Update

#: How much worse a figure may be: runs differ by as much on a machine that is not left alone.
MARGIN: Final = 0.2
#: Writes to children, of each service, that a busy API server may have made the operator repeat.
REPEATED: Final = 0.05
COMMAND: Final = (
    "benchmarks/operator_scale.py --resources {resources} --runs {runs} --idle-minutes {idle:g}{update} --keep"
)


def row(number: int, seen: Sequence[tuple[Seen, float]], idle_minutes: float) -> ScaleRow:
    """The medians; of what should be 0, the worst."""
    runs = [run for run, _ in seen]

    def middle(values: Sequence[float], digits: int = 2) -> float:
        return round(median(list(values)), digits)

    return ScaleRow(
        resources=number,
        runs=len(seen),
        children_p50_s=middle([quantile(sorted(run.children), 0.5) for run in runs]),
        children_p99_s=middle([quantile(sorted(run.children), 0.99) for run in runs]),
        children_s=middle([run.children_s for run in runs]),
        converged_s=middle([run.converged_s for run in runs]),
        bare_loop_s=middle([bare for _, bare in seen]),
        writes_per_resource=middle([total(run.writes) / number for run in runs]),
        child_writes_per_resource=middle([total(run.writes, CHILDREN) / number for run in runs]),
        cpu_s=middle([run.cpu_s / number for run in runs], 4),
        peak_mib=middle([run.peak_mib for run in runs], 1),
        api_p99_ms=middle([1000 * run.api_p99_s for run in runs], 1),
        idle_minutes=idle_minutes,
        idle_writes=max(run.idle_writes for run in runs),
        restart_s=middle([run.restart_s for run in runs]),
        restart_writes=max(run.restart_writes for run in runs),
        **_updated(number, [run.update for run in runs if run.update]),
    )


def _updated(number: int, updates: Sequence[Update]) -> dict[str, float]:
    if not updates:
        return {}
    return {
        "update_s": round(median([update.seconds for update in updates]), 2),
        "update_writes_per_resource": round(median([total(update.writes) / number for update in updates]), 2),
    }


def total(writes: Mapping[str, int], resources: frozenset[str] | None = None) -> int:
    """Writes to these resources, or to all."""
    return sum(count for resource, count in writes.items() if resources is None or resource in resources)


def record(rows: Sequence[ScaleRow], kept: ScaleRecord | None) -> ScaleRecord:
    """Of this machine, today. Rows of other sizes that were kept on an equal machine stay."""
    machine = this_machine()
    others = kept.rows if kept is not None and kept.machine == machine else ()
    sizes = {each.resources for each in rows}
    together = sorted(
        (*rows, *(each for each in others if each.resources not in sizes)), key=lambda each: each.resources
    )
    last = together[-1]
    return ScaleRecord(
        machine=machine,
        versions={
            "fairlead": version("fairlead"),
            "kubernetes": PROGRAMS["kube-apiserver"].version,
            "etcd": PROGRAMS["etcd"].version,
            "kwok": PROGRAMS["kwok"].version,
            "python": platform.python_version(),
        },
        command=COMMAND.format(
            resources=",".join(str(each.resources) for each in together),
            runs=last.runs,
            idle=last.idle_minutes,
            update=" --no-update" if last.update_s is None else "",
        ),
        date=today(),
        flags=flags(),
        rows=tuple(together),
        notes=kept.notes if kept else (),
    )


def regressions(kept: ScaleRecord, made: ScaleRecord) -> list[str]:
    """What is worse than the kept figures of the same size allow, in words.

    Counts and memory are compared on any machine, and how long it takes beside the bare loop of the same run; times alone
    only on a machine like the one of the kept figures.
    """
    before = {each.resources: each for each in kept.rows}
    alike = kept.machine == made.machine
    return [
        f"{now.resources} services: {line}"
        for now in made.rows
        if now.resources in before
        for line in _worse(before[now.resources], now, alike)
    ]


def _worse(before: ScaleRow, now: ScaleRow, alike: bool) -> Iterator[str]:  # noqa: FBT001 - one fact of both records
    if abs(now.child_writes_per_resource - before.child_writes_per_resource) > REPEATED:
        yield f"{now.child_writes_per_resource:g} writes to children of each, {before.child_writes_per_resource:g} were kept"
    anywhere = ("ratio", "writes_per_resource", "update_writes_per_resource", "peak_mib")
    times = ("children_p50_s", "children_p99_s", "converged_s", "cpu_s", "restart_s", "update_s")
    for name in (*anywhere, *(times if alike else ())):
        found, kept = getattr(now, name), getattr(before, name)
        # An update may have been left out.
        if found is not None and kept is not None and found > (allowed := (1 + MARGIN) * kept):
            yield f"{name} is {found:.4g}, at most {allowed:.4g} was expected"
