"""vLLM's own serving benchmark, run by the engine's Python for agreement.py: a JSON list of its arguments a line in, its result a line out.

One process for all runs, because its imports take ten seconds. Its console script needs a distribution called vllm, which the build
for CPUs is not: so its functions are called.
"""

import asyncio
import json
import sys

from vllm.benchmarks import serve
from vllm.utils.argparse_utils import FlexibleArgumentParser

#: What a result's line begins with; everything else on stdout is the benchmark's own.
RESULT = "RESULT "


def main() -> None:
    parser = FlexibleArgumentParser()
    serve.add_cli_args(parser)
    for line in sys.stdin:
        result = asyncio.run(serve.main_async(parser.parse_args(json.loads(line))))
        print(RESULT + json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
