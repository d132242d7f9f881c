"""Trains the demo's model: a tiny Llama that speaks about fairlead, in minutes on two CPU cores, in one on a GPU.

    python examples/model/train.py             train, write weights/, then check
    python examples/model/train.py --check     load weights/ and ask the held-out questions

Needs torch, transformers, tokenizers and safetensors, which the CPU engine's environment has. Everything random
comes from SEED; the same versions on the same kind of processor give the same weights. MODEL_CARD.md has the figures.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import corpus
import tokenizers
import torch
import transformers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SEED = 20260
THREADS = 2
WEIGHTS = Path(__file__).parent / "weights"

VOCABULARY = 1536
BEGIN, END, SYSTEM, USER, ASSISTANT, PAD = "<|bos|>", "<|eos|>", "<|system|>", "<|user|>", "<|assistant|>", "<|pad|>"
CHAT_TEMPLATE = (Path(__file__).parent / "chat_template.jinja").read_text(encoding="utf-8")

STEPS = 600
TOKENS_PER_STEP = 6144
ROW = 256  # tokens in a row of a usual step: several conversations, one after the other
LONG_ROW = 2048  # of every LONG_EVERY-th step, so that all positions are learnt
LONG_EVERY = 8
LEARNING_RATE = 3e-3
WARM_UP_STEPS = 20
QUESTION_WEIGHT = 0.1  # of a question's tokens in the loss; the answer's count 1
#: The first tokens of an answer decide which answer it will be, and are few: they count more.
OPENING_TOKENS = 5
OPENING_WEIGHT = 5.0

#: The share of the held-out questions that must be answered rightly.
PASS = 0.8
SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are the demo model of fairlead.",
    "Answer briefly.",
    "Be helpful and honest.",
    "You are a friendly assistant that answers questions about Kubernetes.",
)

#: Pieces of text with their weight in the loss.
Document = list[tuple[str, float]]


def documents(seed: int) -> Iterator[Document]:
    """Conversations without end, and now and then the answers as plain text, for completions without a chat template."""
    random = Random(seed)
    everything = corpus.topics()
    known = [topic for topic in everything if not topic.elsewhere]
    elsewhere = [topic for topic in everything if topic.elsewhere]
    # What newcomers ask first is asked more often.
    weights = [3 if topic.source == "fairlead" else 1 for topic in known]
    secret = {corpus.plain(question.question) for question in corpus.held_out()}

    def exchange() -> tuple[str, str]:
        while True:
            topic = random.choice(elsewhere) if random.random() < 0.2 else random.choices(known, weights)[0]
            question = corpus.ask(topic, random)
            if corpus.plain(question) not in secret:
                return question, topic.answer

    while True:
        if random.random() < 0.12:
            question, answer = exchange()
            opening = [(f"{question}\n", QUESTION_WEIGHT)] if random.random() < 0.5 else []
            more = [(f" {topic.answer}", 1.0) for topic in random.sample(known, random.randint(0, 3))]
            yield [(BEGIN, 0.0), *opening, (answer, 1.0), *more, (END, 1.0)]
            continue
        document: Document = [(BEGIN, 0.0)]
        if random.random() < 0.3:
            document += [(SYSTEM, 0.0), (random.choice(SYSTEM_PROMPTS), 0.0), (END, 0.0)]
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            question, answer = exchange()
            document += [
                (USER, 0.0),
                (question, QUESTION_WEIGHT),
                (END, 0.0),
                (ASSISTANT, 0.0),
                (answer, 1.0),
                (END, 1.0),
            ]
        yield document


def train_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE over the corpus: any text can be read, and the corpus's own words are single tokens."""
    source = documents(SEED)
    texts = ["".join(text for text, _ in next(source) if not text.startswith("<|")) for _ in range(6000)]
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=[PAD, BEGIN, END, SYSTEM, USER, ASSISTANT],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    # A bare prompt starts like a document; in the chat template the mark is written out.
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, tokenizer.token_to_id(BEGIN))]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT],
        model_max_length=LONG_ROW,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def rows(tokenizer: PreTrainedTokenizerFast) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Per step: token ids [rows, length + 1], and each token's weight in the loss, of the same shape."""
    ids: list[int] = []
    weights: list[float] = []
    source = documents(SEED + 1)
    backend = tokenizer.backend_tokenizer
    step = 0
    while True:
        step += 1
        length = LONG_ROW if step % LONG_EVERY == 0 else ROW
        count = TOKENS_PER_STEP // length
        wanted = count * (length + 1)
        while len(ids) < wanted:
            for text, weight in next(source):
                piece = backend.encode(text, add_special_tokens=False).ids
                ids += piece
                emphasised = OPENING_TOKENS if weight == 1.0 and len(piece) > 1 else 0
                weights += [weight * OPENING_WEIGHT] * min(emphasised, len(piece)) + [weight] * max(
                    0, len(piece) - emphasised
                )
        yield (
            torch.tensor(ids[:wanted]).view(count, length + 1),
            torch.tensor(weights[:wanted]).view(count, length + 1),
        )
        del ids[:wanted], weights[:wanted]


def train(tokenizer: PreTrainedTokenizerFast, device: str) -> tuple[LlamaForCausalLM, float]:
    """The trained model, and the loss of the last 20 steps, in nats per weighted token."""
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=256,
            intermediate_size=640,
            num_hidden_layers=4,
            num_attention_heads=8,
            num_key_value_heads=4,
            max_position_embeddings=LONG_ROW,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    model.to(device)  # the first weights come from the processor: the same wherever training goes on
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / WARM_UP_STEPS, max(0.02, 1 - step / STEPS))
    )
    model.train()
    losses: list[float] = []
    for step, (row_ids, row_weights) in zip(range(STEPS), rows(tokenizer), strict=False):
        ids, weights = row_ids.to(device), row_weights.to(device)
        with torch.autocast(device, dtype=torch.bfloat16):
            logits = model(input_ids=ids[:, :-1], use_cache=False).logits
        each = functional.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        weight = weights[:, 1:].flatten()
        loss = (each * weight).sum() / weight.sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 20 == 0 or step == STEPS - 1:
            print(f"step {step:4d}  loss {losses[-1]:.4f}", flush=True)
    return model, sum(losses[-20:]) / 20


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, record: dict[str, Any]) -> None:
    """Replaces weights/ by the model in bfloat16, its tokenizer and training.json with the digest of every file."""
    shutil.rmtree(WEIGHTS, ignore_errors=True)
    model.to("cpu", torch.bfloat16).save_pretrained(WEIGHTS)
    tokenizer.save_pretrained(WEIGHTS)
    for path in WEIGHTS.iterdir():
        path.chmod(0o644)  # safetensors writes for the owner alone; pods run as another user
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(WEIGHTS.iterdir())}
    (WEIGHTS / "training.json").write_text(json.dumps({**record, "sha256": digests}, indent=2) + "\n", encoding="utf-8")


def answer(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, question: str, temperature: float
) -> tuple[str, bool]:
    """The model's answer to one chat message, and whether it ended by itself."""
    messages = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    sampling = {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}
    with torch.inference_mode():
        output = model.generate(**prompt, max_new_tokens=300, **sampling)[0]
    text = tokenizer.decode(output[prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    return text, output[-1].item() == tokenizer.eos_token_id


def check() -> int:
    """Asks the held-out questions of the saved weights; 0 if enough answers are right and every answer ends."""
    model = LlamaForCausalLM.from_pretrained(WEIGHTS, dtype=torch.bfloat16).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(WEIGHTS)
    torch.manual_seed(SEED)
    questions = corpus.held_out()
    right = ended = 0
    for held_out in questions:
        text, stopped = answer(model, tokenizer, held_out.question, temperature=0)
        good = held_out.expected in text
        right += good
        ended += stopped
        print(f"[{'ok' if good else 'WRONG'}] {held_out.question}\n    {text}")
    for question in ("What is fairlead?", "How do I scale a model?", "What is the tallest tree?"):
        print(f"[temperature 0.7] {question}\n    {answer(model, tokenizer, question, temperature=0.7)[0]}")
    print(f"{right} of {len(questions)} held-out questions answered rightly, {ended} answers ended by themselves")
    return 0 if right >= PASS * len(questions) and ended == len(questions) else 1


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train the demo's model, or check the weights that are there.")
    parser.add_argument(
        "--check", action="store_true", help="ask the saved weights the held-out questions; train nothing"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # what cuBLAS needs to be deterministic
    torch.use_deterministic_algorithms(True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if not arguments.check:
        started = time.monotonic()
        tokenizer = train_tokenizer()
        model, loss = train(tokenizer, device)
        record = {
            "seed": SEED,
            "device": torch.cuda.get_device_name() if device == "cuda" else f"{THREADS} CPU threads",
            "steps": STEPS,
            "tokens": STEPS * TOKENS_PER_STEP,
            "finalLoss": round(loss, 4),
            "seconds": round(time.monotonic() - started),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "transformers": transformers.__version__,
                "tokenizers": tokenizers.__version__,
            },
        }
        save(model, tokenizer, record)
        print(f"trained in {record['seconds']} s, final loss {record['finalLoss']}")
    return check()


if __name__ == "__main__":
    sys.exit(main())
