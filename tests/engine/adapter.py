"""Writes a LoRA adapter of rank 8 for the tiny model into the folder given; run with the engine's Python."""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

LAYERS, HIDDEN, HEADS_OUT, RANK = 4, 256, 256, 8

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True)
    name = "base_model.model.model.layers.{}.self_attn.q_proj.lora_{}.weight"
    tensors = {}
    for layer in range(LAYERS):
        tensors[name.format(layer, "A")] = torch.zeros(RANK, HIDDEN)
        tensors[name.format(layer, "B")] = torch.zeros(HEADS_OUT, RANK)
    save_file(tensors, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": RANK, "lora_alpha": RANK, "target_modules": ["q_proj"], "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
