"""Which published vulnerabilities were found, and which of them are accepted: locks/accepted-advisories.toml."""

import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from fairlead_cli.local.errors import LocalError

FIELDS = {"id": str, "package": str, "reason": str, "until": date}


class AcceptedWrong(LocalError):  # noqa: N818  a statement about the file
    """The file of accepted advisories cannot be used; the text names entry and field."""


@dataclass(frozen=True)
class Accepted:
    """One advisory that is passed until a day."""

    id: str
    package: str
    reason: str
    until: date

    def covers(self, finding: "Finding") -> bool:
        """Whether this is about that."""
        return self.package == finding.package and self.id in {finding.id, *finding.aliases}


@dataclass(frozen=True)
class Finding:
    """One published vulnerability of one pinned package."""

    package: str
    version: str
    id: str
    aliases: tuple[str, ...]
    fixed_in: tuple[str, ...]

    def told(self, locks: Iterable[str]) -> str:
        """What it is, where it is pinned, and what to do."""
        names = ", ".join(dict.fromkeys((self.id, *self.aliases)))
        if self.fixed_in:
            cure = f"take {' or '.join(self.fixed_in)}: raise the bound in pyproject.toml, or python locks/lock.py --upgrade"
        else:
            cure = "no version fixes it: do without the package, or accept it with a reason in locks/accepted-advisories.toml"
        return f"{self.package} {self.version} ({', '.join(sorted(locks))}): {names}; {cure}"


@dataclass(frozen=True)
class Report:
    """What was said of the pins of one lock file."""

    findings: tuple[Finding, ...]
    unjudged: tuple[str, ...]
    """Packages of which the service knows nothing, with its reason."""


def accepted(file: Path) -> list[Accepted]:
    """The entries of the file. Raises AcceptedWrong."""
    try:
        entries = tomllib.loads(file.read_text(encoding="utf-8")).get("accepted", [])
    except tomllib.TOMLDecodeError as error:
        raise AcceptedWrong(f"{file.name}: {error}") from error
    return [_entry(entry, f"{file.name}, entry {number}") for number, entry in enumerate(entries, start=1)]


def _entry(entry: dict[str, Any], place: str) -> Accepted:
    if unknown := entry.keys() - FIELDS.keys():
        raise AcceptedWrong(f"{place}: {', '.join(sorted(unknown))} is no field; there are {', '.join(FIELDS)}")
    for field, kind in FIELDS.items():
        if not isinstance(entry.get(field), kind) or not entry[field]:
            form = "a day without quotes, such as 2027-01-31" if kind is date else "a text that is not empty"
            raise AcceptedWrong(f"{place}: {field} has to be {form}")
    return Accepted(entry["id"], canonicalize_name(entry["package"]), entry["reason"], entry["until"])


def parsed(output: str) -> Report:
    """The answer of `pip-audit --format json`. Raises ValueError when it is none."""
    findings, unjudged = [], []
    for package in json.loads(output)["dependencies"]:
        name = canonicalize_name(package["name"])
        if "skip_reason" in package:
            unjudged.append(f"{name}: {package['skip_reason']}")
        findings += [
            Finding(name, package["version"], vuln["id"], tuple(vuln["aliases"]), tuple(vuln["fix_versions"]))
            for vuln in package.get("vulns", ())
        ]
    return Report(tuple(findings), tuple(unjudged))


def judged(reports: dict[str, Report], known: list[Accepted], today: date) -> tuple[list[str], list[str]]:
    """What must be done, and what is only to be told, of the reports by lock file."""
    where: dict[Finding, set[str]] = {}
    for lock, report in reports.items():
        for finding in report.findings:
            where.setdefault(finding, set()).add(lock)
    problems, notes = [], []
    for finding, locks in where.items():
        entry = next((entry for entry in known if entry.covers(finding)), None)
        if entry is None:
            problems.append(finding.told(locks))
        elif entry.until <= today:
            problems.append(f"{finding.told(locks)}; it was accepted until {entry.until}: judge it anew")
        else:
            notes.append(
                f"{finding.package} {finding.version}: {finding.id} is accepted until {entry.until}: {entry.reason}"
            )
    unused = [entry for entry in known if not any(entry.covers(finding) for finding in where)]
    notes += [f"{entry.package}: {entry.id} is accepted and was not found: take the entry out" for entry in unused]
    # A package that nobody knows anything of would pass for healthy.
    silence = {text for report in reports.values() for text in report.unjudged}
    problems += [f"not judged, ask another service (SERVICE=osv or pypi): {text}" for text in sorted(silence)]
    return problems, notes
