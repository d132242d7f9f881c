"""What docs/benchmarks/operator-scale.json holds: how the operator does with many services, and what is asked of that."""

from collections.abc import Iterator

from fairlead_cli.bench.record import Machine, Record

#: What is asked at this many services.
JUDGED = 1000
CONVERGED_S = 100.0
CHILDREN_P50_S = 1.0
CHILDREN_P99_S = 5.0
PEAK_MIB = 150.0


class ScaleRow(Record):
    """Medians over `runs` runs with so many services of one replica; seconds unless the name says otherwise.

    children_*: from a service's creation to the last of its children. converged_s: from the first creation to the last status, when
    all are Ready. bare_loop_s: the same number of equal Deployments, created at the same rate without the operator, until the last
    is available. writes_per_resource: all of the operator's writes until then, child_writes_per_resource those to children.
    cpu_s: the operator's for one service. peak_mib: the most memory it had resident, before a restart or after, the update included. idle_writes, restart_writes: all but the
    Lease's. restart_s: from the start of a new operator until it has looked at every service. update_*: None where that was left out.
    """

    resources: int
    runs: int
    children_p50_s: float
    children_p99_s: float
    children_s: float
    converged_s: float
    bare_loop_s: float
    writes_per_resource: float
    child_writes_per_resource: float
    cpu_s: float
    peak_mib: float
    api_p99_ms: float
    idle_minutes: float
    idle_writes: int
    restart_s: float
    restart_writes: int
    update_s: float | None = None
    update_writes_per_resource: float | None = None

    @property
    def ratio(self) -> float:
        """How many times as long as the same Deployments without the operator."""
        return self.converged_s / self.bare_loop_s

    def wasted(self) -> Iterator[str]:
        """Writes that nobody needs, in words: idle and restarted operators write nothing, at any size and on any machine."""
        if self.idle_writes:
            yield f"{self.idle_writes} writes while idle, 0 are asked"
        if self.restart_writes:
            yield f"{self.restart_writes} writes after a restart, 0 are asked"

    def missed(self) -> Iterator[str]:
        """What is asked and not met, in words. Much of it hangs on the machine."""
        yield from self.wasted()
        if self.resources != JUDGED:
            return
        if self.converged_s > max(CONVERGED_S, self.bare_loop_s):
            yield f"converged in {self.converged_s:.0f} s, {max(CONVERGED_S, self.bare_loop_s):.0f} are asked"
        for name, found, asked in (
            ("children p50 s", self.children_p50_s, CHILDREN_P50_S),
            ("children p99 s", self.children_p99_s, CHILDREN_P99_S),
            ("peak MiB", self.peak_mib, PEAK_MIB),
        ):
            if found > asked:
                yield f"{name} {found:.1f}, {asked:g} asked"


class ScaleRecord(Record):
    """operator-scale.json. flags: of the control plane's programs, beside the local cluster's own."""

    machine: Machine
    versions: dict[str, str]
    command: str
    date: str
    flags: tuple[str, ...]
    rows: tuple[ScaleRow, ...]
    notes: tuple[str, ...] = ()
