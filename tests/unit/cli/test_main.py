"""The command line's entry points: `fairlead`, and `kubectl fairlead` for services in a cluster."""

import subprocess
import sys
from importlib.metadata import entry_points

import click
import pytest
from click.testing import CliRunner

from fairlead_cli.__main__ import IN_A_CLUSTER, ON_THIS_MACHINE, fairlead, kubectl_fairlead
from fairlead_cli.lazy import LazyGroup


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        pytest.param(fairlead, {*IN_A_CLUSTER, *ON_THIS_MACHINE}, id="fairlead has all of them"),
        pytest.param(kubectl_fairlead, {*IN_A_CLUSTER}, id="kubectl fairlead has what works on any cluster"),
    ],
)
def test_every_command_of_a_group_can_be_imported_and_has_its_name(group: LazyGroup, expected: set[str]) -> None:
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}

    assert {name: command and command.name for name, command in found.items()} == {name: name for name in expected}
    assert CliRunner().invoke(group, ["--help"]).exit_code == 0


def test_an_unknown_command_is_a_usage_error() -> None:
    done = CliRunner().invoke(fairlead, ["whence"])

    assert done.exit_code == 2
    assert "No such command 'whence'" in done.output


def test_kubectl_finds_the_plugin_by_its_name() -> None:
    (script,) = entry_points(group="console_scripts", name="kubectl-fairlead")

    assert callable(script.load())


def test_a_command_does_not_wait_for_the_imports_of_the_others() -> None:
    code = "import sys; import fairlead_cli.__main__; print(*sorted({'aiohttp', 'cryptography', 'rich'} & set(sys.modules)))"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert imported.strip() == ""
