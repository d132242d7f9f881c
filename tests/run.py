"""Runs every suite with what it needs, and prints how long each took: `make test`.

A suite over its time budget fails: a test that only passes on a patient machine is found here and not by its users. A few failures
of a suite get a second look, alone: what passes then is named as unsteady, and what fails twice is a failure.
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

import debian
from fairlead_cli import images
from fairlead_cli.local import binaries, cluster, engine, machine

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Suite:
    """A folder of tests, what it needs built before it starts, and its budget on two cores."""

    name: str
    minutes: int
    programs: tuple[str, ...] = ()
    #: Debian's packages, which are unpacked and not installed, each with a program that is looked for on PATH first.
    packages: tuple[tuple[str, str], ...] = ()
    images: bool = False
    engine: bool = False


SUITES = (
    Suite("unit", minutes=6, programs=("helm",), packages=(("promtool", "prometheus"),)),
    Suite(
        "api",
        minutes=15,
        programs=("etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm"),
        packages=(("prometheus", "prometheus"),),
    ),
    Suite(
        "simulated",
        minutes=10,
        programs=("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok"),
    ),
    Suite(
        "proof",
        minutes=15,
        programs=("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok"),
    ),
    Suite("serving", minutes=4),
    Suite("engine", minutes=45, engine=True),
    Suite("node", minutes=30, programs=(*cluster.PROGRAMS, "helm", "kube-network-policies"), images=True),
)
#: Programs, images and the engine's environment from empty caches; all of it is kept in the user's cache.
BUILD_MINUTES = 20


#: More failures than that in one suite are no accident.
SECOND_LOOKS = 3


@dataclass(frozen=True)
class Results:
    """What a JUnit file tells; nothing when the run did not get so far as to write one."""

    counts: Counter[str]
    failed: Sequence[str]

    @classmethod
    def of(cls, written: Path) -> "Results":
        """A test whose body passed and whose teardown failed counts as failed once."""
        outcomes: dict[str, str] = {}
        if written.exists():
            for case in ET.parse(written).getroot().iter("testcase"):
                name = f"{case.get('classname')}::{case.get('name')}"
                found = {part.tag for part in case}
                outcome = "failed" if found & {"failure", "error"} else "skipped" if "skipped" in found else "passed"
                outcomes[name] = "failed" if outcomes.get(name) == "failed" else outcome
        return cls(Counter(outcomes.values()), [name for name, outcome in outcomes.items() if outcome == "failed"])


def main() -> int:
    """Zero when every test passed and every stage kept to its budget."""
    asked = sys.argv[1:]
    suites = [suite for suite in SUITES if not asked or suite.name in asked]
    if unknown := set(asked) - {suite.name for suite in SUITES}:
        sys.exit(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(suite.name for suite in SUITES)}")
    report: list[tuple[str, float, float]] = []
    counts: Counter[str] = Counter()
    unsteady: list[str] = []

    started = time.monotonic()
    build(suites)
    report.append(("build", time.monotonic() - started, BUILD_MINUTES * 60))

    with TemporaryDirectory() as directory:
        for suite in suites:
            started = time.monotonic()
            found = run(f"tests/{suite.name}", Path(directory) / suite.name)
            report.append((suite.name, time.monotonic() - started, suite.minutes * 60))
            counts += found.counts
            unsteady += found.unsteady

    late = [name for name, seconds, budget in report if seconds > budget]
    print()
    for name, seconds, budget in report:
        print(f"{name:10}{seconds:7.0f} s of {budget:5.0f} s{'  OVER BUDGET' if name in late else ''}")
    counts["failed"] += len(late)
    for name in unsteady:
        print(f"UNSTEADY: failed first, passed alone: {name}")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] else 0


def build(suites: Sequence[Suite]) -> None:
    """What the suites need. Programs want the processor, images and the engine the network and the disk: side by side."""
    programs = tuple(dict.fromkeys(name for suite in suites for name in suite.programs))
    if any(suite.images for suite in suites):
        # Before anything is built: runc needs headers, and whatever the machine lacks is told in one message.
        images.prepare(say, machine.NODE)
    packages = dict.fromkeys(package for suite in suites for package in suite.packages)
    with ThreadPoolExecutor() as beside:
        work: list[Future[Any]] = [beside.submit(binaries.ensure, *programs, progress=say)]
        if any(suite.images for suite in suites):
            work.append(beside.submit(images.build, progress=say))
        work += [beside.submit(debian.program, name, package, say) for name, package in packages]
        for done in work:
            done.result()
    if any(suite.engine for suite in suites):
        # After the images: the same packages are in uv's cache by then, and nothing is fetched twice.
        engine.python(say)


@dataclass(frozen=True)
class Outcome:
    """counts: passed, failed and skipped. unsteady: the tests that failed first and passed when they ran again, alone."""

    counts: Counter[str]
    unsteady: Sequence[str] = ()


def run(tests: str, folder: Path) -> Outcome:
    """tests: a path for pytest. folder: for what it writes."""
    folder.mkdir()
    code, first = pytest(tests, folder, "first")
    if not code:
        return Outcome(first.counts)
    if not first.failed:
        return Outcome(
            first.counts + Counter(failed=1)
        )  # the run itself broke: a collection error, no tests, an interrupt
    if len(first.failed) > SECOND_LOOKS:
        return Outcome(first.counts)
    say(f"\n{len(first.failed)} failed: a second look at them, alone")
    code, second = pytest(tests, folder, "second", "--last-failed", "--last-failed-no-failures=none")
    if code and not second.failed:
        return Outcome(first.counts)
    unsteady = [name for name in first.failed if name not in second.failed]
    return Outcome(first.counts + Counter(passed=len(unsteady)) - Counter(failed=len(unsteady)), unsteady)


def pytest(tests: str, folder: Path, name: str, *options: str) -> tuple[int, Results]:
    """Its exit code, and what it wrote."""
    written = folder / f"{name}.xml"
    command = [sys.executable, "-m", "pytest", tests, f"--junitxml={written}", "-o", f"cache_dir={folder}/cache"]
    code = subprocess.run([*command, "--durations=10", "--durations-min=5", *options], cwd=ROOT, check=False).returncode
    return code, Results.of(written)


def say(line: str) -> None:
    """One line of progress, at once."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
