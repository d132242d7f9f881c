"""Stand-ins write what vLLM's response models write. The models here have the forms of vLLM's; tests/engine has vLLM's own."""

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, model_serializer

from fairlead_runtime import chunks
from fairlead_runtime.chunks import Route, install, made


class Base(BaseModel):
    model_config = ConfigDict(extra="allow")


class Usage(Base):
    total_tokens: int


class Choice(Base):
    index: int
    text: str
    logprobs: list[float] | None = None
    finish_reason: str | None = None
    token_ids: list[int] | None = None


class Completion(Base):
    id: str
    object: str = "text_completion"
    model: str
    choices: list[Choice]
    usage: Usage | None = None
    system_fingerprint: str | None = None


class Delta(Base):
    role: str | None = None
    content: str | None = None
    tool_calls: list[dict[str, str]] = Field(default_factory=list)

    @model_serializer(mode="wrap")
    def _serialize(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        data = handler(self)
        if not data.get("tool_calls"):
            data.pop("tool_calls", None)
        return data


class ChatChoice(Base):
    index: int
    delta: Delta
    finish_reason: str | None = None


class Chat(Base):
    id: str
    model: str
    choices: list[ChatChoice]
    usage: Usage | None = None


COMPLETION = (Completion, Choice)
CHAT = (Chat, ChatChoice, Delta)
Models = tuple[type[Any], ...]
Build = Callable[[Models], Any]


def completion(text: str = " a", **fields: Any) -> Build:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": None, "token_ids": None} | fields
    return lambda models: models[0](id="cmpl-1", model="m", choices=[models[1](**choice)])


def chat(**delta: Any) -> Build:
    return lambda models: models[0](
        id="chatcmpl-1", model="m", choices=[models[1](index=0, delta=models[2](**delta), finish_reason=None)]
    )


def changed(build: Build, **fields: Any) -> Build:
    """Fields that are set once the chunk is there, as vLLM sets usage and fingerprint."""

    def then(models: Models) -> Any:
        chunk = build(models)
        for name, value in fields.items():
            setattr(chunk, name, value)
        return chunk

    return then


@pytest.mark.parametrize(
    ("models", "text", "build"),
    [
        pytest.param(COMPLETION, "text", completion(), id="a word"),
        pytest.param(COMPLETION, "text", completion(""), id="no text"),
        pytest.param(COMPLETION, "text", completion(index=3), id="another choice"),
        pytest.param(COMPLETION, "text", completion(token_ids=[1, 2]), id="its tokens"),
        pytest.param(COMPLETION, "text", completion(logprobs=[0.5]), id="its probabilities"),
        pytest.param(COMPLETION, "text", completion(finish_reason="stop"), id="the last one"),
        pytest.param(COMPLETION, "text", changed(completion(), usage=Usage(total_tokens=3)), id="usage all along"),
        pytest.param(COMPLETION, "text", changed(completion(), system_fingerprint="f"), id="a fingerprint"),
        pytest.param(COMPLETION, "text", lambda models: models[0](id="c", model="m", choices=[]), id="no choice"),
        pytest.param(CHAT, "content", chat(content=" a"), id="a word of a chat"),
        pytest.param(CHAT, "content", chat(role="assistant", content=""), id="who speaks"),
        pytest.param(CHAT, "content", chat(), id="an empty delta"),
        pytest.param(CHAT, "content", chat(content=None), id="no content"),
        pytest.param(CHAT, "content", chat(tool_calls=[{"name": "f"}]), id="a tool call"),
        pytest.param(
            CHAT,
            "content",
            lambda models: models[0](
                id="c", model="m", choices=[models[1](index=0, delta=Delta(content="a"), finish_reason=None)]
            ),
            id="a delta that a parser of vLLM made",
        ),
    ],
)
def test_a_stand_in_writes_what_its_model_writes(models: Models, text: str, build: Build) -> None:
    stand_ins = made(models, text)

    for _ in range(2):  # anew, and remembered
        assert build(stand_ins).model_dump_json(exclude_unset=True) == build(models).model_dump_json(exclude_unset=True)
    assert build(stand_ins).model_dump_json(exclude_none=True) == build(models).model_dump_json(exclude_none=True)


@given(st.lists(st.tuples(st.text(), st.sampled_from(["a", "b"]), st.integers(0, 3)), max_size=20))
def test_chunks_of_many_answers_do_not_mix(sent: list[tuple[str, str, int]]) -> None:
    stand_ins = made(COMPLETION, "text")

    for text, model, index in sent:

        def written(models: Models, text: str = text, model: str = model, index: int = index) -> str:
            choice = models[1](index=index, text=text, finish_reason=None)
            return str(models[0](id=model, model=model, choices=[choice]).model_dump_json(exclude_unset=True))

        assert written(stand_ins) == written(COMPLETION)


def test_a_chunk_of_text_is_written_without_its_models(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_ins = made(COMPLETION, "text")
    first = completion(" one")(stand_ins).model_dump_json(exclude_unset=True)
    monkeypatch.setattr(chunks, "real", lambda _: pytest.fail("a model was made"))

    assert completion(" two")(stand_ins).model_dump_json(exclude_unset=True) == first.replace(" one", " two")


def test_a_chunk_that_carries_the_prompt_is_not_remembered() -> None:
    stand_ins = made(COMPLETION, "text")
    form: Any = stand_ins[0].form  # type: ignore[attr-defined]

    def written(models: Models, name: str) -> str:
        chunk = models[0](id="c", model=name, choices=[models[1](index=0, text=" a", finish_reason=None)])
        return str(chunk.model_dump_json(exclude_unset=True))

    assert written(stand_ins, "m" * 10_000) == written(COMPLETION, "m" * 10_000)
    assert form.cache_info().currsize == 0
    assert written(stand_ins, "m") == written(COMPLETION, "m")
    assert form.cache_info().currsize == 1


def test_a_stand_in_is_taken_for_its_model() -> None:
    _, choice, delta = made(CHAT, "content")
    made_choice = choice(index=0, delta=delta(content="a"), finish_reason=None)

    assert isinstance(made_choice, ChatChoice)
    assert made_choice.delta.content == "a"
    assert made_choice.delta.role is None
    assert made_choice.delta.tool_calls == []
    with pytest.raises(AttributeError, match="nonsense"):
        _ = made_choice.nonsense


@pytest.fixture
def serving() -> Iterator[ModuleType]:
    module = ModuleType("serving_with_models")
    vars(module).update({model.__name__: model for model in COMPLETION})
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


def test_they_take_the_models_places(serving: ModuleType) -> None:
    assert install((Route(serving.__name__, ("Completion", "Choice"), "text"),)) == [serving.__name__]

    assert completion("a")((serving.Completion, serving.Choice)).model_dump_json(exclude_unset=True) == completion("a")(
        COMPLETION
    ).model_dump_json(exclude_unset=True)
    assert serving.Completion is not Completion


class Odd(Completion):
    """A vLLM whose model cannot be used as ours expects."""

    def model_dump_json(self, **_: Any) -> str:
        raise KeyError("choices of another kind")


class Loud(Completion):
    """A vLLM that writes text in capitals."""

    def model_dump_json(self, **how: Any) -> str:
        return super().model_dump_json(**how).upper()


@pytest.mark.parametrize(
    ("models", "why"),
    [
        pytest.param({"Completion": Loud, "Choice": Choice}, "would write", id="writes otherwise"),
        pytest.param({"Completion": Odd, "Choice": Choice}, "of another kind", id="raises"),
        pytest.param({"Completion": Completion}, "Choice", id="has no such model"),
        pytest.param({"Completion": Completion, "Choice": Usage}, "validation error", id="has other fields"),
    ],
)
def test_a_vllm_that_differs_keeps_its_own(
    serving: ModuleType, models: dict[str, type[Any]], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("Completion", "Choice"):
        delattr(serving, name)
    vars(serving).update(models)

    assert install((Route(serving.__name__, ("Completion", "Choice"), "text"),)) == []

    assert {name: getattr(serving, name) for name in models} == models
    assert why in caplog.text
