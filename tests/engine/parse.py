"""Lets the installed vLLM's parser read command lines from stdin, a JSON list on each line; run with the engine's Python.

Prints its dump as a JSON string on the first line, then for each command line {"set": [destination, ...]}, those whose value is
not the default any more, or {"refused": what was said}. No model is asked for, so all of them together take one import.
"""

import contextlib
import io
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from fairlead_runtime import engine_shim, parser_dump


def read(line: str, parser: Any, validate: Callable[[Any], None], defaults: Mapping[str, str]) -> dict[str, object]:
    """parser: vLLM's. defaults: how each destination reads when nothing is written."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            args = parser.parse_args(json.loads(line))
            validate(args)
    except (Exception, SystemExit) as refused:  # noqa: BLE001 - whatever it is is told
        return {"refused": f"{said.getvalue()[-500:]}{refused!r}"}
    return {"set": [name for name, value in vars(args).items() if defaults.get(name) != repr(value)]}


if __name__ == "__main__":
    lines = sys.stdin.read().splitlines()
    # vLLM logs to stdout.
    with contextlib.redirect_stdout(sys.stderr):
        dumped = parser_dump.installed()
        loaded = engine_shim.load()
        reader = loaded.make_arg_parser(loaded.argument_parser())
        unset = {name: repr(value) for name, value in vars(reader.parse_args([])).items()}
        answers = [read(line, reader, loaded.validate_parsed_serve_args, unset) for line in lines]
    for answer in (dumped, *answers):
        print(json.dumps(answer))
