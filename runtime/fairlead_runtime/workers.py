"""How the engine's own process starts its workers on processors: by fork, with all packages imported already.

A worker that is spawned imports the same packages once more: ten seconds of a core for each start, and 300 MB of memory that a fork
shares with its parent. vLLM spawns them there all the same, for two reasons:
- OpenMP reads at import which cores a worker is bound to, from variables that each worker has its own values of. Where nothing is
  bound (processors.py) there are no such values.
- Where a process has computed in parallel, GNU's OpenMP makes the next one to be forked wait for threads that it does not have, for
  ever. vLLM takes care to start its workers before it computes, but plugins are loaded earlier and may: where there are any that are not
  vLLM's own, workers are spawned as ever.

The front end itself has threads and a running loop by then: its one child, the engine's process, is spawned as ever.
Standard library only, because spawned processes import it before anything else.
"""

import gc
import importlib
import os
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from importlib.metadata import entry_points
from typing import Final

from fairlead_runtime import garbage

#: vLLM reads this when it starts a process; on processors its front end sets it to spawn.
METHOD: Final = "VLLM_WORKER_MULTIPROC_METHOD"
#: Said by the front end to the engine's process.
FORK: Final = "FAIRLEAD_FORK_WORKERS"
#: What the engine's process runs, and all packages with it.
ENGINE: Final = "vllm.v1.engine.core"
#: Names of the plugins that vLLM loads; unset: all.
PLUGINS: Final = "VLLM_PLUGINS"
#: Those that it loads in the engine's process.
PLUGIN_GROUPS: Final = ("vllm.general_plugins", "vllm.platform_plugins")


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What the front end adds for an engine on processors that are not bound; nothing where the user has chosen a method or plugins."""
    return {} if METHOD in environ or _plugins(environ) else {FORK: "1"}


def _plugins(environ: Mapping[str, str]) -> bool:
    """Whether code that is neither vLLM's nor ours will run in the engine's process before it starts its workers."""
    chosen = environ[PLUGINS].split(",") if PLUGINS in environ else None
    found = [plugin for group in PLUGIN_GROUPS for plugin in entry_points(group=group)]
    return any(
        plugin.module.partition(".")[0] != "vllm" and (chosen is None or plugin.name in chosen) for plugin in found
    )


def begin(environ: MutableMapping[str, str]) -> None:
    """In a process that the front end has spawned, before it does anything: what comes of it is forked where that was said.

    That vLLM does fork is not taken for granted: it has reasons of its own to spawn, and executors without any process.
    """
    # Not for what this process may spawn.
    if environ.pop(FORK, None) is None:
        return
    environ[METHOD] = "fork"
    # It would be imported next. A vLLM that has it elsewhere imports that one.
    with garbage.let_be_inside(), suppress(ImportError):
        importlib.import_module(ENGINE)
    # A collection marks each object that it looks at, and memory that was written to is shared no more.
    os.register_at_fork(before=_Once(gc.freeze))


class _Once:
    """What is registered stays, in workers too, and at a later fork there would be garbage among what is frozen: that is kept for life."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._calls = [call]

    def __call__(self) -> None:
        if self._calls:
            self._calls.pop()()
