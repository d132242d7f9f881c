"""`make clean` in a checkout whose environment works, and in one whose environment does not."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
#: Stands in for .venv/bin/python: imports what it is asked to, and takes the cluster down as well as this says.
PYTHON = """#!/bin/sh
[ "$1" = -c ] && exit 0
echo "$*" >> ran
exit {code}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    return tmp_path


def clean(checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "-C", str(checkout), "clean"], capture_output=True, text=True, check=False)


def python(checkout: Path, code: int) -> None:
    program = checkout / ".venv" / "bin" / "python"
    program.write_text(PYTHON.format(code=code))
    program.chmod(0o755)


def test_the_cluster_is_stopped_first(checkout: Path) -> None:
    python(checkout, code=0)

    assert clean(checkout).returncode == 0
    assert (checkout / "ran").read_text() == "-m fairlead_cli cluster down\n"
    assert not (checkout / ".venv").exists()


def test_the_environment_stays_where_the_cluster_cannot_be_stopped(checkout: Path) -> None:
    python(checkout, code=1)

    assert clean(checkout).returncode != 0
    assert (checkout / ".venv").exists()


def test_an_environment_whose_python_is_gone_is_removed(checkout: Path) -> None:
    (checkout / ".venv" / "bin" / "python").symlink_to("/nowhere/python3")

    done = clean(checkout)

    assert done.returncode == 0
    assert "no cluster was stopped" in done.stdout
    assert not (checkout / ".venv").exists()


def test_a_checkout_without_an_environment_has_nothing_to_tell(checkout: Path) -> None:
    shutil.rmtree(checkout / ".venv")

    done = clean(checkout)

    assert done.returncode == 0
    assert "no cluster" not in done.stdout
