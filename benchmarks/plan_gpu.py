"""What fairlead plans of a GPU's memory against what the engine reports when it starts there: models without weights; see README.md.

plan_gpu.py --output FILE [--gpus N] [--cases NUMBERS]: runs where the GPU is, with Python that has vLLM; nothing is served. Each row is one
start of the engine; as many as there are GPUs for run at the same time. Of CUDA_VISIBLE_DEVICES the first N are used where it is set. A row
is written as soon as it is there, and a start that fails leaves the others alone.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gpu_models import SHAPES
from gpu_servers import WITHOUT_MULTICAST

from fairlead_cli.bench.record import Machine, PlannedRow, PlanRecord, this_machine, today
from fairlead_runtime import memory
from fairlead_runtime.memory import GIB, EngineSettings

#: Seconds that one start may take: compilation, and graphs.
START_WITHIN = 400
#: Tokens that a second model guesses in each step.
GUESSES = 3
#: As EngineSettings name them -> as vLLM does.
_ARGUMENTS = {"tensor": "tensor_parallel_size", "pipeline": "pipeline_parallel_size", "eager": "enforce_eager"}


@dataclass(frozen=True)
class Case:
    """settings: as EngineSettings names them, and vLLM's LLM too but for _ARGUMENTS. drafting: how a second model guesses GUESSES tokens, and
    its shape. fitted: a constant of the arithmetic is from it.
    """

    name: str
    shape: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    drafting: tuple[str, str] | None = None
    fitted: bool = False

    @property
    def all_settings(self) -> dict[str, Any]:
        # Told, since the engine's own choice is another one for a program than for a server.
        return {
            "max_model_len": 4096,
            "max_num_seqs": 256,
            "max_num_batched_tokens": 8192,
            "gpu_memory_utilization": 0.9,
            **({"speculative_tokens": GUESSES} if self.drafting else {}),
            **self.settings,
        }

    @property
    def gpus(self) -> int:
        """Of one replica."""
        return int(self.settings.get("tensor", 1) * self.settings.get("pipeline", 1))

    def arguments(self, folder: Path) -> dict[str, Any]:
        """For vLLM's LLM. folder: where write() put the models."""
        found = {_ARGUMENTS.get(name, name): value for name, value in self.all_settings.items()}
        found["model"] = str(folder)
        if self.drafting:
            tokens = found.pop("speculative_tokens")
            found["speculative_config"] = {
                "method": self.drafting[0], "model": str(folder / "second"), "num_speculative_tokens": tokens,
            }  # fmt: skip
        if self.gpus > 1:
            found["compilation_config"] = {"pass_config": {"fuse_allreduce_rms": False}}
        return found

    def write(self, folder: Path) -> None:
        """Models without weights."""
        for place, shape in ((folder, self.shape), (folder / "second", self.drafting[1] if self.drafting else "")):
            if shape:
                place.mkdir(parents=True)
                (place / "config.json").write_text(json.dumps(dict(SHAPES[shape])), encoding="utf-8")

    def plan(self, gpu: int, settings: Mapping[str, Any] | None = None) -> memory.Plan:
        """On a GPU of so many bytes. settings: instead of its own."""
        model = memory.read_config(SHAPES[self.shape])
        asked = EngineSettings(**(self.all_settings if settings is None else settings))
        second = None
        if self.drafting:
            method, shape = self.drafting
            guessing = memory.read_config(SHAPES[shape])
            second = memory.draft(method, guessing, memory.by_shape(guessing), asked.pipeline)
        return memory.plan(model, memory.by_shape(model), asked, gpu, second)

    def planned(self, gpu: int) -> int:
        """Tokens of the KV cache on a GPU of so many bytes."""
        plan = self.plan(gpu)
        assert plan.kv_cache_tokens is not None, plan.unknowns
        return plan.kv_cache_tokens


CASES: Sequence[Case] = (
    Case("7B bf16", "7B", fitted=True),
    Case("7B bf16, whole context, 0.95", "7B", {"max_model_len": 32_768, "gpu_memory_utilization": 0.95}),
    Case(
        "7B bf16, 16,384 tokens a step, 1,024 requests", "7B", {"max_num_batched_tokens": 16_384, "max_num_seqs": 1024}
    ),
    Case("7B fp8", "7B", {"quantization": "fp8"}),
    Case("7B bf16, KV fp8", "7B", {"kv_cache_dtype": "fp8"}),
    Case("7B fp8, KV fp8, 0.5", "7B", {"quantization": "fp8", "kv_cache_dtype": "fp8", "gpu_memory_utilization": 0.5}),
    Case("13B bf16", "13B"),
    Case("13B bf16, 16,384 tokens, 0.6", "13B", {"max_model_len": 16_384, "gpu_memory_utilization": 0.6}),
    Case("13B fp8", "13B", {"quantization": "fp8"}),
    Case("13B bf16, KV fp8, 2,048 tokens", "13B", {"kv_cache_dtype": "fp8", "max_model_len": 2048}),
    Case("7B bf16, tensor 2", "7B", {"tensor": 2}),
    Case("13B bf16, tensor 2", "13B", {"tensor": 2}),
    Case("70B fp8, tensor 2", "70B", {"quantization": "fp8", "tensor": 2}),
    Case("8B with one KV head, tensor 2", "8B, one KV head", {"tensor": 2}),
    Case("7B bf16, KV fp8, tensor 2", "7B", {"kv_cache_dtype": "fp8", "tensor": 2}),
    Case("7B bf16, pipeline 2", "7B", {"pipeline": 2}),
    Case("70B bf16, tensor 2, eager, 0.95", "70B", {"tensor": 2, "eager": True, "gpu_memory_utilization": 0.95}),
    Case("70B bf16, tensor 4", "70B", {"tensor": 4}),
    Case("13B bf16, tensor 2, pipeline 2", "13B", {"tensor": 2, "pipeline": 2}),
    Case("7B bf16, 1B guesses", "7B", {}, ("draft_model", "1B")),
    Case("7B bf16, KV fp8, 1B guesses", "7B", {"kv_cache_dtype": "fp8"}, ("draft_model", "1B")),
    Case("13B bf16, 1B guesses, 0.6", "13B", {"gpu_memory_utilization": 0.6}, ("draft_model", "1B")),
    Case("7B bf16, EAGLE", "7B", {}, ("eagle", "7B, EAGLE head"), fitted=True),
    Case("7B bf16, EAGLE-3", "7B", {}, ("eagle3", "7B, EAGLE head"), fitted=True),
    Case(
        "7B fp8, KV fp8, EAGLE, 0.5",
        "7B",
        {"quantization": "fp8", "kv_cache_dtype": "fp8", "gpu_memory_utilization": 0.5},
        ("eagle", "7B, EAGLE head"),
        fitted=True,
    ),
    Case("7B bf16, 1B guesses, tensor 2", "7B", {"tensor": 2}, ("draft_model", "1B")),
    Case("7B bf16, EAGLE-3, tensor 2", "7B", {"tensor": 2}, ("eagle3", "7B, EAGLE head"), fitted=True),
)

#: The engine starts in a process of its own, so that the GPU is empty for the next one. bytes: the GPU's memory as the engine asks for it.
START = """\
import json, sys
from importlib.metadata import version
if __name__ == "__main__":
    from vllm import LLM
    LLM(skip_tokenizer_init=True, load_format="dummy", **json.loads(sys.argv[1]))
    import torch
    name, size = torch.cuda.get_device_properties(0).name, torch.cuda.mem_get_info()[1]
    print("FOUND", json.dumps({"gpu": name, "bytes": size, "vllm": version("vllm"), "torch": torch.__version__}))
"""
#: From 0.26 to 0.33 in the log of the engine's process.
TOKENS = re.compile(r"GPU KV cache size: ([\d,]+) tokens")


class StartFailedError(Exception):
    """The engine did not start; with its last words."""


@dataclass(frozen=True)
class Started:
    """What one start of the engine told. tokens: of its KV cache; gpu_bytes: of memory on its GPU."""

    tokens: int
    gpu: str
    gpu_bytes: int
    versions: Mapping[str, str]


def started(output: str) -> Started:
    """From what START and the engine printed. Raises StartFailedError."""
    tokens = TOKENS.findall(output)
    found = [line.removeprefix("FOUND ") for line in output.splitlines() if line.startswith("FOUND ")]
    if not tokens or not found:
        raise StartFailedError(output[-4000:])
    about = json.loads(found[-1])
    versions = {"vllm": about["vllm"], "torch": about["torch"]}
    return Started(int(tokens[-1].replace(",", "")), about["gpu"], about["bytes"], versions)


def start(case: Case, folder: Path, gpus: Sequence[str]) -> Started:
    """The log stays in the folder. Raises StartFailedError."""
    case.write(folder)
    program, log = folder / "start.py", folder / "log"
    program.write_text(START, encoding="utf-8")
    arguments = json.dumps(case.arguments(folder))
    with log.open("wb") as written:
        try:
            subprocess.run(
                [sys.executable, str(program), arguments],
                env={**os.environ, **(WITHOUT_MULTICAST if case.gpus > 1 else {}), "CUDA_VISIBLE_DEVICES": ",".join(gpus)},
                stdout=written, stderr=written, timeout=START_WITHIN, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as late:
            raise StartFailedError(f"not within {START_WITHIN} s: {log.read_text(errors='replace')[-4000:]}") from late
    return started(log.read_text(errors="replace"))


class Measuring:
    """Rows as they come in, kept in a file in the order of CASES."""

    def __init__(self, output: Path, gpus: int) -> None:
        self._output, self._gpus = output, gpus
        self._rows: dict[str, PlannedRow] = {}
        self._lock = threading.Lock()

    def add(self, case: Case, seen: Started) -> PlannedRow:
        row = PlannedRow(
            config=case.name,
            settings=case.all_settings,
            planned_kv_tokens=case.planned(seen.gpu_bytes),
            reported_kv_tokens=seen.tokens,
            fitted=case.fitted,
        )
        with self._lock:
            self._rows[case.name] = row
            self._output.write_text(self._record(seen) + "\n", encoding="utf-8")
        return row

    def _record(self, seen: Started) -> str:
        about: Machine = this_machine().model_copy(
            update={"gpu": seen.gpu, "gpus": self._gpus, "gpu_memory_gib": round(seen.gpu_bytes / GIB)}
        )
        record = PlanRecord(
            machine=about,
            versions=dict(seen.versions),
            command=f"benchmarks/plan_gpu.py --gpus {self._gpus}",
            date=today(),
            gpu_bytes=seen.gpu_bytes,
            rows=tuple(self._rows[case.name] for case in CASES if case.name in self._rows),
        )
        return record.model_dump_json(indent=1, exclude_defaults=True)


class Free:
    """GPUs that no start uses, by their number."""

    def __init__(self, gpus: Sequence[str]) -> None:
        self._free = list(gpus)
        self._changed = threading.Condition()

    def take(self, count: int) -> list[str]:
        """Waits until so many are free."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._free) >= count)
            taken, self._free = self._free[:count], self._free[count:]
            return taken

    def give(self, gpus: Sequence[str]) -> None:
        with self._changed:
            self._free += gpus
            self._changed.notify_all()


def measure(cases: Sequence[Case], gpus: Sequence[str], folder: Path, measuring: Measuring) -> int:
    """How many starts failed. Those that take most GPUs come last, one by one: nobody waits for all of them meanwhile."""
    free = Free(gpus)

    def one(case: Case) -> bool:
        taken = free.take(case.gpus)
        try:
            row = measuring.add(case, start(case, folder / str(CASES.index(case)), taken))
        except StartFailedError as failure:
            print(f"{case.name}: did not start: {failure}", flush=True)
            return False
        finally:
            free.give(taken)
        print(row.config, row.planned_kv_tokens, row.reported_kv_tokens, f"{row.off:+.2%}", row.verdict, flush=True)
        return True

    failed = 0
    for count in sorted({case.gpus for case in cases}):
        same = [case for case in cases if case.gpus == count]
        if count > len(gpus):
            print(f"{len(same)} configurations need {count} GPUs: left out", flush=True)
            continue
        with ThreadPoolExecutor(len(gpus) // count) as pool:
            failed += sum(not done for done in pool.map(one, same))
    return failed


def main() -> int:
    """How many starts failed; how good the plans are is for the page to judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--gpus", type=int, default=1, help="of this machine")
    parser.add_argument("--cases", help="numbers from 0, with commas: instead of all")
    parser.add_argument("--logs", type=Path, help="keep the engines' logs here")
    asked = parser.parse_args()
    cases = [CASES[int(number)] for number in asked.cases.split(",")] if asked.cases else CASES
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    gpus = (visible.split(",") if visible else [str(number) for number in range(asked.gpus)])[: asked.gpus]
    with TemporaryDirectory() as scratch:
        return measure(cases, gpus, asked.logs or Path(scratch), Measuring(asked.output, asked.gpus))


if __name__ == "__main__":
    sys.exit(main())
