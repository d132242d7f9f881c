"""What a browser would load from another host when it shows a page."""

from html.parser import HTMLParser
from pathlib import Path

#: Element -> attribute whose address is loaded without a click. <link> is loaded too, but not where it only names a page.
LOADS = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "link": "href",
}
NAMES = frozenset({"canonical", "prev", "next", "alternate", "author", "license"})


def loaded(page: Path) -> list[str]:
    """The addresses of other hosts, in the order of the page."""
    reader = _Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    return reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        address = values.get(LOADS.get(tag, ""), "")
        if tag == "link" and NAMES & set(values.get("rel", "").split()):
            return
        if address.startswith(("http:", "https:", "//")):
            self.found.append(address)
