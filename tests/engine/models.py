"""Copies of the tiny model that something is wrong with."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .starts import MODEL

Spoil = Callable[[Path], None]
#: `quantization_config` of a model in GPTQ.
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False, "sym": True}


def spoiled(folder: Path, spoil: Spoil) -> Path:
    model = folder / "model"
    shutil.copytree(MODEL, model)
    spoil(model)
    return model


def config(**changes: Any) -> Spoil:
    """config.json with other values."""

    def change(model: Path) -> None:
        path = model / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def with_own_code(model: Path) -> None:
    """As models come whose classes no library has."""
    config(model_type="own", auto_map={"AutoConfig": "own.OwnConfig"})(model)
    (model / "own.py").write_text(
        "from transformers import PretrainedConfig\n\n\nclass OwnConfig(PretrainedConfig):\n    model_type = 'own'\n"
    )


def cut_off(model: Path) -> None:
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])


def garbage(model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"\xff" * 5000)


def without_config(model: Path) -> None:
    (model / "config.json").unlink()


def half_a_config(model: Path) -> None:
    path = model / "config.json"
    path.write_text(path.read_text()[:200])


def large(model: Path) -> None:
    """Weights of 64 MiB, all holes."""
    with (model / "model.safetensors").open("ab") as weights:
        weights.truncate(64 << 20)
