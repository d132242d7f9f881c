"""Hugging Face Transformers on the same shape: transformers_generate.py MODEL BATCH GPU. Prints {"tok_s"} of generate(), 128 in, 256 out."""

import json
import sys
import time

import torch
from transformers import AutoConfig, AutoModelForCausalLM

IN, OUT = 128, 256


def main(folder: str, batch: int, gpu: int) -> None:
    torch.cuda.set_device(gpu)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), attn_implementation="sdpa").eval()
    prompts = torch.randint(3, 32_000, (batch, IN), device="cuda")

    def generate(tokens: int) -> None:
        with torch.inference_mode():
            model.generate(
                prompts, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=True, temperature=0.7, pad_token_id=2
            )
        torch.cuda.synchronize()

    generate(8)
    began = time.perf_counter()
    generate(OUT)
    print(json.dumps({"tok_s": round(batch * OUT / (time.perf_counter() - began), 1)}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
