"""The page of commands has every command, as wide as on any terminal."""

import re

import pytest

from fairlead_cli.__main__ import IN_A_CLUSTER, ON_THIS_MACHINE
from fairlead_cli.site.commands import WIDTH, page


@pytest.mark.parametrize("name", [*IN_A_CLUSTER, *ON_THIS_MACHINE, "cluster up", "images load"])
def test_a_command_has_its_section_with_usage_and_options(name: str) -> None:
    (section,) = re.findall(rf"^## fairlead {name}\n(.*?)(?=^## |\Z)", page(), flags=re.DOTALL | re.MULTILINE)

    assert f"Usage: fairlead {name} [OPTIONS]" in section
    assert "--help" in section


def test_the_page_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = page()
    monkeypatch.setenv("COLUMNS", "40")

    assert page() == expected
    assert (
        max(len(line) for block in re.findall(r"```\n(.*?)```", expected, re.DOTALL) for line in block.splitlines())
        <= WIDTH
    )
