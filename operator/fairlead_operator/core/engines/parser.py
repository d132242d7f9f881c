"""vLLM's parser rebuilt from its dump: which destination each written argument sets, and what it refuses.

argparse does the work here as it does there, so that abbreviations, glued values and counts of values are judged by the same code.
"""

import argparse
import functools
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, NamedTuple, NoReturn

from fairlead_operator.core.engines.spelling import DottedWithoutValueError, respelled
from fairlead_operator.core.engines.values import Argument, complaint, listed

#: How alike two names must be for one to be proposed, 0 to 1.
_ALIKE: Final = 0.6


class Given(NamedTuple):
    """One argument as it was written: the flag, and its values as text."""

    argument: Argument
    flag: str
    values: tuple[str, ...]


class Refusal(NamedTuple):
    """`written`: the argument. `why`: what vLLM has against it, ending with what to do. dest: "" for an unknown one."""

    written: str
    why: str
    dest: str = ""


@dataclass(frozen=True)
class Parser:
    """Of one version. `version` is vLLM's own, such as 0.32.0."""

    version: str
    arguments: tuple[Argument, ...]

    @classmethod
    def from_dump(cls, dump: Mapping[str, Any]) -> "Parser":
        """From a dump's JSON."""
        return cls(dump["vllm"], tuple(Argument.from_row(row) for row in dump["arguments"]))

    @functools.cached_property
    def by_flag(self) -> Mapping[str, Argument]:
        """Every form of every flag, also those that help does not show."""
        return {flag: argument for argument in self.arguments for flag in argument.flags}

    def meanings(self, written: str) -> tuple[Argument, ...]:
        """What one word could stand for: nothing, one argument, or several where an abbreviation is ambiguous."""
        # A dotted form wants a value.
        flag = next((word for word in respelled([written, ""]) if word.startswith("-")), "").partition("=")[0]
        if exact := self.by_flag.get(flag):
            return (exact,)
        if flag.startswith("--"):
            found = [argument for form, argument in self.by_flag.items() if form.startswith(flag)]
        else:
            # A short flag of one letter takes its value glued on: -qawq.
            found = [self.by_flag[flag[:2]]] if flag[:2] in self.by_flag else []
        return tuple(dict.fromkeys(found))

    def parse(self, written: Sequence[str]) -> tuple[tuple[Given, ...], Refusal | None]:
        """All arguments that were understood, in their order, and the first thing that vLLM would refuse.

        Values are not judged: see `judge_values`.
        """
        noted = argparse.Namespace(given=[])
        refusal = None
        try:
            words = respelled(written)
            _, unknown = _Argparse(self._possible(words)).parse_known_args(words, noted)
            refusal = self._not_understood(unknown)
        except DottedWithoutValueError as dotted:
            refusal = Refusal(str(dotted), "it needs a value; write one behind it")
        except _RefusedError as refused:
            refusal = refused.refusal
        return tuple(noted.given), refusal

    def _possible(self, words: Sequence[str]) -> list[Argument]:
        """All that argparse could take the words for. It takes long to be told of 300 arguments, and few are ever written."""
        flags, places = self._long
        found = set(self._without_flags)
        for begun in {word.partition("=")[0] for word in words if word.startswith("--")}:
            at = bisect_left(flags, begun)
            while at < len(flags) and flags[at].startswith(begun):
                found.add(places[at])
                at += 1
        # What stands behind a single - may be several flags and a value in one word.
        if any(word.startswith("-") and not word.startswith("--") for word in words):
            found |= self._with_short_flags
        return [self.arguments[place] for place in sorted(found)]

    @functools.cached_property
    def _long(self) -> tuple[Sequence[str], Sequence[int]]:
        """Long flags in their order, and where in `arguments` each stands."""
        both = sorted(
            (flag, place)
            for place, argument in enumerate(self.arguments)
            for flag in argument.flags
            if flag.startswith("--")
        )
        return [flag for flag, _ in both], [place for _, place in both]

    @functools.cached_property
    def _with_short_flags(self) -> frozenset[int]:
        return frozenset(
            place
            for place, argument in enumerate(self.arguments)
            if any(not flag.startswith("--") for flag in argument.flags)
        )

    @functools.cached_property
    def _without_flags(self) -> frozenset[int]:
        return frozenset(place for place, argument in enumerate(self.arguments) if not argument.flags)

    def _not_understood(self, words: Sequence[str]) -> Refusal | None:
        flag = next((word for word in words if word.startswith("-")), None)
        if flag is not None:
            return Refusal(flag.partition("=")[0], self._unknown(flag))
        return Refusal(words[0], "it is a value without a flag; put its flag before it") if words else None

    def judge_values(self, given: Given) -> Refusal | None:
        """Why the values are not what the argument takes."""
        for value in given.values:
            if why := complaint(given.argument, value):
                return Refusal(given.flag, why, given.argument.dest)
        return None

    def _unknown(self, flag: str) -> str:
        near = self.nearest(flag)
        return f"vLLM {self.version} has no such argument; " + (
            f"write {near}, which is nearest, or remove it" if near else "remove it"
        )

    def nearest(self, flag: str) -> str:
        """The flag that is most like an unknown one, or ""."""
        name = flag.partition("=")[0].partition(".")[0].replace("_", "-").lower()
        found = get_close_matches(name, self.by_flag, n=1, cutoff=_ALIKE)
        return found[0] if found else ""


class _RefusedError(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.why)
        self.refusal = refusal


class _Noted(argparse.Action):
    """Notes what was written in the namespace's `given`, instead of setting anything."""

    def __init__(self, *names: Any, argument: Argument, **options: Any) -> None:
        super().__init__(*names, **options)
        self.argument = argument

    def __call__(self, _: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        texts = (values,) if isinstance(values, str) else tuple(values or ())
        namespace.given.append(Given(self.argument, option_string or "", texts))


class _Argparse(argparse.ArgumentParser):
    def __init__(self, arguments: Sequence[Argument]) -> None:
        super().__init__(prog="vllm", add_help=False, argument_default=argparse.SUPPRESS)
        for argument in arguments:
            # argparse derives the destination of a positional argument from its name.
            named: dict[str, Any] = {"dest": argument.dest} if argument.flags else {}
            names = argument.flags or (argument.dest,)
            self.add_argument(
                *names, **named, action=_Noted, nargs=argument.nargs, default=argparse.SUPPRESS, argument=argument
            )
        self.known = {flag: argument for argument in arguments for flag in argument.flags}

    def error(self, message: str) -> NoReturn:
        """argparse's words -> ours: `argument --a/-b: expected one argument`, `ambiguous option: --x could match --xa, --xb`."""
        if message.startswith("ambiguous option: "):
            flag, _, forms = message.removeprefix("ambiguous option: ").partition(" could match ")
            raise _RefusedError(
                Refusal(
                    flag.partition("=")[0], f"it could be {listed(forms.split(', '))}; write the one you mean in full"
                )
            )
        name, _, what = message.removeprefix("argument ").partition(": ")
        flag = name.partition("/")[0]
        argument = self.known.get(flag)
        if what.startswith("ignored explicit argument"):
            why = "it takes no value; write it alone"
        elif what.startswith("expected"):
            why = f"it needs a value; write {flag}=VALUE"
        else:
            why = f"{what or message}; correct it"
        raise _RefusedError(Refusal(flag, why, argument.dest if argument else ""))
