"""What is built, what is taken from the cache or PATH, and what a failing build leaves behind."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fairlead_cli.local import binaries
from fairlead_cli.local.errors import BuildFailed
from fairlead_cli.local.programs import PROGRAMS

#: Stands in for the compiler: writes down what it was asked for and makes the output file.
GO = """#!/bin/sh
[ "$1" = version ] && { echo "go version go1.99.0 linux/amd64"; exit 0; }
echo "$*" >> "$CALLS"
[ -n "$BROKEN" ] && { echo "undefined: everything"; exit 1; }
while [ "$1" != -o ]; do shift; done
echo built > "$2"
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """An empty cache, a PATH with the stand-in first; returns what it was asked to build."""
    tools = tmp_path / "tools"
    tools.mkdir()
    executable(tools / "go", GO)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.delenv("BROKEN", raising=False)
    log = tmp_path / "calls"
    return lambda: log.read_text().splitlines() if log.exists() else []


def executable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def test_only_what_is_named_is_built_and_only_once(calls: Callable[[], list[str]]) -> None:
    lines: list[str] = []
    first = binaries.ensure("etcd", "kubectl", progress=lines.append)

    second = binaries.ensure("etcd", "kubectl")

    assert first == second
    assert len(calls()) == 2
    assert any("etcd" in line and "1 of 2" in line for line in lines)


def test_another_fingerprint_is_built_anew(calls: Callable[[], list[str]]) -> None:
    binaries.ensure("etcd")
    (binaries.folder() / ".etcd.stamp").write_text("3.6.7 0000000000000000")

    assert binaries.missing("etcd") == ["etcd"]
    binaries.ensure("etcd")

    assert len(calls()) == 2


def test_a_failed_build_shows_the_compilers_words_and_leaves_no_program(
    calls: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKEN", "yes")

    with pytest.raises(BuildFailed, match="undefined: everything"):
        binaries.ensure("etcd")

    assert calls()
    assert binaries.missing("etcd") == ["etcd"]


@pytest.mark.parametrize(
    ("printed", "builds"),
    [
        pytest.param("Kubernetes v1.36.9", 0, id="the same minor release on PATH is taken"),
        pytest.param("Kubernetes v1.35.1", 1, id="another minor release is not"),
    ],
)
def test_a_program_on_path(calls: Callable[[], list[str]], tmp_path: Path, printed: str, builds: int) -> None:
    executable(tmp_path / "tools" / "kubelet", f"#!/bin/sh\necho '{printed}'\n")

    found = binaries.ensure("kubelet")

    assert len(calls()) == builds
    assert (found["kubelet"].parent == tmp_path / "tools") == (builds == 0)


@pytest.mark.parametrize(
    ("built", "printed", "found"),
    [
        pytest.param(False, "Client Version: v1.36.9", "tools", id="one on PATH, where it fits"),
        pytest.param(False, "Client Version: v1.32.4", None, id="none, where it does not"),
        pytest.param(
            True, "Client Version: v1.36.9", "home/bin", id="the one that was built, though for other sources"
        ),
    ],
)
def test_a_running_cluster_is_asked_by_the_kubectl_at_hand(
    calls: Callable[[], list[str]], tmp_path: Path, printed: str, found: str | None, *, built: bool
) -> None:
    executable(tmp_path / "tools" / "kubectl", f"#!/bin/sh\necho '{printed}'\n")
    if built:
        binaries.folder().mkdir(parents=True)
        executable(binaries.folder() / "kubectl", "#!/bin/sh\n")

    assert binaries.at_hand("kubectl") == (found and tmp_path / found / "kubectl")
    assert calls() == []


def test_a_name_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError, match="kublet"):
        binaries.ensure("kublet")


# pause is our own source and needs no other.
@pytest.mark.parametrize("name", sorted(PROGRAMS.keys() - {"pause"}))
def test_every_programs_sources_are_pinned(name: str) -> None:
    program = PROGRAMS[name]

    assert (program.folder / "go.sum").stat().st_size > 0
    assert f"v{program.version}" in (program.folder / "go.mod").read_text()
