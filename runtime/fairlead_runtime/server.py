"""The supervisor's child: `python3 -P -m fairlead_runtime.server`. vLLM's engine front end and its OpenAI application, in one process.

Standard library only at import: the engine's processes are spawned, and each imports this module again as its main module. All
the rest is imported in main(), so that metrics and signals work from the first tenth of a second.
"""

import logging
import os
import signal
import sys
import traceback
from argparse import Namespace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from fairlead_runtime import garbage, locations, verdicts, workers
from fairlead_runtime.failure import Failure
from fairlead_runtime.lifecycle import METRICS_SOCKET_ENV, EngineDescribed, Failed, Phase, PhaseReached, StateWriter

if TYPE_CHECKING:
    from fairlead_runtime.config import RuntimeConfig
    from fairlead_runtime.engine_shim import Functions
    from fairlead_runtime.metrics import Metrics
    from fairlead_runtime.serving import PhaseClock

#: 128 + SIGTERM: what a shell reports for a program ended by it. The supervisor knows that it asked.
EXIT_TERMINATED = 143
EXIT_FAILED = 1
#: A failure's text on the pipe; the log has all of it.
MAX_FAILURE_TEXT = 32_000


def main() -> int:
    """Returns the exit code: 0 after an orderly stop, 143 when stopped while loading, 70 from the watchdog, otherwise not 0."""
    writer = StateWriter.from_environment(os.environ)
    writer.write(PhaseReached(Phase.IMPORTING))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop_loading)
    try:
        return _run(writer)
    except Exception as error:  # noqa: BLE001 - whatever it is, the supervisor is told and the process ends
        traceback.print_exc()
        sys.stderr.flush()
        text = "".join(traceback.format_exception(error))
        writer.write(Failed(_known(error), text[-MAX_FAILURE_TEXT:]))
        return EXIT_FAILED


def _stop_loading(_number: int, _frame: FrameType | None) -> None:
    """SystemExit, not KeyboardInterrupt: vLLM swallows that one while it waits for its engine."""
    raise SystemExit(EXIT_TERMINATED)


def _known(error: Exception) -> Failure | None:
    """What the catalogue says of an exception of this process; None leaves it to the supervisor, who has the other processes' lines."""
    return error.failure if isinstance(error, _KnownError) else None


class _KnownError(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def _run(writer: StateWriter) -> int:
    from prometheus_client import REGISTRY  # noqa: PLC0415

    from fairlead_runtime import addresses, arguments, engine_shim, processors, revision  # noqa: PLC0415
    from fairlead_runtime.config import Device  # noqa: PLC0415
    from fairlead_runtime.metrics import Metrics, serve_on_socket  # noqa: PLC0415

    metrics = Metrics(REGISTRY)
    if socket_path := os.environ.get(METRICS_SOCKET_ENV):
        serve_on_socket(Path(socket_path), REGISTRY)
    config = _config()
    os.environ.update(arguments.build_environment(config, os.environ))
    os.environ.update(processors.environment(config, processors.found(), os.environ))
    config = revision.settled(config, os.environ)
    argv = arguments.build_argv(config, os.environ, addresses.everywhere())
    with garbage.let_be_inside():
        functions = engine_shim.load()
    if config.device is Device.CPU:
        engine_shim.look_at_models_here()

    from fairlead_runtime.serving import PhaseClock  # noqa: PLC0415 - uvicorn and FastAPI come with vLLM

    clock = PhaseClock(writer)
    writer.write(EngineDescribed(version=functions.version, command=tuple(arguments.redacted(argv))))
    args = _parse(argv, functions)
    _plan(config, writer)
    clock.reached(Phase.LOADING)

    import uvloop  # noqa: PLC0415

    code: int = uvloop.run(_load_and_serve(args, functions, config, metrics, clock))
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # The engine is down and all is said: native libraries that crash in their own clean-up must not turn 0 into something else.
    os._exit(code)


async def _load_and_serve(
    args: Namespace, functions: "Functions", config: "RuntimeConfig", metrics: "Metrics", clock: "PhaseClock"
) -> int:
    from fairlead_runtime.drain import Gate  # noqa: PLC0415
    from fairlead_runtime.serving import Service  # noqa: PLC0415

    functions.decorate_logs("APIServer")
    # Binds without listening: a port in use fails now, not after minutes of loading.
    _, sock = functions.setup_server(args, reuse_port=False)
    try:
        async with functions.build_async_engine_client(args) as engine:
            _describe(engine, functions, config, clock.writer)
            return await Service(engine, args, functions, config, metrics, clock, Gate(metrics)).run(sock)
    finally:
        sock.close()


def _describe(engine: Any, functions: "Functions", config: "RuntimeConfig", writer: StateWriter) -> None:
    """Tell what came out. Raises _KnownError when that is not what was asked for."""
    from fairlead_runtime import facts  # noqa: PLC0415

    settings = facts.settings(engine.vllm_config, config)
    writer.write(
        EngineDescribed(
            version=functions.version,
            model=facts.model_facts(engine, config),
            memory=facts.memory_facts(engine),
            effective=facts.effective_values(settings),
        )
    )
    if differences := facts.differences(settings):
        raise _KnownError(verdicts.ignored(differences))


def _plan(config: "RuntimeConfig", writer: StateWriter) -> None:
    """Tell what the memory will hold. Raises _KnownError where the engine is sure to find it too small, minutes later.

    The user may know better than the plan: then it is told, and the engine has the last word.
    """
    from fairlead_runtime import planned, start_plan  # noqa: PLC0415

    plan = start_plan.of_engine(config)
    if plan is None:
        return
    writer.write(EngineDescribed(planned=planned.facts(plan)))
    failure = planned.failure(plan)
    if failure and not config.skip_plan:
        raise _KnownError(failure)


def _config() -> "RuntimeConfig":
    from pydantic import ValidationError  # noqa: PLC0415

    from fairlead_runtime.config import RuntimeConfig  # noqa: PLC0415

    path = locations.config_path(os.environ)
    try:
        return RuntimeConfig.read(Path(path))
    except (OSError, ValidationError) as error:
        raise _KnownError(verdicts.config_unusable(path, error)) from error


def _parse(argv: list[str], functions: "Functions") -> Any:
    """As vLLM's own parser reads it. Ends the process with status 2 and usage text for a flag that it does not know."""
    args = functions.make_arg_parser(functions.argument_parser()).parse_args(argv)
    functions.configure_logging_from_args(args)
    # What `vllm serve` does between parsing and validating: the positional model, and one API server, this process.
    if getattr(args, "model_tag", None):
        args.model = args.model_tag
    args.api_server_count = None
    functions.validate_parsed_serve_args(args)
    return args


if __name__ == "__main__":
    sys.exit(main())
elif __name__ == "__mp_main__":  # as multiprocessing calls it in a process that it spawned
    workers.begin(os.environ)
