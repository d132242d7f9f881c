"""How the engine's own process starts its workers on processors: by fork, with all packages imported already.

vLLM spawns them there, for one reason: OpenMP reads at import which cores a worker is bound to, from variables that each worker has its
own values of. Where nothing is bound (processors.py) there are no such values, and a worker that is spawned only imports the same
packages once more: ten seconds of a core for each start, and 300 MB of memory that a fork shares with its parent.

The front end itself has threads and a running loop by then: its one child, the engine's process, is spawned as ever.
Standard library only, because spawned processes import it before anything else.
"""

import gc
import os
from collections.abc import Mapping, MutableMapping
from typing import Final

from fairlead_runtime import garbage

#: vLLM reads this when it starts a process; on processors its front end sets it to spawn.
METHOD: Final = "VLLM_WORKER_MULTIPROC_METHOD"
#: Said by the front end to the engine's process.
FORK: Final = "FAIRLEAD_FORK_WORKERS"


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What the front end adds for an engine on processors that are not bound; nothing where the user has chosen a method."""
    return {} if METHOD in environ else {FORK: "1"}


def begin(environ: MutableMapping[str, str]) -> None:
    """In a process that the front end has spawned, before it does anything: what comes of it is forked where that was said."""
    if FORK in environ:
        environ[METHOD] = "fork"
        garbage.let_be()
        # A collection marks each object that it looks at, and memory that was written to is shared no more.
        os.register_at_fork(before=gc.freeze, after_in_parent=garbage.look_again, after_in_child=garbage.look_again)
