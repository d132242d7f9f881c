"""Command lines made from a dump: each argument with a good value and with a bad one, in the spellings that vLLM takes."""

import json
from collections.abc import Iterator

from fairlead_operator.core.engines.parser import Parser
from fairlead_operator.core.engines.values import Argument

#: They end the process, read a file or look a name up in the machine.
LEFT_OUT = frozenset(
    {
        *("help", "config", "model_tag", "logging_config", "log_config_file"),
        # These are refused later, for what is set beside them or in the environment.
        *("grpc_port", "data_parallel_multi_port_external_lb"),
    }
)
#: Where a kind alone does not make a good value.
GOOD = {"lora_modules": "a=/b", "chat_template": "{{ messages }}"}
#: Destinations that validate_parsed_serve_args wants another one with.
BESIDE = {
    "enable_auto_tool_choice": "--tool-call-parser=hermes",
    "enable_log_outputs": "--enable-log-requests",
}


def lines(parser: Parser) -> Iterator[tuple[str, ...]]:
    """All of them."""
    for argument in parser.arguments:
        if argument.dest in LEFT_OUT or argument.kind == "other":
            continue
        beside = [BESIDE[argument.dest]] if argument.dest in BESIDE else []
        for flag in argument.flags:
            for name in spellings(parser, flag):
                for words in good(argument, name):
                    yield (*words, *beside)
        yield from bad(argument, argument.flags[0])


def spellings(parser: Parser, flag: str) -> tuple[str, ...]:
    """As it is, with underscores, and as short as can be."""
    if not flag.startswith("--"):
        return (flag,)
    lengths = range(3, len(flag))
    shortest = next((flag[:end] for end in lengths if len(parser.meanings(flag[:end])) == 1), flag)
    # Not all forms of one switch: an abbreviation of two forms is ambiguous although both set the same.
    unique = [form for form in parser.by_flag if form.startswith(shortest)]
    return (flag, f"--{flag[2:].replace('-', '_')}", *((shortest,) if len(unique) == 1 else ()))


def good(argument: Argument, flag: str) -> Iterator[tuple[str, ...]]:
    """With = and without."""
    if argument.nargs == 0:
        yield (flag,)
        return
    value = GOOD.get(argument.dest) or _good(argument)
    yield (f"{flag}={value}",)
    yield (flag, value)
    if argument.nargs == "+":
        yield (flag, value, value)
    if argument.nargs == "?":
        yield (flag,)


def _good(argument: Argument) -> str:
    if argument.choices:
        return str(argument.choices[-1])
    if argument.kind == "object":
        return "None" if argument.optional else "{}"
    return {"int": "7", "float": "0.5", "human-int": "4k", "human-int-or-auto": "auto", "json": "{}"}.get(
        argument.kind, "x"
    )


def bad(argument: Argument, flag: str) -> Iterator[tuple[str, ...]]:
    """What the parser refuses of each argument."""
    yield (f"{flag[:-1]}qqq",)
    if argument.nargs == 0:
        yield (f"{flag}=1",)
        return
    if argument.nargs != "?":
        yield (flag,)
        yield (flag, "--enforce-eager")
    wrong = {"int": "abc", "float": "abc", "human-int": "1.5K", "human-int-or-auto": "soon", "json": "{"}.get(
        argument.kind
    )
    if argument.kind == "object":
        wrong = json.dumps({"no_such_key": 1})
    if argument.choices:
        wrong = "no-such-choice" if isinstance(argument.choices[0], str) else "9999"
    if wrong:
        yield (f"{flag}={wrong}",)
