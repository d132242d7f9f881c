"""An environment is made once for a lock file, and one that broke off is made anew."""

import subprocess
import sys
from pathlib import Path

import pytest

from fairlead_cli.local import environments
from fairlead_cli.local.errors import BuildFailed, MachineUnfit


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def lock(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "lock.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_it_is_made_at_the_first_call_and_found_at_the_next(tmp_path: Path) -> None:
    said: list[str] = []
    empty = lock(tmp_path, "# nothing\n")

    made = environments.python("kind", empty, "making it", progress=said.append)
    found = environments.python("kind", empty, "making it", progress=said.append)

    assert made == found
    assert said == ["making it"]
    prefix = subprocess.run([made, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True)
    assert Path(prefix.stdout.strip()) == made.parent.parent


def test_another_lock_file_is_another_environment(tmp_path: Path) -> None:
    first = environments.python("kind", lock(tmp_path, "# one\n"), "making it")
    second = environments.python("kind", lock(tmp_path, "# two\n"), "making it")

    assert first != second


def test_what_cannot_be_installed_is_said_and_is_no_environment(tmp_path: Path) -> None:
    broken = lock(tmp_path, "fairlead-without-a-hash\n")

    for _ in range(2):
        with pytest.raises(BuildFailed, match="hash"):
            environments.python("kind", broken, "making it")


def test_where_there_is_no_uv_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uv", None)

    with pytest.raises(MachineUnfit, match="pip install uv"):
        environments.python("kind", lock(tmp_path, "# nothing\n"), "making it")
