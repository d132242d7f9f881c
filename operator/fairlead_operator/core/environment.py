"""`engine.env`: an allow-list. A variable can load code, move ports or switch off the guard, so unknown ones are refused."""

from collections.abc import Sequence
from typing import Final

from fairlead_operator.api.engine import EnvVar
from fairlead_operator.core.rejection import Rejection

_FIELD: Final = "spec.engine.env"

ALLOWED: Final = frozenset(
    {
        # The hub and the way to it.
        "HF_ENDPOINT", "HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT", "HF_HUB_ENABLE_HF_TRANSFER", "HF_XET_HIGH_PERFORMANCE",
        "HF_HUB_DISABLE_XET", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
        # Where an engine may be sent that fetches what a request names; beside --allowed-media-domains in extraArgs.
        "VLLM_MEDIA_URL_ALLOW_REDIRECTS",
        # Logging.
        "VLLM_LOGGING_LEVEL", "VLLM_LOG_STATS_INTERVAL", "TZ", "LANG", "LC_ALL",
        # Traces, beside --otlp-traces-endpoint in extraArgs. Certificates and plugins of OpenTelemetry are files and code.
        "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG",
        # Loading, compiling, attention, sampling.
        "VLLM_ALLOW_LONG_MAX_MODEL_LEN", "VLLM_ATTENTION_BACKEND", "VLLM_DISABLE_COMPILE_CACHE", "VLLM_ENABLE_STARTUP_PLAN",
        "VLLM_ENABLE_V1_MULTIPROCESSING", "VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS", "VLLM_FLASH_ATTN_VERSION", "VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS",
        "VLLM_USE_AOT_COMPILE", "VLLM_USE_DEEP_GEMM", "VLLM_USE_FLASHINFER_SAMPLER", "VLLM_USE_V2_MODEL_RUNNER", "VLLM_CPU_OMP_THREADS_BIND",
        "VLLM_CPU_NUM_OF_RESERVED_CPU", "VLLM_PP_LAYER_PARTITION", "VLLM_WORKER_MULTIPROC_METHOD",
        # Threads and libraries below the engine.
        "OMP_NUM_THREADS", "MKL_NUM_THREADS", "TOKENIZERS_PARALLELISM", "RAYON_NUM_THREADS", "CUDA_DEVICE_MAX_CONNECTIONS", "CUDA_LAUNCH_BLOCKING",
        "CUDA_MODULE_LOADING", "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "TORCH_CUDA_ARCH_LIST", "TORCH_NCCL_ASYNC_ERROR_HANDLING",
        "TRANSFORMERS_VERBOSITY",
    }
)  # fmt: skip
#: Tuning of collective communication; the plugins among them load libraries by path.
ALLOWED_PREFIXES: Final = ("NCCL_", "GLOO_", "UCX_")
REFUSED_PARTS: Final = ("PLUGIN", "_PRELOAD", "MODULE_DIR", "CONF_FILE", "LIB", "COMM_ID")

#: Variables with a field of their own, or whose reason to be refused is worth a sentence.
INSTEAD: Final = {
    "VLLM_API_KEY": "set spec.serving.apiKeySecretRef",
    "HF_TOKEN": "set spec.model.tokenSecretRef",
    "HUGGING_FACE_HUB_TOKEN": "set spec.model.tokenSecretRef",
    "VLLM_CPU_KVCACHE_SPACE": "set spec.engine.kvCacheMemory",
    "VLLM_ENGINE_READY_TIMEOUT_S": "set spec.engine.startTimeoutSeconds",
    "VLLM_CACHE_ROOT": "set spec.model.cache",
    "HF_HOME": "set spec.model.cache",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "put --otlp-traces-endpoint=URL into spec.engine.extraArgs",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "put --otlp-traces-endpoint=URL into spec.engine.extraArgs",
}


def judge(env: Sequence[EnvVar]) -> Rejection | None:
    """Why these variables cannot be set, or None. The first refused one is named."""
    for variable in env:
        if not _allowed(variable.name):
            remedy = INSTEAD.get(variable.name, "remove it; docs/reference.md lists what is allowed")
            return Rejection(
                "DeniedArgument",
                f"{variable.name} in engine.env is refused: it is not on the list of harmless variables; {remedy}",
                _FIELD,
            )
    return None


def _allowed(name: str) -> bool:
    if name in ALLOWED:
        return True
    return name.startswith(ALLOWED_PREFIXES) and not any(part in name for part in REFUSED_PARTS)
