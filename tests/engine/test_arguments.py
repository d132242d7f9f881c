"""The shipped dump against the parser of the vLLM at hand: the same arguments, and the same verdict on generated command lines.

FAIRLEAD_ENGINE_PYTHON chooses another version than the pinned one.
"""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fairlead_operator.core import engines
from fairlead_operator.core.engines.parser import Parser

from .command_lines import lines
from .environment import engine_python
from .starts import ROOT

pytestmark = pytest.mark.timeout(500)

#: Beside the generated ones: how arguments act on each other.
WRITTEN: tuple[tuple[str, ...], ...] = (
    ("--compilation-config.mode", "3", "--compilation_config.cudagraph_mode=NONE"),
    ("-cc.mode=0",),
    ("-cc", "3"),
    ("--compilation-config.mode",),
    ("--compilation-conf.mood=3",),
    ("-O3",),
    ("-O=2",),
    ("-O", "1"),
    ("-tp2",),
    ("-tp=2",),
    ("-qawq",),
    ("-n2",),
    ("-x1",),
    ("--max", "3"),
    ("--UDS=/x",),
    ("--port 9000",),
    ("--enforce-eager", "other-model"),
    ("--enforce-eager", "other-model", "another"),
    ("--cpu-offload-gb", "-0.5"),
    ("--cpu-offload-gb=-0.5",),
    ("--max-logprobs", "-1"),
    ("--enable-auto-tool-choice",),
    ("--no-enable-auto-tool-choice",),
    ("--enable-log-outputs",),
    ("--limit-mm-per-prompt.image", "3"),
    ("--hf-overrides.a.b+", "x,y"),
    ("--kv-transfer-config", '{"kv_connector": "OffloadingConnector", "kv_role": "kv_both"}'),
    ("--kv-transfer-config.kv_connector_module_path", "x.y"),
    ("--", "x"),
    ("-",),
)


def read(written: Sequence[Sequence[str]], folder: Path) -> tuple[str, list[dict[str, Any]]]:
    """The dump of the vLLM at hand, and what its parser says to each command line."""
    done = subprocess.run(
        [engine_python(), "-P", str(Path(__file__).with_name("parse.py"))],
        input="\n".join(json.dumps(line) for line in written),
        env=os.environ | {"PYTHONPATH": str(ROOT / "runtime"), "VLLM_CACHE_ROOT": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=450,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    dump, *answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(written)
    return dump, answers


def ours(parser: Parser, written: Sequence[str]) -> set[str] | None:
    """Destinations that are set, or None where it is refused."""
    given, refusal = parser.parse(written)
    if refusal or any(parser.judge_values(one) for one in given):
        return None
    switches = {one.argument.dest for one in given}
    beside = {"enable_auto_tool_choice": "tool_call_parser", "enable_log_outputs": "enable_log_requests"}
    on = {one.argument.dest for one in given if not one.flag.startswith(("--no-", "--disable-"))}
    return None if any(dest in on and needed not in switches for dest, needed in beside.items()) else switches


def test_dump_and_parser_agree(tmp_path: Path) -> None:
    version = os.environ.get("FAIRLEAD_ENGINE_VERSION", engines.CPU)
    parser = engines.parser_of(version)
    assert parser is not None
    written = [*lines(parser), *WRITTEN]

    dump, answers = read(written, tmp_path)

    shipped = Path(engines.__file__).with_name(f"vllm-{engines.minor(version)}.json").read_text(encoding="utf-8")
    assert dump == shipped, "make the dump anew: python3 -P -m fairlead_runtime.parser_dump FILE"
    different = []
    for line, answer in zip(written, answers, strict=True):
        mine = ours(parser, line)
        theirs = None if "refused" in answer else set(answer["set"])
        # A value that happens to be the default does not show.
        if (mine is None) != (theirs is None) or (theirs or set()) - (mine or set()):
            different.append((line, mine, answer))
    assert not different, "\n".join(str(row)[:300] for row in different)
    assert sum(1 for answer in answers if "refused" in answer) > 300
    assert sum(1 for answer in answers if "set" in answer) > 1000
