"""env: an allow-list."""

import pytest

from fairlead_operator.api.engine import EnvVar
from fairlead_operator.core import environment


@pytest.mark.parametrize(
    "name",
    ["LD_PRELOAD", "PYTHONPATH", "PATH", "PROMETHEUS_MULTIPROC_DIR", "VLLM_PLUGINS", "VLLM_SERVER_DEV_MODE", "VLLM_API_KEY",
     "VLLM_USE_RUST_FRONTEND", "VLLM_KEEP_ALIVE_ON_ENGINE_DEATH", "VLLM_PORT", "HF_TOKEN", "NVIDIA_VISIBLE_DEVICES",
     "NCCL_NET_PLUGIN", "NCCL_CONF_FILE", "FAIRLEAD_CONFIG", "VLLM_CPU_KVCACHE_SPACE",
     "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_PYTHON_CONFIGURATOR"],
)  # fmt: skip
def test_refused_by_name(name: str) -> None:
    verdict = environment.judge([EnvVar(name="TZ", value="UTC"), EnvVar(name=name, value="1")])

    assert verdict is not None
    assert (verdict.reason, verdict.field) == ("DeniedArgument", "spec.engine.env")
    assert verdict.message.startswith(name)


@pytest.mark.parametrize(
    "name",
    [
        *("VLLM_LOGGING_LEVEL", "NCCL_DEBUG", "HF_ENDPOINT", "OMP_NUM_THREADS", "HTTPS_PROXY", "OTEL_SERVICE_NAME"),
        "VLLM_MEDIA_URL_ALLOW_REDIRECTS",
    ],
)
def test_harmless_ones_pass(name: str) -> None:
    assert environment.judge([EnvVar(name=name, value="1")]) is None


def test_a_variable_with_a_field_of_its_own_names_the_field() -> None:
    verdict = environment.judge([EnvVar(name="HF_TOKEN", value="x")])

    assert verdict is not None
    assert verdict.message.endswith("set spec.model.tokenSecretRef")
