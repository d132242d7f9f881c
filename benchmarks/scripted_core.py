"""vLLM's whole front end over an engine that computes nothing: scripted_core.py bare|fairlead. For front_end.py.

Takes the RuntimeConfig and the port from the environment, as the runtime does. Every request gets a token per step, so that nothing but
the front end limits. With `fairlead` it is the runtime's engine process without its supervisor.
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fairlead_runtime import arguments, engine_shim, server
from fairlead_runtime.config import RuntimeConfig

#: Seconds of a step, if the front end is that fast: a GPU's at 256 streams is three times as long, so the front end is the limit.
STEP = 0.004
#: Tokens of plain text in the demo model's vocabulary.
TOKENS = range(300, 450)


class Alive:
    """What says whether an engine's process lives."""

    engine_dead = False
    engine_manager = None


class ScriptedCore:
    """In place of vLLM's client of its engine process, in the same process."""

    engine_ranks_managed = (0,)
    resources = Alive()

    def __init__(self) -> None:
        import vllm.v1.engine as protocol  # noqa: PLC0415 - the shim sets vLLM up first
        from vllm.v1.metrics.stats import SchedulerStats  # noqa: PLC0415

        self._protocol, self._stats = protocol, SchedulerStats
        #: Request -> tokens that are still to come.
        self._running: dict[str, int] = {}
        self._work = asyncio.Event()
        self._due = 0.0
        self._random = random.Random(1)

    async def get_supported_tasks_async(self) -> tuple[str, ...]:
        return ("generate",)

    async def add_request_async(self, request: Any) -> None:
        self._running[request.request_id] = request.sampling_params.max_tokens
        self._work.set()

    async def abort_requests_async(self, ids: Iterable[str]) -> None:
        for each in ids:
            self._running.pop(each, None)

    async def get_output_async(self) -> Any:
        """A token for each request, when the step is over."""
        while not self._running:
            self._work.clear()
            await self._work.wait()
        now = time.monotonic()
        self._due = max(self._due, now - STEP) + STEP
        await asyncio.sleep(max(0.0, self._due - now))
        token = self._random.choice(TOKENS)
        length = self._protocol.FinishReason.LENGTH
        outputs = [
            self._protocol.EngineCoreOutput(each, [token], finish_reason=None if left > 1 else length)
            for each, left in self._running.items()
        ]
        self._running = {each: left - 1 for each, left in self._running.items() if left > 1}
        return self._protocol.EngineCoreOutputs(
            outputs=outputs, scheduler_stats=self._stats(num_running_reqs=len(self._running))
        )

    def __getattr__(self, name: str) -> Any:
        """All that nobody asks for here."""
        if name.startswith("__"):
            raise AttributeError(name)

        async def nothing(*_: object, **__: object) -> None:
            return None

        return nothing if name.endswith("_async") else lambda *_, **__: None


def main(which: str) -> int:
    functions = engine_shim.load()
    from vllm.v1.engine.core_client import EngineCoreClient  # noqa: PLC0415

    EngineCoreClient.make_async_mp_client = staticmethod(lambda *_, **__: ScriptedCore())
    if which == "fairlead":
        return server.main()
    config = RuntimeConfig.read(Path(os.environ["FAIRLEAD_CONFIG"]))
    args = functions.make_arg_parser(functions.argument_parser()).parse_args(arguments.build_argv(config, os.environ))
    args.api_server_count = None
    functions.validate_parsed_serve_args(args)
    import uvloop  # noqa: PLC0415

    uvloop.run(engine_shim.find("run_server", engine_shim.ENTRY)(args))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
