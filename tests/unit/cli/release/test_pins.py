"""Lock files as they are read for the images and for the audit."""

from pathlib import Path

import pytest

from fairlead_cli.release import pins

LOCKS = Path(__file__).resolve().parents[4] / "locks"


@pytest.mark.parametrize(
    ("python", "expected"),
    [("3.11", ["always", "until-3-12"]), ("3.13.1", ["always"])],
)
def test_markers_are_judged_for_the_image(tmp_path: Path, python: str, expected: list[str]) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(
        "# comment\nAlways==1 \\\n    --hash=sha256:" + "0" * 64 + "\n"
        "until_3.12==1 ; python_full_version < '3.12'\nnever==1 ; sys_platform == 'win32'\n",
        encoding="utf-8",
    )

    assert [pin.name for pin in pins.read(lock, pins.linux(python))] == expected


def test_a_line_without_a_version_is_an_error(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("thing>=1\n", encoding="utf-8")

    with pytest.raises(ValueError, match=r"lock.txt: thing>=1 pins no version"):
        pins.read(lock, pins.linux("3.11"))


@pytest.mark.parametrize("lock", sorted(LOCKS.glob("*.txt")), ids=lambda lock: lock.name)
def test_every_pin_of_every_lock_file_has_its_hashes(lock: Path) -> None:
    found = pins.read(lock, pins.linux("3.11"))

    assert found
    assert all(pin.sha256 for pin in found)
