"""What a release is refused for, and that wheel and chart are the same bytes whenever they are made."""

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from fairlead_cli.release import packages, source
from fairlead_cli.release.digests import Part, write
from fairlead_cli.release.source import CHANGELOG, VERSION_FILE, Refused
from fairlead_operator import __version__

ROOT = Path(__file__).resolve().parents[4]


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def checkout(folder: Path, version: str = "1.2.0", changelog: str = "## 1.2.0, unreleased\n") -> Path:
    """A clean repository of two files."""
    for name, content in (
        (VERSION_FILE, f'__version__ = "{version}"\n'),
        (CHANGELOG, changelog),
        (".gitignore", "dist/\n"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "All", "--date", "@1700000000")
    return folder


@pytest.mark.parametrize("heading", ["## 1.2.0", "## 1.2.0, unreleased", "## 1.3.0\n\n## 1.2.0 (2026-11-28)"])
def test_a_clean_commit_with_its_changelog_entry_is_taken(tmp_path: Path, heading: str) -> None:
    found = source.checked(checkout(tmp_path, changelog=f"# Changelog\n\n{heading}\n"))

    committed = subprocess.run(
        ["git", "-C", str(tmp_path), "log", "-1", "--format=%H %ct"], check=True, capture_output=True, text=True
    )
    assert (found.version, f"{found.commit} {found.epoch}") == ("1.2.0", committed.stdout.strip())


@pytest.mark.parametrize(
    ("changelog", "says"),
    [
        pytest.param("## 1.1.0\n", 'no entry "## 1.2.0": write what changed', id="an older entry"),
        pytest.param("## 1.2.0rc1\n", 'no entry "## 1.2.0"', id="an entry of another version that begins alike"),
        pytest.param("In 1.2.0 all is new\n", 'no entry "## 1.2.0"', id="named in a sentence only"),
    ],
)
def test_a_version_without_its_changelog_entry_is_refused(tmp_path: Path, changelog: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        source.checked(checkout(tmp_path, changelog=changelog))


@pytest.mark.parametrize("file", ["new.py", CHANGELOG], ids=["not added", "changed"])
def test_files_that_differ_from_the_commit_are_refused_by_name(tmp_path: Path, file: str) -> None:
    checkout(tmp_path)
    (tmp_path / file).write_text("## 1.2.0\nx", encoding="utf-8")

    with pytest.raises(Refused, match=f"differ from it; commit or remove them:\n.*{file}"):
        source.checked(tmp_path)


def test_a_folder_outside_git_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="git status failed in"):
        source.checked(tmp_path)


def test_what_git_ignores_does_not_reach_the_release(tmp_path: Path) -> None:
    made = checkout(tmp_path / "checkout")
    (made / "dist").mkdir()
    (made / "dist" / "old.whl").touch()
    copy = tmp_path / "copy"
    copy.mkdir()

    source.checked(made).unpack(copy)

    assert sorted(str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()) == [
        ".gitignore",
        CHANGELOG,
        VERSION_FILE,
    ]


def test_wheel_and_chart_of_this_commit_are_made_twice_alike(tmp_path: Path) -> None:
    head = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    # Whatever is being worked on here: the commit is what is packed.
    commit = source.Source(ROOT, __version__, head.stdout.strip(), 1_700_000_000)
    digests = []
    for out in (tmp_path / "first", tmp_path / "second"):
        out.mkdir()
        made = packages.build(commit, out)
        digests.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in made])

    assert digests[0] == digests[1]
    with zipfile.ZipFile(tmp_path / "first" / f"fairlead-{__version__}-py3-none-any.whl") as wheel:
        names = wheel.namelist()
        assert {entry.date_time for entry in wheel.infolist()} == {(2023, 11, 14, 22, 13, 20)}
    assert {name.split("/")[0] for name in names} == {
        "fairlead_operator",
        "fairlead_runtime",
        "fairlead_cli",
        f"fairlead-{__version__}.dist-info",
    }


def test_the_list_of_digests_names_every_part_in_a_fixed_order(tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(b"wheel")
    wheel, image = Part.file(tmp_path / "a.whl", "wheel"), Part("fairlead/operator:1", "image", "ab" * 32)
    commit = source.Source(ROOT, "1.0.0", "c0ffee", 1)

    written = write(tmp_path, commit, [wheel, image]).read_text(encoding="utf-8")

    assert written == write(tmp_path, commit, [image, wheel]).read_text(encoding="utf-8")
    assert wheel.sha256 == hashlib.sha256(b"wheel").hexdigest()
    assert written.index('"image"') < written.index('"wheel"')
    assert '"commit": "c0ffee"' in written
