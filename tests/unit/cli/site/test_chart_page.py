"""The page of the chart's values is what values.yaml says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from fairlead_cli.site.chart import Value, page, values

TEXT = (Path(__file__).parents[4] / "charts" / "fairlead" / "values.yaml").read_text(encoding="utf-8")


def paths(part: dict[str, Any], before: str = "") -> Iterator[str]:
    for key, value in part.items():
        yield f"{before}{key}"
        if isinstance(value, dict):
            yield from paths(value, f"{before}{key}.")


def test_a_comment_belongs_to_the_key_below_it() -> None:
    text = "# A group.\na:\n  # -- One\n  # of two lines.\n  b: 1\n\n# Of nothing.\n\nc: {}\n"

    assert list(values(text)) == [
        Value("a", "", "A group."),
        Value("a.b", "1", "One of two lines."),
        Value("c", "{}", ""),
    ]


def test_every_value_is_there() -> None:
    found = {value.path for value in values(TEXT)}

    assert found == set(paths(yaml.safe_load(TEXT)))


def test_the_page_shows_defaults_and_meanings() -> None:
    assert "| `crds.keep` | `true` | Keep it, and so all InferenceServices and their pods" in page(TEXT)
