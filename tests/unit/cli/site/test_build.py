"""A site is built strictly, and refused when it would load anything from elsewhere. The builder is a script here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlead_cli.local import environments
from fairlead_cli.site.build import LOCK, ROOT, SiteBroken, build, pages

Builder = Callable[[str], None]


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builder:
    """Makes `python -m mkdocs build --strict --quiet --site-dir FOLDER` run this shell text, in which $7 is FOLDER."""
    program = tmp_path / "python"

    def behave(text: str) -> None:
        program.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        program.chmod(0o755)

    def made(kind: str, lock: Path, *_args: Any, **_options: Any) -> Path:
        assert (kind, lock) == ("docs", LOCK)
        return program

    monkeypatch.setattr(environments, "python", made)
    return behave


def test_the_site_is_built_strictly_into_the_folder(builder: Builder, tmp_path: Path) -> None:
    builder('mkdir -p "$7/a" && echo "$@" > "$7/index.html" && echo > "$7/a/b.html"')

    build(tmp_path / "site")

    assert [str(page.relative_to(tmp_path)) for page in pages(tmp_path / "site")] == [
        "site/a/b.html",
        "site/index.html",
    ]
    assert (tmp_path / "site" / "index.html").read_text().startswith("-m mkdocs build --strict ")


def test_what_the_builder_complains_about_is_the_error(builder: Builder, tmp_path: Path) -> None:
    builder("echo 'WARNING: a page links nowhere' >&2; exit 1")

    with pytest.raises(SiteBroken, match="links nowhere"):
        build(tmp_path / "site")


def test_a_page_that_would_load_a_script_from_elsewhere_is_refused(builder: Builder, tmp_path: Path) -> None:
    builder("""mkdir -p "$7" && echo '<script src="https://cdn.example/x.js"></script>' > "$7/index.html" """)

    with pytest.raises(SiteBroken, match=r"index\.html: https://cdn\.example/x\.js"):
        build(tmp_path / "site")


def test_the_lock_file_has_the_builder_with_a_hash() -> None:
    lines = (ROOT / "locks" / "docs.txt").read_text(encoding="utf-8")

    assert "\nmkdocs-material==" in lines
    assert lines.count("==") <= lines.count("--hash=sha256:")
