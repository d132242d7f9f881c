"""What the base system is made from."""

import importlib.util
import os
import py_compile
from collections.abc import Sequence
from pathlib import Path
from py_compile import PycInvalidationMode

import pytest

from fairlead_cli.images import bases
from fairlead_cli.images.store import Store
from fairlead_cli.local.errors import BuildFailed, MachineUnfit


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path))
    return Store(tmp_path / "images")


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.14"])
def test_the_version_is_what_python3_points_to(tmp_path: Path, version: str) -> None:
    assert bases.python_version(system_with(tmp_path, version)) == version


@pytest.mark.parametrize("version", ["3.9", "3.10"])
def test_an_old_python_is_refused_with_what_to_do(tmp_path: Path, version: str) -> None:
    with pytest.raises(MachineUnfit, match=f"python3 is {version}; the images need 3.11"):
        bases.python_version(system_with(tmp_path, version))


@pytest.mark.parametrize("mode", [PycInvalidationMode.TIMESTAMP, PycInvalidationMode.CHECKED_HASH])
def test_bytecode_of_the_system_holds_whatever_the_times_of_its_files(
    tmp_path: Path, mode: PycInvalidationMode
) -> None:
    source = tmp_path / "usr/lib/python3/module.py"
    source.parent.mkdir(parents=True)
    source.write_text("compiled = True\n", encoding="utf-8")
    py_compile.compile(str(source), invalidation_mode=mode)
    # Python would compile it anew: the source has another time, length and content.
    source.write_text("compiled = False\n", encoding="utf-8")
    os.utime(source, (0, 0))
    outside = tmp_path / "outside.pyc"
    outside.write_bytes(b"of this machine")
    (source.parent / "link.pyc").symlink_to(outside)

    bases.settle_bytecode(tmp_path)

    spec = importlib.util.spec_from_file_location("module", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.compiled
    assert outside.read_bytes() == b"of this machine"


def test_a_machine_without_sources_of_its_release_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_command: Sequence[str]) -> str:
        return ""

    monkeypatch.setattr(store, "run", nothing)

    with pytest.raises(MachineUnfit, match="apt-get update"):
        bases.apt_sources(store)


def test_a_failed_step_ends_with_its_last_words(store: Store) -> None:
    with pytest.raises(BuildFailed, match="no space left"):
        store.run(["sh", "-c", "echo no space left >&2; exit 3"])


def test_what_writes_dates_writes_none_of_today(store: Store) -> None:
    assert store.run(["sh", "-c", "echo $SOURCE_DATE_EPOCH"]) == "0"


def test_a_step_returns_what_it_printed_and_logs_it(store: Store) -> None:
    assert store.run(["echo", "made"]) == "made"
    assert "made" in store.log.read_text()


def test_only_mounts_of_the_storage_are_taken_away(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.storage.mkdir(parents=True)
    inside = f"{store.storage}/overlay/abc/merged"
    table = [
        f"{inside}/proc",
        f"{inside}/dev/pts",
        f"{inside}/dev",
        inside,
        f"{store.storage}-of-another/merged/x",
        "/",
    ]
    lines = "".join(f"1 1 0:1 / {point} rw - ext4 /dev/x rw\n" for point in table)
    monkeypatch.setattr(Path, "read_text", lambda *_args, **_options: lines)
    ran: list[list[str]] = []

    def run(command: Sequence[str], _environment: object = None) -> str:
        ran.append(list(command))
        return ""

    monkeypatch.setattr(store, "run", run)

    store.clean()

    unmounted = [command[-1] for command in ran if command[0] == "umount"]
    assert set(unmounted) == {f"{inside}/proc", f"{inside}/dev/pts", f"{inside}/dev"}
    assert unmounted.index(f"{inside}/dev/pts") < unmounted.index(f"{inside}/dev")
    assert ran[-1][-2:] == ["rm", "--all"]


def system_with(root: Path, version: str) -> Path:
    programs = root / "usr" / "bin"
    programs.mkdir(parents=True)
    (programs / "python3").symlink_to(f"python{version}")
    return root
