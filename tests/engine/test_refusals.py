"""What the installed vLLM refuses before it reads weights, and what the diagnosis makes of its words: one import for all rows.

test_failures.py has the same way through whole process trees, and what only those can show.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from . import models
from .hub import serving
from .judging import judged
from .starts import MODEL, configured

pytestmark = pytest.mark.timeout(500)

Config = Callable[[Path], dict[str, Any]]


def engine(**settings: Any) -> Config:
    return lambda _: configured(**settings)


def model(spoil: models.Spoil, **settings: Any) -> Config:
    return lambda folder: configured(path=str(models.spoiled(folder, spoil)), **settings)


def hub(repository: str, revision: str | None = None) -> Config:
    def build(_: Path) -> dict[str, Any]:
        config = configured(repository=repository)
        config["model"] |= {"revision": revision} if revision else {}
        return config

    return build


GPTQ = models.config(quantization_config=models.GPTQ)
URI, TOKEN, LENGTH, ARGS = (
    "spec.model.uri",
    "spec.model.tokenSecretRef",
    "spec.engine.maxModelLen",
    "spec.engine.extraArgs",
)
QUANTIZATION, BATCH = "spec.engine.quantization", "spec.engine.maxNumBatchedTokens"

#: The sentence, what is asked for, then the failure: code, field, a part of its message, and its suggestion, matched whole.
ROWS: tuple[tuple[str, Config, str, str, str, str], ...] = (
    ("no folder there", engine(path="/no/such/folder"), "ModelNotFound", URI, "/no/such/folder", ".*"),
    ("a folder without a model", model(models.without_config), "ModelNotFound", URI, "/model", ".*"),
    ("a model whose configuration is cut off", model(models.half_a_config), "WeightsCorrupt", URI, "config.json", ".*"),
    ("an unknown architecture", model(models.config(architectures=["FooForCausalLM"])), "UnsupportedArchitecture", URI, "FooForCausalLM", ".*"),
    ("a model whose class needs a package that is not there", model(models.config(architectures=["Terratorch"])), "UnsupportedArchitecture", URI, "failed to be inspected", ".*"),
    ("an unknown kind of model", model(models.config(model_type="foobar")), "UnsupportedArchitecture", URI, "foobar", ".*"),
    ("a model with code of its own", model(models.with_own_code), "RemoteCodeRequired", "spec.model.trustRemoteCode", "custom", "true, .*"),
    ("more context than the model has: its own is proposed", engine(maxModelLen=4096), "ContextTooLong", LENGTH, "4096", "2048"),
    ("an unknown quantization", engine(quantization="foo4"), "UnsupportedQuantization", QUANTIZATION, "awq", ".*"),
    ("another quantization than the model's", model(GPTQ, quantization="awq"), "UnsupportedQuantization", QUANTIZATION, "gptq", "gptq, or leave it out"),
    ("a profile that quantizes, for a model that is quantized", model(GPTQ, profile="LatencyFP8"), "UnsupportedQuantization", "spec.engine.profile", "gptq", "another profile, .*"),
    ("heads that cannot be split: the next size is proposed", engine(parallelism={"tensor": 3}), "TensorParallelMismatch", "spec.parallelism.tensor", "8 attention heads", "2"),
    ("an unknown type", engine(dtype="float99"), "BadArgument", "spec.engine.dtype", "float99", ".*"),
    ("an unknown type of the cache", engine(kvCacheDtype="fp3"), "BadArgument", "spec.engine.kvCacheDtype", "fp3", ".*"),
    ("an unknown way to guess tokens", engine(speculative={"method": "clairvoyance", "tokens": 2}), "BadArgument", "spec.engine.speculative", "clairvoyance", ".*"),
    ("a draft model that is not there", engine(speculative={"method": "draft_model", "tokens": 3, "model": "/no"}), "ModelNotFound", "spec.engine.speculative.model", "/no", ".*"),
    ("fewer tokens in a step than requests", engine(maxNumSeqs=8, maxNumBatchedTokens=4), "BadArgument", BATCH, "4 tokens", "8"),
    ("fewer tokens in a step than in a prompt that must be whole", engine(chunkedPrefill=False, maxNumBatchedTokens=64), "BadArgument", BATCH, "64 tokens", "256"),
    ("an argument with a bad value", engine(extraArgs=["--stream-interval=abc"]), "BadArgument", ARGS, "abc", ".*"),
    ("an argument that this vLLM does not have", engine(extraArgs=["--no-such-flag"]), "UnknownEngineArgument", ARGS, "--no-such-flag", ".*"),
    ("a chat template that is not there", engine(extraArgs=["--chat-template=/no/such.jinja"]), "BadChatTemplate", ARGS, "/no/such.jinja", ".*"),
    ("something that a CPU cannot do", engine(extraArgs=["--enable-sleep-mode"]), "UnsupportedSetting", "spec.engine", "Sleep mode", ".*"),
    ("a repository that does not exist", hub("org/absent"), "ModelNotFound", URI, "org/absent", ".*"),
    ("a private repository without a token", hub("org/private"), "ModelNotFound", URI, "org/private", ".*tokenSecretRef"),
    ("a token that is none", hub("org/wrong-token"), "Unauthorized", TOKEN, "Invalid credentials", ".*"),
    ("a gated repository", hub("org/gated"), "Unauthorized", TOKEN, "gated", ".*"),
    ("a token without the right", hub("org/forbidden"), "Unauthorized", TOKEN, "403", ".*"),
    ("a revision that does not exist", hub("org/tiny", "v9"), "RevisionNotFound", "spec.model.revision", "v9", ".*"),
    ("a hub that is broken", hub("org/broken"), "HubUnreachable", URI, "connect", ".*"),
)  # fmt: skip


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Any]]:
    folder = tmp_path_factory.mktemp("refusals")
    configs = []
    for number, (_, config, *_) in enumerate(ROWS):
        own = folder / str(number)
        own.mkdir()
        configs.append(config(own))
    with serving({"org/tiny": MODEL}) as local:
        answers = judged(configs, folder, {"HF_ENDPOINT": local.url, "HF_HUB_OFFLINE": "0"})
    return {row[0]: answer for row, answer in zip(ROWS, answers, strict=True)}


@pytest.mark.parametrize(
    ("sentence", "config", "code", "field", "said", "suggestion"), [pytest.param(*row, id=row[0]) for row in ROWS]
)
def test_a_refusal_names_cause_field_and_value(
    refusals: Mapping[str, Mapping[str, Any]],
    sentence: str,
    config: Config,
    code: str,
    field: str,
    said: str,
    suggestion: str,
) -> None:
    failure = refusals[sentence].get("failure")

    assert failure is not None, "vLLM took it"
    assert (failure["code"], failure["field"]) == (code, field), failure
    assert said in failure["message"]
    assert re.fullmatch(suggestion, failure["suggestion"]), failure
