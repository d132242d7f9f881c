"""Measurements that are kept: what docs/benchmarks/*.json hold, and how each is judged.

A figure without its machine, versions, command and date is none. Machines are described in general terms: no host's name, no path.
"""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fairlead_cli.bench.statistics import LEAST_PAIRS, Ratio

GIB = 2**30


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Machine(Record):
    """cores: 0 where only the GPU was noted. gpu: its name, where one was used; gpus: how many; memory in GiB, gpu_memory_gib of one GPU."""

    cpu: str
    cores: int
    memory_gib: int
    gpu: str | None = None
    gpus: int = 0
    gpu_memory_gib: int | None = None


class Workload(Record):
    """What is asked of the servers. model: in words. flags: the engine's, the same for all that are compared unless a profile says."""

    model: str
    input_tokens: float
    output_tokens: float
    mode: Literal["stream", "unary"] = "stream"
    flags: tuple[str, ...] = ()


class Compared(Record):
    """A ratio, its 95 % interval by bootstrap over pairs, and the least that is asked of it. interval None: measured once."""

    ratio: float | None = None
    interval: tuple[float, float] | None = None
    pairs: int = 1
    gate: float | None = None

    @property
    def verdict(self) -> str:
        """Fewer than seven pairs pass nothing, nor does an interval wider than 0.04, nor a figure that was measured once and has none."""
        if self.ratio is None or self.gate is None:
            return ""
        if self.interval is None:
            return "met, once" if self.ratio >= self.gate else "missed, once"
        if self.pairs < LEAST_PAIRS:
            return "too few pairs"
        if self._as_ratio(self.ratio, self.interval).noisy:
            return "too noisy"
        return "passed" if self.ratio >= self.gate else "missed"

    def _as_ratio(self, median: float, interval: tuple[float, float]) -> Ratio:
        return Ratio(median=median, low=interval[0], high=interval[1], pairs=self.pairs)


class Row(Compared):
    """One profile at one concurrency. Tokens per second of output; the ratio is fairlead's by bare vLLM's defaults at the same
    concurrency. profile: Balanced and the others; Bare and BareUnary have no fairlead in them and no fairlead_tok_s.
    Times are those of the profile's own server; medians where there are pairs. cpu_us: what the front end, everything but the
    engine's processes, computed for one token; microseconds. It is the same figure on a machine where others disturb the ratio.
    """

    profile: str
    concurrency: int
    mode: Literal["stream", "unary"] = "stream"
    bare_tok_s: float | None
    fairlead_tok_s: float | None = None
    ttft_p50_ms: float | None = None
    ttft_p99_ms: float | None = None
    inter_token_p50_ms: float | None = None
    inter_token_p99_ms: float | None = None
    bare_cpu_us: float | None = None
    fairlead_cpu_us: float | None = None
    note: str = ""


class Comparison(Compared):
    """fairlead against something that is not vLLM, in words."""

    name: str
    fairlead_tok_s: float
    other_tok_s: float
    note: str = ""


class ProbeTimes(Record):
    """How fast the supervisor's probes answered. during: loading, or the concurrency it was saturated with. failed: no answer in 5 s.

    Times are of those that answered, whatever the answer; None where none did.
    """

    during: str
    path: str
    count: int
    failed: int
    p50_ms: float | None
    p99_ms: float | None
    worst_ms: float | None


class Startup(Record):
    """One start, in seconds by phase of the ledger, in order. name: cold, or which caches were warm."""

    name: str
    profile: str = "Balanced"
    phases: dict[str, float]
    total: float


class Measured(Record):
    """What every kept measurement says of itself. versions: of fairlead, vllm, torch, python. notes: a sentence each."""

    machine: Machine
    versions: dict[str, str]
    command: str
    date: str
    workload: Workload
    notes: tuple[str, ...] = ()


class RuntimeRecord(Measured):
    """runtime-cpu.json, runtime-gpu.json: fairlead's runtime against bare vLLM."""

    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...] = ()
    probes: tuple[ProbeTimes, ...] = ()
    startups: tuple[Startup, ...] = ()


class Agreement(Record):
    """One figure as both benchmarks see it: medians, and the ratio of `fairlead bench`'s to vLLM's. server: which one was asked."""

    server: str
    figure: str
    concurrency: int
    fairlead: float
    vllm: float
    ratio: float
    interval: tuple[float, float]
    pairs: int
    within: float = Field(default=0.03, description="how far from 1 the ratio may be")

    @property
    def verdict(self) -> str:
        if self.pairs < LEAST_PAIRS:
            return "too few pairs"
        if Ratio(median=self.ratio, low=self.interval[0], high=self.interval[1], pairs=self.pairs).noisy:
            return "too noisy"
        return "agrees" if abs(self.ratio - 1) <= self.within else "differs"


class AgreementRecord(Measured):
    """agreement.json: `fairlead bench` against vLLM's own serving benchmark, on one server."""

    rows: tuple[Agreement, ...]


class PlannedRow(Record):
    """One start of the engine on a GPU. settings: vLLM's arguments. fitted: the arithmetic's constants are from this very measurement, so
    that it proves nothing; all others were planned by an arithmetic that was there before them. gpu, gpu_bytes: where it was another
    card than the record's.
    """

    config: str
    settings: dict[str, Any]
    planned_kv_tokens: int
    reported_kv_tokens: int
    fitted: bool = False
    gpu: str | None = None
    gpu_bytes: int | None = None

    @property
    def off(self) -> float:
        """By which part the plan is too high; too low is negative."""
        return self.planned_kv_tokens / self.reported_kv_tokens - 1

    @property
    def verdict(self) -> str:
        """Within 3 %, and never more than 1 % too high."""
        if not 97 * self.reported_kv_tokens <= 100 * self.planned_kv_tokens <= 101 * self.reported_kv_tokens:
            return "missed"
        return "fitted" if self.fitted else "passed"


class PlanRecord(Record):
    """plan-gpu.json: the KV cache as planned and as the engine reports it. gpu_bytes: memory of one GPU as a program finds it."""

    machine: Machine
    versions: dict[str, str]
    command: str
    date: str
    gpu_bytes: int
    rows: tuple[PlannedRow, ...]
    notes: tuple[str, ...] = ()


class ParallelRow(Compared):
    """fairlead's runtime with `tensor` GPUs that share each layer, at one concurrency. kv_cache_gib: on each GPU. ratio: by what
    the fewest GPUs gave in the same rounds, one where the model fits. two_replicas_tok_s: twice what those gave at half the concurrency, which
    is what two replicas give. Medians.
    """

    model: str
    tensor: int
    kv_cache_gib: float
    concurrency: int
    tok_s: float
    two_replicas_tok_s: float | None = None
    ttft_p50_ms: float | None = None
    ttft_p99_ms: float | None = None
    inter_token_p50_ms: float | None = None
    inter_token_p99_ms: float | None = None


class ParallelRecord(Measured):
    """parallel-gpu.json and parallel-gpu-70b.json: one GPU, or two, and more for a replica."""

    rows: tuple[ParallelRow, ...]
    startups: tuple[Startup, ...] = ()


class Ended(Record):
    """How one runtime with several GPUs ended. done: to it, in words. Times in seconds after that; None: it did not happen.

    complete: of the streams, with all their tokens. errors: the others', by text. unready: until /readyz said so. told: until the last
    stream had ended. ended: until the runtime had. code, message: of the termination record. left: processes of the engine that remained.
    """

    done: str
    streams: int
    complete: int
    errors: dict[str, int] = {}
    unready: float | None
    told: float | None
    ended: float | None
    exit_code: int | None
    code: str = ""
    message: str = ""
    left: int = 0


class WorkersRecord(Measured):
    """workers-gpu.json: a runtime whose engine has a process on each of several GPUs, and what is done to these."""

    rows: tuple[Ended, ...]
    startups: tuple[Startup, ...] = ()


class HeldMemory(Record):
    """What one process of a pod held of its own, no file's and nothing shared. first_mib: once its caches had filled. mib_per_hour:
    the slope of a straight line through the samples from there on.
    """

    process: str
    first_mib: float
    last_mib: float
    peak_mib: float
    mib_per_hour: float


class SoakRecord(Measured):
    """soak.json: minutes at saturation on the real node. concurrency: clients; at_a_time: what the engine computes of theirs.

    errors: the failed requests' texts. questions: suspicions that the watchdog had and that a token dispelled. first_tok_s,
    last_tok_s: the medians of the first and of the last tenth.
    """

    minutes: float
    asked_minutes: float = 60
    concurrency: int
    at_a_time: int
    requests: int
    failed: int
    errors: dict[str, int] = {}
    restarts: int
    questions: int
    first_tok_s: float
    last_tok_s: float
    memory: tuple[HeldMemory, ...]

    @property
    def verdict(self) -> str:
        """Nothing is said of an hour that was none."""
        if self.restarts or self.failed:
            return f"missed: {self.restarts} restarts, {self.failed} failed"
        return (
            "passed"
            if self.minutes >= self.asked_minutes
            else f"clean for {self.minutes:g} of {self.asked_minutes:g} minutes"
        )


def this_machine() -> Machine:
    """Without a GPU's part: who measures on one adds it."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return Machine(cpu=model, cores=len(os.sched_getaffinity(0)), memory_gib=round(pages * size / GIB))


def today() -> str:
    return datetime.now(UTC).date().isoformat()
