"""What the engine takes beside weights and KV cache: the peak of one step at full batch, libraries' own memory, CUDA graphs.

The engine measures it with a step of max_num_batched_tokens when it starts; here it is estimated from the shapes, with an error.
FITTED figures come from one measurement: Mistral 7B's shape in bfloat16 on an H200 under vLLM 0.26, 8,192 tokens a step, at most 256
requests: 0.93 GiB at the peak, 0.22 GiB else, 0.59 GiB of graphs. Nine other configurations, 13B and fp8 among them, were within 0.07 GiB
of the first two together, and within 0.4 GiB of the graphs. With an EAGLE head the first two were up to 0.27 GiB more;
docs/benchmarks/plan-gpu.json.
"""

from typing import Final

from fairlead_runtime.memory.architecture import ModelConfig
from fairlead_runtime.memory.caches import Attention
from fairlead_runtime.memory.drafts import Draft
from fairlead_runtime.memory.quantization import DTYPE_BITS
from fairlead_runtime.memory.specs import dtype_of
from fairlead_runtime.memory.types import GIB, EngineSettings, Estimate

#: FITTED. Vectors of the hidden size that are alive at the peak: input, residual, and the products before and after.
HIDDEN_VECTORS: Final = 4
#: FITTED. Workspaces of the libraries.
OTHER: Final = int(0.22 * GIB)
#: FITTED. One layer in one captured batch size.
GRAPH_OF_LAYER: Final = int(0.59 * GIB) // (32 * 51)
#: FITTED to the same model with an EAGLE head, whose prefill and decode are captured apart: in one batch size, beyond its layer's.
GRAPH_OF_HEAD: Final = int(0.54 * GIB) // 51
#: Of the estimates: that a peak is seen of which no shape tells, that experts are worked off in pieces, and that graphs of another
#: model are as large.
PEAK_ERROR, EXPERTS_ERROR, GRAPH_ERROR = 0.3, 0.6, 0.6
LEAST_ERROR: Final = GIB // 4
#: An encoder of images runs with its largest input too.
TOWER_ERROR: Final = 2 * GIB
#: From vLLM's EngineArgs.get_batch_defaults: what it looks for in the accelerator's name, and bytes from which steps are larger.
A100, LARGE, LARGEST = "a100", 70 * GIB, 160 * GIB
#: No A100 has as much.
ABOVE_A100: Final = 82 * GIB


def steps(settings: EngineSettings, gpu: int | None, length: int) -> tuple[int, int]:
    """(tokens, requests) of one step at most, as the engine chooses where nothing is set: by the accelerator's memory and name, and so
    that a step is no larger than all requests of `length` tokens, and without chunked prefill no smaller than one.
    """
    if settings.device == "cpu":
        ranks = settings.tensor * settings.pipeline
        tokens, requests = 2048 * ranks, 128 * ranks
    elif gpu is not None and gpu >= LARGEST:
        tokens, requests = 16_384, 1024
    elif gpu is not None and gpu >= LARGE and A100 not in settings.gpu_name.lower():
        tokens, requests = 8192, 1024
    else:
        tokens, requests = 2048, 256
    if settings.throughput:
        tokens, requests = 2 * tokens, 2 * requests
    requests = settings.max_num_seqs or requests
    if not settings.chunked_prefill:
        tokens = max(tokens, length)
    tokens = settings.max_num_batched_tokens or min(tokens, requests * length)
    return tokens, min(requests, tokens)


def may_be_a100(settings: EngineSettings, gpu: int | None) -> bool:
    """Whether only the name would tell: an H100 has as much memory as an A100, and is planned for where there is none."""
    return settings.device == "gpu" and not settings.gpu_name and gpu is not None and LARGE <= gpu < ABOVE_A100


def activations(model: ModelConfig, settings: EngineSettings, tokens: int, requests: int) -> Estimate:
    """The peak of a step, and the libraries'."""
    width = DTYPE_BITS[dtype_of(model, settings)] // 8
    body = (
        tokens
        * width
        * (HIDDEN_VECTORS * model.hidden + max(_feed_forward(model), _attention(model)) // settings.tensor)
    )
    # Logits in 16 bits, and in 32 as probabilities and sorted.
    sampling = tokens * width * model.hidden + requests * model.vocabulary * (width + 3 * 4)
    peak = max(body, sampling)
    error = (
        LEAST_ERROR
        + int((EXPERTS_ERROR if model.experts else PEAK_ERROR) * peak)
        + (TOWER_ERROR if model.multimodal else 0)
    )
    return Estimate(peak + OTHER, error)


def graphs(model: ModelConfig, settings: EngineSettings, requests: int, draft: Draft | None = None) -> Estimate:
    """Sizes are 1, 2, 4, then every 8 to 256 and every 16 to 512, up to twice the requests. draft: a second model that guesses tokens."""
    if settings.eager or settings.device == "cpu":
        return Estimate(0)
    most = min(512, 2 * requests)
    sizes = 3 + min(most, 255) // 8 + max(0, most - 240) // 16
    layers = -(-len(model.layers) // settings.pipeline) + (len(draft.model.layers) if draft else 0)
    size = (GRAPH_OF_LAYER * layers + (GRAPH_OF_HEAD if draft and draft.head else 0)) * sizes
    return Estimate(size, int(GRAPH_ERROR * size))


def lora(model: ModelConfig, settings: EngineSettings) -> Estimate:
    """Room for adapters on every matrix of a layer, half of each split."""
    if not settings.lora_rank:
        return Estimate(0)
    heads, kv_heads = model.heads * model.head_size, model.kv_heads * model.head_size
    columns = 2 * (model.hidden + heads) + 2 * (model.hidden + kv_heads) + 3 * (model.hidden + model.intermediate)
    width = DTYPE_BITS[dtype_of(model, settings)] // 8
    layers = -(-len(model.layers) // settings.pipeline)
    size = settings.lora_slots * settings.lora_rank * columns * width * layers
    return Estimate(size, size // 2)


def _feed_forward(model: ModelConfig) -> int:
    """Elements for one token: gate and up side by side, and their product; the same and a result for each of its experts."""
    return max(3 * model.intermediate, model.chosen * (3 * model.expert_width + model.hidden))


def _attention(model: ModelConfig) -> int:
    heads = sum(isinstance(cache, Attention) for caches in model.layers[:1] for cache in caches)
    return (2 * model.heads + 2 * model.kv_heads) * model.head_size if heads else 4 * model.hidden
