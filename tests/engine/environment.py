"""The Python that runs the engine: made from the CPU image's lock file when the first test asks for it."""

import functools
import os

from fairlead_cli.local import engine


@functools.cache
def engine_python() -> str:
    """FAIRLEAD_ENGINE_PYTHON names another Python that has vLLM, for a release that is not pinned here."""
    named = os.environ.get("FAIRLEAD_ENGINE_PYTHON")
    return named or str(engine.python(lambda line: print(line, flush=True)))
