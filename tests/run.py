"""Runs every suite with what it needs, and prints how long each took: `make test`.

A suite over its time budget fails: a test that only passes on a patient machine is found here and not by its users. A few failures
of a suite get a second look, alone: what passes then is named as unsteady, and what fails twice is a failure. Tests that count what
is lost or wrong (the marker `counted`) get none: one that is lost once in two runs is lost.
`python tests/run.py unit api` runs those alone.
"""

import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
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
    #: A suite that leaves a core idle, for one that keeps one core busy: they run at the same time, and both have what they need.
    beside: str = ""


SUITES = (
    Suite("unit", minutes=8, programs=("helm",), packages=(("promtool", "prometheus"),), beside="api"),
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
    Suite("serving", minutes=6, beside="simulated"),
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
    passed: Sequence[str]

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
        failed, passed = ([name for name, found in outcomes.items() if found == one] for one in ("failed", "passed"))
        return cls(Counter(outcomes.values()), failed, passed)


def main() -> int:
    """Zero when every test passed and every stage kept to its budget."""
    asked = sys.argv[1:]
    suites = [suite for suite in SUITES if not asked or suite.name in asked]
    if unknown := set(asked) - names(SUITES):
        sys.exit(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(suite.name for suite in SUITES)}")
    report: list[tuple[str, float, float]] = []
    counts: Counter[str] = Counter()
    unsteady: list[str] = []

    started = time.monotonic()
    build(suites)
    report.append(("build", time.monotonic() - started, BUILD_MINUTES * 60))

    with TemporaryDirectory() as directory:
        for group in together(suites):
            for suite, found in zip(
                group, run([f"tests/{suite.name}" for suite in group], Path(directory)), strict=True
            ):
                report.append((suite.name, found.seconds, suite.minutes * 60))
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


def together(suites: Sequence[Suite]) -> Sequence[Sequence[Suite]]:
    """What runs at the same time; in each group first the one whose lines are shown as they come."""
    groups: dict[str, list[Suite]] = {suite.name: [suite] for suite in suites if suite.beside not in names(suites)}
    for suite in suites:
        if suite.name not in groups:
            groups[suite.beside].append(suite)
    return list(groups.values())


def names(suites: Sequence[Suite]) -> set[str]:
    """Of all of them."""
    return {suite.name for suite in suites}


@dataclass(frozen=True)
class Outcome:
    """counts: passed, failed and skipped. unsteady: the tests that failed first and passed when they ran again, alone."""

    seconds: float
    counts: Counter[str]
    unsteady: Sequence[str] = ()


@dataclass(frozen=True)
class Look:
    """One call of pytest: how long it took, its exit code, and what it wrote."""

    seconds: float
    code: int
    results: Results


def run(tests: Sequence[str], folder: Path) -> Sequence[Outcome]:
    """Each at the same time as the others. tests: paths for pytest. folder: for what it writes."""
    folders = [folder / Path(path).name for path in tests]
    for own in folders:
        own.mkdir()
    # One shows its lines as they come; what the others say is shown when they have ended.
    logs = [None, *(own / "log" for own in folders[1:])]
    with ThreadPoolExecutor() as beside:
        looks = list(beside.map(first_look, tests, folders, logs))
    for log in filter(None, logs):
        say(log.read_text())
    return [judged(*each) for each in zip(tests, folders, looks, strict=True)]


def first_look(tests: str, folder: Path, log: Path | None) -> Look:
    """At all of them."""
    return pytest(tests, folder, "first", log=log)


def judged(tests: str, folder: Path, first: Look) -> Outcome:
    """With a second look where few failed, at those whose failure is not what they count."""
    counts, failed = first.results.counts, first.results.failed
    if not first.code:
        return Outcome(first.seconds, counts)
    if not failed:
        # The run itself broke: a collection error, no tests, an interrupt.
        return Outcome(first.seconds, counts + Counter(failed=1))
    if len(failed) > SECOND_LOOKS:
        return Outcome(first.seconds, counts)
    say(f"\n{len(failed)} failed: a second look at them, alone")
    second = pytest(tests, folder, "second", "--last-failed", "--last-failed-no-failures=none", "-m", "not counted")
    seconds = first.seconds + second.seconds
    if second.code and not second.results.failed:
        return Outcome(seconds, counts)
    unsteady = [name for name in failed if name in second.results.passed]
    return Outcome(seconds, counts + Counter(passed=len(unsteady)) - Counter(failed=len(unsteady)), unsteady)


def pytest(tests: str, folder: Path, name: str, *options: str, log: Path | None = None) -> Look:
    """log: where its lines go; None for where this program's go."""
    written = folder / f"{name}.xml"
    command = [sys.executable, "-m", "pytest", tests, f"--junitxml={written}", "-o", f"cache_dir={folder}/cache"]
    command += ["--durations=10", "--durations-min=5", *options]
    started = time.monotonic()
    with log.open("wb") if log else nullcontext() as lines:
        code = subprocess.run(command, cwd=ROOT, stdout=lines, stderr=lines, check=False).returncode
    return Look(time.monotonic() - started, code, Results.of(written))


def say(line: str) -> None:
    """One line of progress, at once."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
