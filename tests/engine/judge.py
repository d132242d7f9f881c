"""Reads RuntimeConfigs from stdin, one JSON a line, and lets the installed vLLM judge each; run with the engine's Python.

Prints one JSON a line: {"command", "settings": [[field, asked, has, differs]]} where vLLM's parser and its own configuration took
it, {"failure": {...}} where they did not. No weights are read, so that all of them together take one import.
"""

import contextlib
import dataclasses
import io
import json
import sys
import traceback

from fairlead_runtime import arguments, engine_shim, facts
from fairlead_runtime.config import RuntimeConfig
from fairlead_runtime.diagnosis import diagnose
from fairlead_runtime.supervisor import Asked


def judged(line: str, functions: engine_shim.Functions) -> dict[str, object]:
    from vllm.engine.arg_utils import AsyncEngineArgs  # noqa: PLC0415 - spawned processes import this module

    config = RuntimeConfig.model_validate_json(line)
    command = arguments.build_argv(config)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            args = functions.make_arg_parser(functions.argument_parser()).parse_args(command)
            functions.validate_parsed_serve_args(args)
            vllm = AsyncEngineArgs.from_cli_args(args).create_engine_config()
    except (Exception, SystemExit):  # noqa: BLE001 - whatever it is is told
        failure = diagnose([*said.getvalue().splitlines(), *traceback.format_exc().splitlines()])
        return {"failure": dataclasses.asdict(Asked.of(json.loads(line)).name(failure))}
    rows = [[row.field, row.asked, row.has, row.differs] for row in facts.settings(vllm, config)]
    return {"command": command, "settings": rows}


if __name__ == "__main__":
    lines = sys.stdin.read().splitlines()
    answers = sys.stdout
    # vLLM logs to stdout.
    with contextlib.redirect_stdout(sys.stderr):
        loaded = engine_shim.load()
        engine_shim.look_at_models_here()
        verdicts = [judged(line, loaded) for line in lines]
    for verdict in verdicts:
        print(json.dumps(verdict, default=str), file=answers)
