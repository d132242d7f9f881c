"""What a newer operator wrote is refused by an older runtime, by its name, and never ignored."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fairlead_runtime.config import RuntimeConfig

MODEL = {"servedName": "mistral", "path": "/models/model"}


def read(folder: Path, **config: Any) -> RuntimeConfig:
    (folder / "config.json").write_text(json.dumps({"version": "v1", "model": MODEL, **config}))
    return RuntimeConfig.read(folder / "config.json")


def test_what_this_release_knows_is_read(tmp_path: Path) -> None:
    config = read(tmp_path, engine={"maxNumSeqs": 7}, serving={"drainSeconds": 8}, startTimeoutSeconds=9)

    assert (config.engine.max_num_seqs, config.serving.drain_seconds, config.start_timeout_seconds) == (7, 8, 9)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        pytest.param({"later": True}, ("later",), id="a setting of a later release"),
        pytest.param({"model": {**MODEL, "later": "x"}}, ("model", "later"), id="one of the model"),
        pytest.param({"engine": {"later": 1}}, ("engine", "later"), id="one of the engine"),
        pytest.param(
            {"engine": {"speculative": {"method": "ngram", "tokens": 2, "later": 1}}},
            ("engine", "speculative", "later"),
            id="one of speculative decoding",
        ),
        pytest.param({"parallelism": {"later": 2}}, ("parallelism", "later"), id="one of parallelism"),
        pytest.param({"serving": {"later": {}}}, ("serving", "later"), id="one of the serving port"),
        pytest.param(
            {"serving": {"rateLimit": {"requestsPerSecond": 1, "later": 2}}},
            ("serving", "rateLimit", "later"),
            id="one of its rate limit",
        ),
        pytest.param({"version": "v2"}, ("version",), id="a later form of all of it"),
    ],
)
def test_what_only_a_later_release_knows_is_refused_and_named(
    tmp_path: Path, config: dict[str, Any], named: tuple[str, ...]
) -> None:
    with pytest.raises(ValidationError) as refused:
        read(tmp_path, **config)

    assert [error["loc"] for error in refused.value.errors()] == [named]
    assert ".".join(named) in str(refused.value)
