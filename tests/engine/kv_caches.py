"""Reads questions from stdin, one JSON a line, and lets the installed vLLM size a KV cache for each; run with the engine's Python.

A question: {"config": config.json, "arguments": of EngineArgs, "available": bytes for the cache}. The model is built on the meta
device, so that it takes no memory; its layers say what they need, and vLLM's own planner sizes the cache. Several GPUs are told by the
sizes of the parallel groups alone. Prints one JSON a line: {"blocks", "tokens", "concurrency", "bytes_per_token", "in_flight"},
{"refused": text} where the planner refuses, {"error": text} where the model could not be built.
"""

import contextlib
import json
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any


@contextlib.contextmanager
def ranks(tensor: int, pipeline: int, stage: int) -> Iterator[None]:
    """As a process of that stage sees the groups."""
    from vllm.distributed import parallel_state as state  # noqa: PLC0415

    groups = (state._TP, state._PP)
    before = [(group.world_size, group.rank_in_group, group.ranks, group.rank) for group in groups]
    for group, size, rank in zip(groups, (tensor, pipeline), (0, stage), strict=True):
        group.world_size, group.rank_in_group, group.ranks, group.rank = size, rank, list(range(size)), rank
    try:
        yield
    finally:
        for group, (size, rank_in_group, members, rank) in zip(groups, before, strict=True):
            group.world_size, group.rank_in_group, group.ranks, group.rank = size, rank_in_group, members, rank


def specs(vllm: Any) -> dict[str, Any]:
    """What each layer of this stage needs, as the engine's worker collects it."""
    import torch  # noqa: PLC0415
    from vllm.config import get_layers_from_vllm_config, set_current_vllm_config  # noqa: PLC0415
    from vllm.model_executor.layers.attention_layer_base import AttentionLayerBase  # noqa: PLC0415
    from vllm.model_executor.model_loader.utils import initialize_model  # noqa: PLC0415
    from vllm.platforms import current_platform  # noqa: PLC0415
    from vllm.utils.torch_utils import set_default_torch_dtype  # noqa: PLC0415
    from vllm.v1.kv_cache_interface import AttentionSpec  # noqa: PLC0415
    from vllm.v1.worker.utils import customize_attention_spec  # noqa: PLC0415

    vllm.compilation_config.static_forward_context.clear()
    with set_default_torch_dtype(vllm.model_config.dtype), torch.device("meta"):
        initialize_model(vllm)
    with set_current_vllm_config(vllm):
        current_platform.update_block_size_for_backend(vllm)
        found = {}
        for name, layer in get_layers_from_vllm_config(vllm, AttentionLayerBase).items():
            spec = layer.get_kv_cache_spec(vllm)
            if isinstance(spec, AttentionSpec):
                spec = customize_attention_spec(layer.get_attn_backend(), spec)
            if spec is not None:
                found[name] = spec
    return found


def sized(question: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    from vllm.engine.arg_utils import EngineArgs  # noqa: PLC0415
    from vllm.usage.usage_lib import UsageContext  # noqa: PLC0415
    from vllm.v1.core import kv_cache_utils  # noqa: PLC0415

    (folder / "config.json").write_text(json.dumps(question["config"]))
    arguments = dict(question["arguments"])
    tensor, pipeline = arguments.pop("tensor_parallel_size", 1), arguments.pop("pipeline_parallel_size", 1)
    args = EngineArgs(model=str(folder), skip_tokenizer_init=True, load_format="dummy", enforce_eager=True, **arguments)
    vllm = args.create_engine_config(UsageContext.OPENAI_API_SERVER)
    vllm.parallel_config.tensor_parallel_size = tensor
    vllm.parallel_config.pipeline_parallel_size = pipeline
    found = []
    for stage in range(pipeline):
        with ranks(tensor, pipeline, stage):
            found.append(specs(vllm))
    vllm.cache_config.kv_cache_layout = "LBHNC"
    try:
        configs = kv_cache_utils.get_kv_cache_configs(vllm, found, [question["available"]] * pipeline)
    except ValueError as error:
        return {"refused": str(error)}
    tokens, concurrency = kv_cache_utils.get_kv_cache_capacity(
        vllm, kv_cache_utils.generate_scheduler_kv_cache_config(configs)
    )
    grows = [
        sum(-(-spec.page_size_bytes // spec.block_size) for spec in stage.values() if hasattr(spec, "head_size"))
        for stage in found
    ]
    return {
        "blocks": configs[0].num_blocks,
        "tokens": tokens,
        "concurrency": concurrency,
        "bytes_per_token": max(grows),
        "in_flight": vllm.max_in_flight_tokens,
        "length": vllm.model_config.max_model_len,
    }


def answered(line: str) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        try:
            return sized(json.loads(line), Path(folder))
        except Exception:  # noqa: BLE001 - told, and judged by the test
            return {"error": traceback.format_exc()[-3000:]}


def main() -> None:
    lines = sys.stdin.read().splitlines()
    answers = sys.stdout
    # vLLM logs to stdout.
    with contextlib.redirect_stdout(sys.stderr):
        from vllm.config import VllmConfig, set_current_vllm_config  # noqa: PLC0415
        from vllm.distributed import init_distributed_environment, initialize_model_parallel  # noqa: PLC0415
        from vllm.model_executor.models import registry  # noqa: PLC0415
        from vllm.utils.network_utils import get_open_port  # noqa: PLC0415

        # Each class would be imported once more in a process of its own, to keep this one small.
        registry._run_in_subprocess = lambda function: function()
        with set_current_vllm_config(VllmConfig()):
            init_distributed_environment(1, 0, f"tcp://127.0.0.1:{get_open_port()}", 0, "gloo")
            initialize_model_parallel(1, 1)
        found = [answered(line) for line in lines]
    for answer in found:
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
