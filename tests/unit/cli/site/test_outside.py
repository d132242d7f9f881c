"""What a page would load from another host is found, and what it only links to is not."""

from pathlib import Path

import pytest

from fairlead_cli.site.outside import loaded


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        pytest.param('<script src="https://cdn.example/x.js"></script>', ["https://cdn.example/x.js"], id="a script"),
        pytest.param('<link rel="stylesheet" href="//fonts.example/a.css">', ["//fonts.example/a.css"], id="a font"),
        pytest.param('<p><img src="http://example.com/a.png"></p>', ["http://example.com/a.png"], id="an image"),
        pytest.param('<script src="assets/x.js"></script><img src="a.svg">', [], id="its own files"),
        pytest.param('<a href="https://example.com">there</a>', [], id="a link that somebody may click"),
        pytest.param('<link rel="canonical" href="https://example.com/">', [], id="a name of the page"),
        pytest.param("<link><script>1</script>", [], id="nothing"),
    ],
)
def test_loaded(tmp_path: Path, html: str, expected: list[str]) -> None:
    page = tmp_path / "page.html"
    page.write_text(html, encoding="utf-8")

    assert loaded(page) == expected
