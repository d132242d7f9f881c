"""How an engine on processors shares them with the other pods of its node.

Left alone, vLLM binds each worker to the first cores of the node that it is allowed to use, and all pods of a node may use the same
ones: two engines then compute on the same cores while others are idle, and a third takes minutes to import its packages there. Its
threads also count by the node's cores and not by the pod's limit. So no worker is bound unless the user says to which.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairlead_runtime import workers
from fairlead_runtime.config import Device, RuntimeConfig

BIND, THREADS = "VLLM_CPU_OMP_THREADS_BIND", "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Processors:
    """What this process may use. cores: distinct physical ones. limit: processors' worth of time; None where nothing limits it."""

    cores: int
    limit: float | None = None


def environment(config: RuntimeConfig, found: Processors, environ: Mapping[str, str]) -> dict[str, str]:
    """What is added to the engine's `environ`; nothing for accelerators, and never what the user has set.

    Each worker gets an equal part of the cores but one for itself: the loop that schedules it computes too, as in vLLM's own count.
    """
    if config.device is not Device.CPU or BIND in environ:
        return {}
    count = config.parallelism.tensor * config.parallelism.pipeline
    cores = found.cores if found.limit is None else min(found.cores, math.ceil(found.limit))
    threads = max(1, (cores - count) // count)
    return {BIND: "nobind", THREADS: environ.get(THREADS, str(threads)), **workers.environment(environ)}


def found(root: Path = Path("/sys"), allowed: frozenset[int] | None = None) -> Processors:
    """On this machine. allowed: the numbers of the processors, by default this process's."""
    numbers = frozenset(os.sched_getaffinity(0)) if allowed is None else allowed
    topology = root / "devices" / "system" / "cpu"
    siblings = {
        _text(topology / f"cpu{number}" / "topology" / "thread_siblings_list") or str(number) for number in numbers
    }
    return Processors(cores=len(siblings), limit=_limit(root / "fs" / "cgroup"))


def _limit(cgroup: Path) -> float | None:
    """From cpu.max of cgroup v2, `QUOTA PERIOD` in microseconds or `max PERIOD`; else from the two files of v1, where -1 is none."""
    quota, _, period = _text(cgroup / "cpu.max").partition(" ")
    if not period:
        quota, period = (_text(cgroup / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
