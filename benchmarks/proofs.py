"""Runs tests/proof and keeps its figures: `make proof`, `make proof-full` (FAIRLEAD_PROOF=full).

proofs.py [--parts crash,faults,explore,fuzz]

Writes docs/benchmarks/proof.json and proof.md, failures included, and how many tests failed, at whatever it was; of a part whose pytest
broke nothing is kept. Parts that are not asked for stay as they are there. In the full run the faults wait for the operator's own timers
most of the time: they run beside the other parts, in shares.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import fairlead_operator
from fairlead_cli import proof_page
from fairlead_cli.bench import proof
from fairlead_cli.bench.record import this_machine, today
from fairlead_cli.local import binaries
from fairlead_cli.local.logs import last_lines

ROOT = Path(__file__).resolve().parent.parent
# What reads pytest's results is the tests' own.
sys.path.append(str(ROOT / "tests"))

from run import Results  # noqa: E402 - found by the line above

KEPT = ROOT / "docs" / "benchmarks"
#: What the full run's processes say.
LOGS = ROOT / "dist" / "proof"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok")
#: Processes for the faults of the full run: each has a control plane, and an operator that must not lose its Lease on two cores.
SHARES = 4
#: pytest's exit codes for a run that came to its end.
ALL_PASSED, SOME_FAILED = 0, 1


@dataclass(frozen=True)
class Lane:
    """One process of pytest, with parts of the proofs one after the other, or with a share of one."""

    name: str
    parts: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self, results: Path) -> list[str]:
        """pytest's; `results` is the lane's folder."""
        files = sorted(str(path) for path in (ROOT / "tests" / "proof").glob("test_*.py"))
        paths = [path for part in self.parts for path in (files if part == "faults" else [f"tests/proof/{part}"])]
        return [sys.executable, "-m", "pytest", *paths, f"--junitxml={junit(results)}"]


@dataclass(frozen=True)
class Ended:
    """A lane's pytest: its exit code, and how many tests of each part failed."""

    lane: Lane
    code: int
    failed: Counter[str]

    @property
    def broke(self) -> bool:
        """What it left is not the whole, and no test says so."""
        return self.code not in {ALL_PASSED, SOME_FAILED} or (self.code == SOME_FAILED and not self.failed)


def lanes(parts: Sequence[str], *, full: bool) -> list[Lane]:
    """One, or those that run beside each other."""
    if not full:
        return [Lane("all", parts)]
    busy = [part for part in parts if part != "faults"]
    shares = range(1, SHARES + 1) if "faults" in parts else ()
    return [
        *([Lane("-".join(busy), busy)] if busy else []),
        *(Lane(f"faults-{n}", ("faults",), {"FAIRLEAD_PROOF_SHARE": f"{n}/{SHARES}"}) for n in shares),
    ]


def run(lane: Lane, results: Path) -> Ended:
    """In this terminal."""
    with started(lane, results) as process:
        code = process.wait()
    return Ended(lane, code, failures(results / lane.name))


def beside(several: Sequence[Lane], results: Path) -> list[Ended]:
    """All at the same time; each has a log."""
    LOGS.mkdir(parents=True, exist_ok=True)
    ended = []
    with ExitStack() as stack:
        running = []
        for lane in several:
            log = stack.enter_context((LOGS / f"{lane.name}.log").open("w"))
            running.append(stack.enter_context(started(lane, results, log.fileno())))
        for lane, process in zip(several, running, strict=True):
            code = process.wait()
            print(f"{lane.name}: {last_lines(LOGS / f'{lane.name}.log', 1 if code == 0 else 20)}", flush=True)
            ended.append(Ended(lane, code, failures(results / lane.name)))
    return ended


def junit(results: Path) -> Path:
    """Where pytest tells what became of each test."""
    return results / "tests.xml"


def failures(results: Path) -> Counter[str]:
    """Tests that failed, by part: a folder of tests/proof, or the faults, which lie there themselves."""
    failed = Results.of(junit(results)).failed
    return Counter(next((part for part in proof.PARTS if f"tests.proof.{part}." in name), "faults") for name in failed)


def failed_tests(ended: Sequence[Ended]) -> dict[str, int]:
    """Of each part that ran to its end."""
    broke = {part for one in ended if one.broke for part in one.lane.parts}
    failed = sum((one.failed for one in ended), Counter[str]())
    return {part: failed[part] for one in ended for part in one.lane.parts if part not in broke}


@contextmanager
def started(lane: Lane, results: Path, log: int | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """The process, which does not outlive the block."""
    folder = results / lane.name
    folder.mkdir()
    environment = {**os.environ, **lane.environment, "FAIRLEAD_PROOF_RESULTS": str(folder)}
    with subprocess.Popen(lane.command(folder), cwd=ROOT, env=environment, stdout=log, stderr=log) as process:
        try:
            yield process
        finally:
            process.terminate()


def main() -> int:
    """Zero when everything that was tried ended right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(proof.PARTS), help="with commas; the others are kept as they are")
    parts = parser.parse_args().parts.split(",")
    if unknown := set(parts) - proof.PARTS.keys():
        parser.error(f"--parts: there is no {', '.join(sorted(unknown))}; there are {', '.join(proof.PARTS)}")
    full = os.environ.get("FAIRLEAD_PROOF") == "full"
    programs = binaries.ensure(*PROGRAMS, progress=print)

    began = time.monotonic()
    with TemporaryDirectory() as folder:
        results, several = Path(folder), lanes(parts, full=full)
        ended = beside(several, results) if full else [run(several[0], results)]
        failed = failed_tests(ended)
        found = {
            name: part for name, part in proof.read(results / lane.name for lane in several).items() if name in failed
        }
    how = {"command": "make proof-full" if full else "make proof", "date": today(), "full": full}
    seconds = round(time.monotonic() - began, 1)
    keep(
        {
            name: proof.Kept(**dict(found[name]), **how, seconds=seconds, failed_tests=failed[name])
            if name in found
            else None
            for name in parts
        },
        {
            "fairlead": fairlead_operator.__version__,
            "kubernetes": _version(programs["kube-apiserver"]),
            "python": platform.python_version(),
        },
    )
    for name in parts:
        print(f"{name}: {told(found[name], failed[name]) if name in found else 'pytest broke, nothing is kept'}")
    return max(abs(one.code) for one in ended)


def told(part: proof.Part, failed: int) -> str:
    """Of one part, for the terminal."""
    tried, wrong = proof.sums(part.rows)
    broken, missed = proof.sums(part.broken)
    return (
        f"{tried} tried, {wrong} ended wrong; operators broken on purpose: {broken} tried, {missed} not found; "
        f"tests that failed: {failed}"
    )


def keep(ran: dict[str, proof.Kept | None], versions: dict[str, str]) -> None:
    """In docs/benchmarks/, as data and as a page."""
    data = KEPT / "proof.json"
    before = proof.ProofRecord.model_validate_json(data.read_text(encoding="utf-8")) if data.exists() else None
    record = proof.ProofRecord.of(this_machine(), versions, ran, before)
    data.write_text(record.model_dump_json(indent=2, exclude_none=True) + "\n", encoding="utf-8")
    (KEPT / "proof.md").write_text(proof_page.page(KEPT), encoding="utf-8")


def _version(program: Path) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return said.split()[-1].removeprefix("v")


if __name__ == "__main__":
    sys.exit(main())
