"""Runs tests/proof and keeps its figures: `make proof`, `make proof-full` (FAIRLEAD_PROOF=full).

proofs.py [--parts crash,faults,explore,fuzz]

Writes docs/benchmarks/proof.json and proof.md, failures included; parts that are not asked for stay as they are there. In the full run
the faults wait for the operator's own timers most of the time: they run beside the other parts, in shares.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
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
KEPT = ROOT / "docs" / "benchmarks"
#: What the full run's processes say.
LOGS = ROOT / "dist" / "proof"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok")
#: Processes for the faults of the full run: each has a control plane, and an operator that must not lose its Lease on two cores.
SHARES = 4


@dataclass(frozen=True)
class Lane:
    """One process of pytest, with parts of the proofs one after the other, or with a share of one."""

    name: str
    parts: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self) -> list[str]:
        """pytest's."""
        files = sorted(str(path) for path in (ROOT / "tests" / "proof").glob("test_*.py"))
        paths = [path for part in self.parts for path in (files if part == "faults" else [f"tests/proof/{part}"])]
        return [sys.executable, "-m", "pytest", *paths]


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


def run(lane: Lane, results: Path) -> int:
    """In this terminal. Returns pytest's exit code."""
    with started(lane, results) as process:
        return process.wait()


def beside(several: Sequence[Lane], results: Path) -> int:
    """All at the same time; each has a log. Returns the worst exit code."""
    LOGS.mkdir(parents=True, exist_ok=True)
    worst = 0
    with ExitStack() as stack:
        running = []
        for lane in several:
            log = stack.enter_context((LOGS / f"{lane.name}.log").open("w"))
            running.append(stack.enter_context(started(lane, results, log.fileno())))
        for lane, process in zip(several, running, strict=True):
            code = process.wait()
            print(f"{lane.name}: {last_lines(LOGS / f'{lane.name}.log', 1 if code == 0 else 20)}", flush=True)
            worst = max(worst, abs(code))
    return worst


@contextmanager
def started(lane: Lane, results: Path, log: int | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """The process, which does not outlive the block."""
    folder = results / lane.name
    folder.mkdir()
    environment = {**os.environ, **lane.environment, "FAIRLEAD_PROOF_RESULTS": str(folder)}
    with subprocess.Popen(lane.command(), cwd=ROOT, env=environment, stdout=log, stderr=log) as process:
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
        code = beside(several, results) if full else run(several[0], results)
        found = proof.read(results / lane.name for lane in several)
    how = {"command": "make proof-full" if full else "make proof", "date": today(), "full": full}
    seconds = round(time.monotonic() - began, 1)
    keep(
        {name: proof.Kept(**dict(found[name]), **how, seconds=seconds) if name in found else None for name in parts},
        {
            "fairlead": fairlead_operator.__version__,
            "kubernetes": _version(programs["kube-apiserver"]),
            "python": platform.python_version(),
        },
    )
    for name, part in found.items():
        print(
            f"{name}: {sum(row.tried for row in part.rows)} tried, {sum(row.failed for row in part.rows)} ended wrong"
        )
    return code


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
