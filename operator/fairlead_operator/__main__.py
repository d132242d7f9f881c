"""Runs the operator: settings, logs, signals."""

import asyncio
import gc
import signal
import sys

from pydantic import ValidationError

from fairlead_operator import logs
from fairlead_operator.controller.operator import Operator
from fairlead_operator.settings import Settings

#: Of Python's garbage collector, in objects and in collections of the generation before. What the API server answers is JSON, thousands
#: of objects at a time and none in a cycle: with Python's own 700, 10, 10 a tenth of the operator's time went into looking at them.
GENERATIONS = (10_000, 20, 20)


async def serve(settings: Settings) -> int:
    """Until SIGTERM or SIGINT; returns the exit code."""
    operator = Operator(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, operator.stop)
    return await operator.run()


def main() -> int:
    """The exit code: 0 when asked to stop, 1 when leadership was lost or something broke, 2 for wrong settings."""
    try:
        settings = Settings()
    except ValidationError as invalid:
        for error in invalid.errors():
            name = "FAIRLEAD_" + "_".join(str(part) for part in error["loc"]).upper()
            print(f"{name}: {error['msg']}; set it in the operator's environment", file=sys.stderr)
        return 2
    logs.configure(settings.log_format, settings.log_level)
    gc.freeze()  # what is imported stays
    gc.set_threshold(*GENERATIONS)
    return asyncio.run(serve(settings))


if __name__ == "__main__":
    sys.exit(main())
