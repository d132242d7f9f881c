"""The repository's folder `operator/` must never stand in for Python's own module of that name."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


def test_folder_has_no_init() -> None:
    assert not (REPOSITORY / "operator" / "__init__.py").exists()
    assert not (REPOSITORY / "runtime" / "__init__.py").exists()


def test_python_started_in_the_repository_finds_its_own_operator() -> None:
    shown = subprocess.run(
        [
            sys.executable,
            "-c",
            "import operator; print(operator.attrgetter('name').__class__.__module__, operator.__file__)",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert shown[0] == "operator"
    assert not shown[1].startswith(str(REPOSITORY / "operator"))
