"""The chunks of streamed answers, without a response model for each token.

With 256 streams the engine's front end is busy with nothing else: vLLM builds, validates and serializes two or three pydantic models
for every token, a quarter of the time that a token costs there (profiled on vLLM 0.26, one H200). All chunks of one answer differ in
their text alone. So vLLM's serving modules get stand-ins for these models: a chunk that is nothing but text is the JSON that vLLM's
own model made for that answer, with the text put in; any other chunk is made by the model itself.

What is sent is the same, byte for byte. That is checked against vLLM's models at every start; a vLLM that differs keeps its own.
"""

import functools
import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any, ClassVar

logger = logging.getLogger(__name__)

#: All names, then all values.
Fields = tuple[Any, ...]

#: Answers whose form is remembered: more than run at a time.
REMEMBERED = 16_384
#: Characters of a form: 32 MiB for all that are remembered.
LONGEST_FORM = 2048
#: Occurs in no other field of a chunk.
_HOLE = "\x00fairlead\x00"
#: Every kind of character that JSON writes in its own way.
SAMPLES = (
    "",
    "fairlead",
    ' "quoted" \\ and / ',
    "\n\r\t\b\f",
    "\x00\x1f\x7f\x80",
    "äß漢字🚢\u2028\ufeff",
    "</s><|im_end|>",
)


@dataclass(frozen=True, slots=True)
class Route:
    """One of vLLM's serving modules and the names of its models, outermost first; `text` is the innermost one's field."""

    module: str
    models: tuple[str, ...]
    text: str


ROUTES = (
    Route(
        "vllm.entrypoints.openai.completion.serving",
        ("CompletionStreamResponse", "CompletionResponseStreamChoice"),
        "text",
    ),
    Route(
        "vllm.entrypoints.openai.chat_completion.serving",
        ("ChatCompletionStreamResponse", "ChatCompletionResponseStreamChoice", "DeltaMessage"),
        "content",
    ),
)


def install(routes: tuple[Route, ...] = ROUTES) -> list[str]:
    """Puts the stand-ins in place. The modules that have them; the log says of any other why not."""
    done = []
    for route in routes:
        try:
            module = importlib.import_module(route.module)
            if issubclass(getattr(module, route.models[0]), StandIn):
                done.append(route.module)
                continue
            stand_ins = made(tuple(getattr(module, name) for name in route.models), route.text)
            check(stand_ins, route.text)
        except Exception as error:  # noqa: BLE001 - whatever this vLLM does otherwise, it goes on doing so
            logger.warning("%s keeps its own way of writing chunks: %s", route.module, error)
            continue
        for name, stand_in in zip(route.models, stand_ins, strict=True):
            setattr(module, name, stand_in)
        done.append(route.module)
    return done


class StandIn:
    """The fields that a response model was given. The model is made when somebody needs more of it."""

    stands_for: ClassVar[type[Any]]

    def __init__(self, **fields: Any) -> None:
        self.__dict__ = fields

    def __getattr__(self, name: str) -> Any:
        """A field that was not given, or a method."""
        field = getattr(self.stands_for, "model_fields", {}).get(name)
        if field is not None and not field.is_required():
            return field.get_default(call_default_factory=True)
        return getattr(real(self), name)

    @property
    def __class__(self) -> type[Any]:
        """So that isinstance() holds."""
        return self.stands_for

    @__class__.setter
    def __class__(self, _: type[Any]) -> None:
        raise TypeError("a stand-in stays one")


class Chunk(StandIn):
    """The outermost one: it knows its JSON. This runs once per token and stream: written for speed."""

    text_field: ClassVar[str]
    choice_model: ClassVar[type[StandIn]]
    #: The model between the choice and the text, if there is one.
    delta_model: ClassVar[type[StandIn] | None]
    #: Names and values of all fields but the text -> what stands before the text and after it.
    form: ClassVar[Callable[[Fields, Fields, Fields], tuple[str, str]]]

    def model_dump_json(self, **how: Any) -> str:
        """As the model would write it."""
        if how == {"exclude_unset": True} and (written := self.written()) is not None:
            return written
        by_model: str = real(self).model_dump_json(**how)
        return by_model

    def written(self) -> str | None:
        """None for a chunk that is more than text: the last of its choice, or one with log probabilities, tokens or usage."""
        whole = self.__dict__.copy()
        choices = whole.pop("choices")
        if len(choices) != 1 or type(choices[0]) is not self.choice_model:
            return None
        choice = choices[0].__dict__.copy()
        if choice.get("finish_reason") is not None:
            return None
        delta: dict[str, Any] = {}
        if self.delta_model is not None:
            if type(choice["delta"]) is not self.delta_model:
                return None
            delta = choice.pop("delta").__dict__.copy()
        text = (delta or choice).pop(self.text_field, None)
        if type(text) is not str:
            return None
        try:
            before, after = type(self).form(
                (*whole, *whole.values()), (*choice, *choice.values()), (*delta, *delta.values())
            )
        except TypeError:  # a list or a model among the fields
            return None
        return before + encode_basestring(text) + after


def made(models: tuple[type[Any], ...], text: str) -> tuple[type[StandIn], ...]:
    """Stand-ins for these models, the outermost a Chunk."""

    def form(whole: Fields, choice: Fields, delta: Fields) -> tuple[str, str]:
        """Raises TypeError when the text does not stand in it once, or it is long."""
        fields = _paired(choice)
        if len(models) > 2:
            fields["delta"] = models[2](**_paired(delta), **{text: _HOLE})
        else:
            fields[text] = _HOLE
        written = models[0](**_paired(whole), choices=[models[1](**fields)]).model_dump_json(exclude_unset=True)
        parts = written.split(encode_basestring(_HOLE))
        if len(parts) != 2:
            raise TypeError(f"{text} does not stand in the chunk once")
        if len(parts[0]) + len(parts[1]) > LONGEST_FORM:
            # vLLM can be asked to send the prompt along: that is not kept.
            raise TypeError("the chunk is too long to be remembered")
        return parts[0], parts[1]

    inner = [type(model.__name__, (StandIn,), {"stands_for": model}) for model in models[1:]]
    known = {
        "stands_for": models[0],
        "text_field": text,
        "choice_model": inner[0],
        "delta_model": inner[1] if len(inner) > 1 else None,
        "form": staticmethod(functools.lru_cache(maxsize=REMEMBERED)(form)),
    }
    return type(models[0].__name__, (Chunk,), known), *inner


def _paired(fields: Fields) -> dict[str, Any]:
    half = len(fields) // 2
    return dict(zip(fields[:half], fields[half:], strict=True))


def real(value: Any) -> Any:
    """The model with these fields; what is no stand-in is itself."""
    if isinstance(value, list):
        return [real(item) for item in value]
    if issubclass(type(value), StandIn):
        return value.stands_for(**{name: real(field) for name, field in value.__dict__.items()})
    return value


def check(stand_ins: tuple[type[Any], ...], text: str) -> None:
    """Raises ValueError when a chunk of text would be written in another way than its model writes it."""
    whole, choice, *delta = stand_ins
    for sample in SAMPLES:
        fields = {"delta": delta[0](**{text: sample})} if delta else {text: sample}
        choices = [choice(index=0, **fields, logprobs=None, finish_reason=None)]
        chunk = whole(id="cmpl-1", created=1, model="a", choices=choices)
        by_model = real(chunk).model_dump_json(exclude_unset=True)
        if (written := chunk.written()) != by_model:
            raise ValueError(f"instead of {by_model!r} it would write {written!r}")
