"""What fairlead plans of a GPU's memory against what the engine reports when it starts there: models without weights; see README.md.

plan_gpu.py --output FILE [--gpus N] [--cases NUMBERS]: runs where the GPU is, with Python that has vLLM; nothing is served. Each row is one
start of the engine; N of them run at the same time, each with a GPU of its own. A row is written as soon as it is there, and a start that
fails leaves the others alone.
"""

import argparse
import json
import os
import queue
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

from fairlead_cli.bench.record import Machine, PlannedRow, PlanRecord, this_machine, today
from fairlead_runtime import memory
from fairlead_runtime.memory import GIB, EngineSettings

#: Seconds that one start may take: compilation, and graphs.
START_WITHIN = 400
_COMMON = {"vocab_size": 32_000, "torch_dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 2, "rms_norm_eps": 1e-5}
#: Models by their shape.
SHAPES: Mapping[str, Mapping[str, Any]] = {
    "7B": _COMMON | {
        "architectures": ["MistralForCausalLM"], "model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14_336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "sliding_window": None,
        "max_position_embeddings": 32_768, "tie_word_embeddings": False, "hidden_act": "silu",
    },
    "13B": _COMMON | {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 5120, "intermediate_size": 13_824,
        "num_hidden_layers": 40, "num_attention_heads": 40, "num_key_value_heads": 40, "max_position_embeddings": 16_384,
        "tie_word_embeddings": False, "hidden_act": "silu",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """settings: as EngineSettings and vLLM's LLM both name them."""

    name: str
    shape: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def all_settings(self) -> dict[str, Any]:
        # Told, since the engine's own choice is another one for a program than for a server.
        return {
            "max_model_len": 4096,
            "max_num_seqs": 256,
            "max_num_batched_tokens": 8192,
            "gpu_memory_utilization": 0.9,
            **self.settings,
        }

    def planned(self, gpu: int) -> int:
        """Tokens of the KV cache on a GPU of so many bytes."""
        model = memory.read_config(SHAPES[self.shape])
        plan = memory.plan(model, memory.by_shape(model), EngineSettings(**self.all_settings), gpu)
        assert plan.kv_cache_tokens is not None, plan.unknowns
        return plan.kv_cache_tokens


CASES: Sequence[Case] = (
    Case("7B bf16", "7B"),
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


def start(case: Case, folder: Path, gpu: int) -> Started:
    """The log stays in the folder. Raises StartFailedError."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(dict(SHAPES[case.shape])), encoding="utf-8")
    program, log = folder / "start.py", folder / "log"
    program.write_text(START, encoding="utf-8")
    arguments = json.dumps({"model": str(folder), **case.all_settings})
    with log.open("wb") as written:
        try:
            subprocess.run(
                [sys.executable, str(program), arguments],
                env={**os.environ, "CUDA_VISIBLE_DEVICES": str(gpu)},
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


def measure(cases: Sequence[Case], gpus: int, folder: Path, measuring: Measuring) -> int:
    """How many starts failed."""
    free: queue.SimpleQueue[int] = queue.SimpleQueue()
    for gpu in range(gpus):
        free.put(gpu)

    def one(case: Case) -> bool:
        gpu = free.get()
        try:
            row = measuring.add(case, start(case, folder / str(CASES.index(case)), gpu))
        except StartFailedError as failure:
            print(f"{case.name}: did not start: {failure}", flush=True)
            return False
        finally:
            free.put(gpu)
        print(row.config, row.planned_kv_tokens, row.reported_kv_tokens, f"{row.off:+.2%}", row.verdict, flush=True)
        return True

    with ThreadPoolExecutor(gpus) as pool:
        return sum(not done for done in pool.map(one, cases))


def main() -> int:
    """How many starts failed; how good the plans are is for the page to judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--gpus", type=int, default=1, help="of this machine, one start on each")
    parser.add_argument("--cases", help="numbers from 0, with commas: instead of all")
    parser.add_argument("--logs", type=Path, help="keep the engines' logs here")
    asked = parser.parse_args()
    cases = [CASES[int(number)] for number in asked.cases.split(",")] if asked.cases else CASES
    with TemporaryDirectory() as scratch:
        return measure(cases, asked.gpus, asked.logs or Path(scratch), Measuring(asked.output, asked.gpus))


if __name__ == "__main__":
    sys.exit(main())
