"""Runs every suite with what it needs, and prints how long each took: `make test`.

A suite over its time budget fails: a test that only passes on a patient machine is found here and not by its users.
`python tests/run.py unit api` runs those alone.
"""

import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fairlead_cli import images
from fairlead_cli.local import binaries, cluster, engine

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Suite:
    """A folder of tests, what it needs built before it starts, and its budget on two cores."""

    name: str
    minutes: int
    programs: tuple[str, ...] = ()
    images: bool = False
    engine: bool = False


SUITES = (
    Suite("unit", minutes=5, programs=("helm",)),
    Suite("api", minutes=12, programs=("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")),
    Suite(
        "simulated",
        minutes=8,
        programs=("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok"),
    ),
    Suite("serving", minutes=3),
    Suite("engine", minutes=30, engine=True),
    Suite("node", minutes=20, programs=(*cluster.PROGRAMS, "helm"), images=True),
)
#: Programs, images and the engine's environment from empty caches; all of it is kept in the user's cache.
BUILD_MINUTES = 20


def main() -> int:
    """Zero when every test passed and every stage kept to its budget."""
    asked = sys.argv[1:]
    suites = [suite for suite in SUITES if not asked or suite.name in asked]
    if unknown := set(asked) - {suite.name for suite in SUITES}:
        sys.exit(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(suite.name for suite in SUITES)}")
    report: list[tuple[str, float, float]] = []
    counts: Counter[str] = Counter()

    started = time.monotonic()
    build(suites)
    report.append(("build", time.monotonic() - started, BUILD_MINUTES * 60))

    with TemporaryDirectory() as directory:
        for suite in suites:
            results = Path(directory) / f"{suite.name}.xml"
            started = time.monotonic()
            command = [sys.executable, "-m", "pytest", f"tests/{suite.name}", f"--junitxml={results}"]
            code = subprocess.run(command, cwd=ROOT, check=False).returncode
            report.append((suite.name, time.monotonic() - started, suite.minutes * 60))
            counts += counted(results)
            if code and not counted(results)["failed"]:
                counts["failed"] += 1  # the run itself broke: a collection error, no tests, an interrupt

    late = [name for name, seconds, budget in report if seconds > budget]
    print()
    for name, seconds, budget in report:
        print(f"{name:10}{seconds:7.0f} s of {budget:5.0f} s{'  OVER BUDGET' if name in late else ''}")
    counts["failed"] += len(late)
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] else 0


def build(suites: Sequence[Suite]) -> None:
    """What the suites need. Programs want the processor, images and the engine the network and the disk: side by side."""
    programs = tuple(dict.fromkeys(name for suite in suites for name in suite.programs))
    with ThreadPoolExecutor() as beside:
        work: list[Future[Any]] = [beside.submit(binaries.ensure, *programs, progress=say)]
        if any(suite.images for suite in suites):
            work.append(beside.submit(images.build, progress=say))
        for done in work:
            done.result()
    if any(suite.engine for suite in suites):
        # After the images: the same packages are in uv's cache by then, and nothing is fetched twice.
        engine.python(say)


def counted(results: Path) -> Counter[str]:
    """Passed, failed and skipped in a JUnit file; nothing when the run did not get so far as to write one."""
    counts: Counter[str] = Counter()
    if not results.exists():
        return counts
    for suite in ET.parse(results).getroot().iter("testsuite"):
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = int(suite.get("skipped", 0))
        counts += Counter(passed=int(suite.get("tests", 0)) - failed - skipped, failed=failed, skipped=skipped)
    return counts


def say(line: str) -> None:
    """One line of progress, at once."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
