"""Images are the same bytes whenever they are made from the same files."""

import os
from pathlib import Path

import pytest

from fairlead_cli import images


def test_a_model_is_the_same_image_whenever_it_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = []
    for year, home in enumerate(("first", "second")):
        folder = tmp_path / home
        # An empty model takes no space that would have to be looked for.
        (folder / "images" / "layout").mkdir(parents=True)
        (folder / "model").mkdir()
        (folder / "model" / "config.json").write_text("{}", encoding="utf-8")
        os.utime(folder / "model" / "config.json", (0, 1_700_000_000 + year * 31_536_000))
        monkeypatch.setenv("FAIRLEAD_HOME", str(folder))
        digests.append(images.pack(folder / "model", "localhost/fairlead/same:1").digest)

    assert digests[0] == digests[1]
