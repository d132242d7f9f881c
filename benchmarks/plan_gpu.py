"""What fairlead plans of a GPU's memory against what the engine reports when it starts there: models without weights; see README.md.

plan_gpu.py --output FILE: runs where the GPU is, with Python that has vLLM; nothing is served. Each row is one start of the engine.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fairlead_cli.bench.record import Machine, PlannedRow, PlanRecord, this_machine, today
from fairlead_runtime import memory
from fairlead_runtime.memory import GIB, EngineSettings

ROOT = Path(__file__).resolve().parent.parent
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

#: The engine starts in a process of its own, so that the GPU is empty for the next one.
START = """\
import json, sys
from importlib.metadata import version
if __name__ == "__main__":
    from vllm import LLM
    LLM(skip_tokenizer_init=True, load_format="dummy", **json.loads(sys.argv[1]))
    import torch
    gpu = torch.cuda.get_device_properties(0)
    print("FOUND", json.dumps({"gpu": gpu.name, "bytes": gpu.total_memory, "vllm": version("vllm"), "torch": torch.__version__}))
"""
#: From 0.26 to 0.33 in the log of the engine's process.
TOKENS = re.compile(r"GPU KV cache size: ([\d,]+) tokens")


def reported(output: str) -> tuple[int, dict[str, Any]]:
    """(tokens, what else START found) in what one start printed. Raises SystemExit with its last words."""
    tokens = TOKENS.findall(output)
    found = [line.removeprefix("FOUND ") for line in output.splitlines() if line.startswith("FOUND ")]
    if not tokens or not found:
        raise SystemExit(f"the engine did not start: {output[-4000:]}")
    return int(tokens[-1].replace(",", "")), json.loads(found[-1])


def start(case: Case, folder: Path) -> tuple[int, dict[str, Any]]:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(dict(SHAPES[case.shape])), encoding="utf-8")
    program = folder / "start.py"
    program.write_text(START, encoding="utf-8")
    arguments = json.dumps({"model": str(folder), **case.all_settings})
    done = subprocess.run(
        [sys.executable, str(program), arguments], capture_output=True, text=True, timeout=START_WITHIN, check=False
    )
    return reported(done.stdout + done.stderr)


def formula() -> str:
    """The commit that last changed the arithmetic; "" outside of a checkout."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "log", "-1", "--format=%h", "--", "runtime/fairlead_runtime/memory"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--formula", default=formula(), help="commit of the arithmetic, where this is no checkout")
    asked = parser.parse_args()
    rows: list[PlannedRow] = []
    seen: dict[str, Any] = {}
    with TemporaryDirectory() as folder:
        for number, case in enumerate(CASES):
            tokens, seen = start(case, Path(folder) / str(number))
            row = PlannedRow(
                config=case.name,
                settings=case.all_settings,
                formula=asked.formula,
                planned_kv_tokens=case.planned(seen["bytes"]),
                reported_kv_tokens=tokens,
            )
            print(row.config, row.planned_kv_tokens, row.reported_kv_tokens, row.verdict, flush=True)
            rows.append(row)
    about: Machine = this_machine().model_copy(
        update={"gpu": seen["gpu"], "gpus": 1, "gpu_memory_gib": round(seen["bytes"] / GIB)}
    )
    record = PlanRecord(
        machine=about,
        versions={"vllm": seen["vllm"], "torch": seen["torch"]},
        command="benchmarks/plan_gpu.py",
        date=today(),
        gpu_bytes=seen["bytes"],
        rows=tuple(rows),
    )
    asked.output.write_text(record.model_dump_json(indent=1, exclude_defaults=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
