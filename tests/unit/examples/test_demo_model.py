"""The demo's model as it is committed: whole, small, and made by the script beside it. Needs no torch."""

import hashlib
import json
import struct
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import jinja2
import pytest
import yaml

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
MODEL = EXAMPLES / "model"
WEIGHTS = MODEL / "weights"
FILES = {
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "training.json",
}
#: Bytes. The repository carries every version of the weights for ever.
SIZE_LIMIT = 8_000_000


def load(name: str) -> dict[str, Any]:
    return dict(json.loads((WEIGHTS / name).read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def corpus() -> ModuleType:
    spec = spec_from_file_location("demo_model_corpus", MODEL / "corpus.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look up the module of their class
    spec.loader.exec_module(module)
    return module


def test_every_file_of_the_model_is_there_and_small() -> None:
    found = {path.name: path for path in WEIGHTS.iterdir()}

    assert set(found) == FILES
    assert sum(path.stat().st_size for path in found.values()) < SIZE_LIMIT


def test_any_user_may_read_the_weights() -> None:
    """Pods run as a user of their own."""
    assert all(path.stat().st_mode & 0o004 for path in WEIGHTS.iterdir())


def test_the_files_are_those_of_the_recorded_training() -> None:
    recorded = load("training.json")["sha256"]

    assert set(recorded) == FILES - {"training.json"}
    for name, digest in recorded.items():
        assert hashlib.sha256((WEIGHTS / name).read_bytes()).hexdigest() == digest, name


def test_the_training_says_how_to_repeat_it() -> None:
    training = load("training.json")

    assert isinstance(training["seed"], int)
    assert {"python", "torch", "transformers", "tokenizers"} == set(training["versions"])
    assert 0 < training["finalLoss"] < 1


def test_the_model_can_be_split_over_two_devices() -> None:
    config = load("config.json")

    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["num_attention_heads"] % 2 == 0
    assert config["num_key_value_heads"] % 2 == 0
    assert config["hidden_size"] % config["num_attention_heads"] == 0


def test_the_demo_asks_for_no_longer_context_than_the_model_has() -> None:
    demo = yaml.safe_load((EXAMPLES / "demo.yaml").read_text(encoding="utf-8"))

    assert demo["spec"]["engine"]["maxModelLen"] <= load("config.json")["max_position_embeddings"]


def test_the_weights_are_bfloat16_and_their_number_is_the_recorded_one() -> None:
    data = (WEIGHTS / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    tensors = {name: tensor for name, tensor in json.loads(data[8 : 8 + length]).items() if name != "__metadata__"}

    assert {tensor["dtype"] for tensor in tensors.values()} == {"BF16"}
    assert (len(data) - 8 - length) // 2 == load("training.json")["parameters"]


def test_the_tokenizer_knows_the_marks_of_the_chat_template() -> None:
    tokenizer = load("tokenizer.json")
    added = {token["content"] for token in tokenizer["added_tokens"]}

    assert {"<|bos|>", "<|eos|>", "<|system|>", "<|user|>", "<|assistant|>"} <= added
    assert len(tokenizer["model"]["vocab"]) == load("config.json")["vocab_size"]


def template() -> jinja2.Template:
    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    return environment.from_string((WEIGHTS / "chat_template.jinja").read_text(encoding="utf-8"))


def test_the_chat_template_marks_who_speaks() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": " Hi "},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Who are you?"},
    ]

    prompt = template().render(messages=messages, bos_token="<|bos|>", eos_token="<|eos|>", add_generation_prompt=True)

    assert prompt == (
        "<|bos|><|system|>Be brief.<|eos|><|user|>Hi<|eos|><|assistant|>Hello!<|eos|><|user|>Who are you?<|eos|><|assistant|>"
    )


def test_the_chat_template_refuses_a_role_that_the_model_never_saw() -> None:
    with pytest.raises(jinja2.TemplateError, match="tool"):
        template().render(
            messages=[{"role": "tool", "content": "x"}], bos_token="", eos_token="", add_generation_prompt=True
        )


def test_the_template_of_the_weights_is_the_one_beside_the_script() -> None:
    assert (WEIGHTS / "chat_template.jinja").read_text() == (MODEL / "chat_template.jinja").read_text()


def test_the_corpus_can_be_read_and_asked(corpus: ModuleType) -> None:
    topics = corpus.topics()
    random = Random(1)

    assert len({topic.answer for topic in topics}) == len(topics) > 100
    for topic in topics:
        for _ in range(20):
            question = corpus.ask(topic, random)
            assert question
            assert not set("{}|") & set(question), (topic.source, question)


def test_every_held_out_question_expects_words_of_one_answer(corpus: ModuleType) -> None:
    answers = [topic.answer for topic in corpus.topics()]

    for held_out in corpus.held_out():
        assert any(held_out.expected in answer for answer in answers), held_out


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("Q: What?\n", "no `A:` line", id="questions without an answer"),
        pytest.param("A: Yes.\n", "an answer without questions", id="an answer without questions"),
        pytest.param("What: x\n\nA: Yes.\n", "no `A:` line", id="a topic torn by a blank line"),
        pytest.param("Q: {a|b?\nA: Yes.\n", "braces pair up", id="a brace left open"),
        pytest.param("Why: x\nA: Yes.\n", "starts with one of", id="an unknown kind"),
        pytest.param("# nothing\n", "no topics", id="no topics at all"),
    ],
)
def test_a_broken_corpus_is_refused_with_the_place(
    corpus: ModuleType, tmp_path: Path, text: str, complaint: str
) -> None:
    (tmp_path / "broken.txt").write_text(text, encoding="utf-8")

    with pytest.raises(corpus.CorpusError, match=complaint):
        corpus.topics(tmp_path)
