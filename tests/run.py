"""Runs every suite with what it needs, and prints how long each took: `make test`.

A suite over its time budget fails: a test that only passes on a patient machine is found here and not by its users.
`python tests/run.py unit api` runs those alone.
"""

import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from fairlead_cli.local import binaries

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Suite:
    """A folder of tests, the programs that it starts, and its budget on two cores from empty caches."""

    name: str
    minutes: int
    programs: tuple[str, ...] = ()


SUITES = (
    Suite("unit", minutes=5, programs=("helm",)),
    Suite("api", minutes=8, programs=("etcd", "kube-apiserver", "kubectl")),
)
#: All programs together, built from source once and kept in the user's cache.
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
    binaries.ensure(*dict.fromkeys(name for suite in suites for name in suite.programs), progress=say)
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
        print(f"{name:8}{seconds:7.0f} s of {budget:5.0f} s{'  OVER BUDGET' if name in late else ''}")
    counts["failed"] += len(late)
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] else 0


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
