"""Runs tests/proof and keeps its figures: `make proof`, `make proof-full` (FAIRLEAD_PROOF=full).

Writes docs/benchmarks/proof.json and proof.md, failures included.
"""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import fairlead_operator
from fairlead_cli import proof_page
from fairlead_cli.bench import proof
from fairlead_cli.bench.record import this_machine, today
from fairlead_cli.local import binaries

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "benchmarks"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok")


def main() -> int:
    """Zero when everything that was tried ended right."""
    full = os.environ.get("FAIRLEAD_PROOF") == "full"
    programs = binaries.ensure(*PROGRAMS, progress=print)
    with TemporaryDirectory() as results:
        began = time.monotonic()
        command = [sys.executable, "-m", "pytest", "tests/proof", *sys.argv[1:]]
        code = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "FAIRLEAD_PROOF_RESULTS": results}, check=False
        ).returncode
        seconds = time.monotonic() - began
        parts = proof.read(Path(results))
    record = proof.ProofRecord(
        machine=this_machine(),
        versions={
            "fairlead": fairlead_operator.__version__,
            "kubernetes": _version(programs["kube-apiserver"]),
            "python": platform.python_version(),
        },
        command="make proof-full" if full else "make proof",
        date=today(),
        full=full,
        seconds=round(seconds, 1),
        **proof.totals(parts),
        parts=parts,
    )
    (FOLDER / "proof.json").write_text(record.model_dump_json(indent=2, exclude_none=True) + "\n", encoding="utf-8")
    (FOLDER / "proof.md").write_text(proof_page.page(FOLDER), encoding="utf-8")
    for name, part in parts.items():
        print(
            f"{name}: {sum(row.tried for row in part.rows)} tried, {sum(row.failed for row in part.rows)} ended wrong"
        )
    return code


def _version(program: Path) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return said.split()[-1].removeprefix("v")


if __name__ == "__main__":
    sys.exit(main())
