"""`engine.extraArgs` and what the fields become, judged as the parser of the image's vLLM will judge them.

Refused is what that parser does not know or does not take, what a field of the resource sets (two places for one setting would
contradict each other), and what is not on the list of harmless destinations (core/engines/allowed.py). Since destinations are
judged and not spellings, underscores, abbreviations, `--no-x`, `-x=y` and dotted forms make no difference.

Of an image whose version is not known, only what is refused in every spelling of every known version is: the rest is left to
the engine's own parser, which says UnknownEngineArgument at start.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from fairlead_operator.core import engines
from fairlead_operator.core.engines.allowed import ALLOWED, CLOSED, CLOSED_KEYS, NEEDED
from fairlead_operator.core.engines.parser import Given, Parser, Refusal
from fairlead_operator.core.engines.values import Argument, objects
from fairlead_operator.core.rejection import Rejection
from fairlead_runtime import profiles
from fairlead_runtime.arguments import build_argv
from fairlead_runtime.config import RuntimeConfig
from fairlead_runtime.failure import redact
from fairlead_runtime.flags import FIELDS, field_of, spelled

_FIELD: Final = "spec.engine.extraArgs"
_AFTER_FLAG: Final = re.compile(r"[=\s]")


def judge(arguments: Sequence[str], version: str = "") -> Rejection | None:
    """Why these arguments cannot be passed on, or None. version: of vLLM in the image, "" where it is not known."""
    if verdict := _written(arguments):
        return verdict
    parser = engines.parser_of(version)
    if parser is None:
        return next((verdict for argument in arguments if (verdict := _closed_anywhere(argument))), None)
    given, refusal = parser.parse(arguments)
    for one in given:
        if verdict := _closed(one):
            return verdict
    refusal = (
        refusal
        or next((complaint for one in given if (complaint := parser.judge_values(one))), None)
        or _conflict(given)
        or _missing(given)
    )
    return _refused(refusal, parser) if refusal else None


def judge_rendered(config: RuntimeConfig, version: str) -> Rejection | None:
    """Why the version of the image cannot take what the fields and the profile of the spec become, or None."""
    parser = engines.parser_of(version)
    if parser is None:
        return None
    command = build_argv(config)
    given, refusal = parser.parse(command[: len(command) - len(config.engine.extra_args)])
    refusal = refusal or next((complaint for one in given if (complaint := parser.judge_values(one))), None)
    if refusal is None:
        return None
    field = field_of(refusal.written, profiles.FIELD)
    why = (
        refusal.why
        if refusal.dest
        else "it has no such argument; leave the field out, or set spec.image to a newer one"
    )
    return Rejection(
        "UnsupportedByEngine",
        f"{field} becomes {refusal.written}, which vLLM {parser.version} refuses: {redact(why)}",
        field,
    )


def _written(arguments: Sequence[str]) -> Rejection | None:
    """What is wrong in any version: a word that argparse would read as something else than it looks like."""
    if arguments and not arguments[0].startswith("-"):
        return _denied(arguments[0], "it is a value without a flag before it", "put its flag before it")
    for argument in arguments:
        if argument in {"-", "--"}:
            return _denied(argument, "it is no flag", "remove it")
        name = argument.partition("=")[0]
        if name.startswith("--") and any(character.isspace() for character in name):
            return _denied(argument, "flag and value are one item", "write them as two items, or as --flag=value")
    return None


def _closed(given: Given) -> Rejection | None:
    argument = given.argument
    if argument.dest == "model_tag":
        return Rejection(
            "DeniedArgument",
            f"{_shown(given.values[0])} in engine.extraArgs is a value without a flag, which vLLM takes for the model; put its flag before it",
            _FIELD,
        )
    if verdict := _closed_destination(given.flag, argument):
        return verdict
    closed = CLOSED_KEYS.get(argument.dest, {})
    for value in objects(argument, given.values):
        for key in _keys(value):
            if key in closed:
                return _denied(f"{given.flag}.{key}", closed[key], "remove it")
    return None


def _closed_destination(written: str, argument: Argument) -> Rejection | None:
    field = next((FIELDS[flag] for flag in argument.flags if flag in FIELDS), "")
    if field:
        return Rejection(
            "DeniedArgument",
            f"{_shown(written)} in engine.extraArgs is what {field} sets; remove it and set {field}",
            field,
        )
    if why := CLOSED.get(argument.dest):
        return _denied(written, why, "remove it")
    if argument.dest not in ALLOWED:
        return _denied(written, "this release of fairlead does not know what it opens", "remove it")
    return None


def _closed_anywhere(argument: str) -> Rejection | None:
    """For an unknown version: what any known one would set with this word, and must not."""
    if not argument.startswith("-"):
        return None
    if (field := FIELDS.get(spelled(argument), "")) != "":
        return _closed_destination(argument, Argument((spelled(argument),), field))
    for parser in engines.parsers().values():
        for meaning in parser.meanings(argument):
            if verdict := _closed_destination(argument, meaning):
                return verdict
    return None


def _keys(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner)


def _conflict(given: Sequence[Given]) -> Refusal | None:
    first: dict[str, Given] = {}
    for one in given:
        earlier = first.setdefault(one.argument.dest, one)
        if earlier is not one:
            why = "it is written twice" if earlier.flag == one.flag else f"{earlier.flag} sets the same"
            return Refusal(one.flag, f"{why}, and vLLM would take the last; keep one of them", one.argument.dest)
    return None


def _missing(given: Sequence[Given]) -> Refusal | None:
    """Only what switches on needs something: --no-x and --disable-x do not."""
    set_here = {one.argument.dest for one in given}
    for one in given:
        needed, flag = NEEDED.get(one.argument.dest, ("", ""))
        if needed and needed not in set_here and not one.flag.startswith(("--no-", "--disable-")):
            return Refusal(one.flag, f"it needs {flag} beside it; add that", one.argument.dest)
    return None


def _refused(refusal: Refusal, parser: Parser) -> Rejection:
    near = parser.nearest(refusal.written) if not refusal.dest else ""
    return Rejection(
        "UnknownEngineArgument",
        f"{_shown(refusal.written)} in engine.extraArgs is refused by vLLM {parser.version}: {redact(refusal.why)}",
        FIELDS.get(near, _FIELD),
    )


def _denied(argument: str, why: str, remedy: str) -> Rejection:
    return Rejection("DeniedArgument", f"{_shown(argument)} in engine.extraArgs is refused: {why}; {remedy}", _FIELD)


def _shown(argument: str) -> str:
    """The flag alone: what stands behind `=` or a blank may be a secret, as in --api-key=..."""
    return redact(_AFTER_FLAG.split(argument, maxsplit=1)[0][:80])
