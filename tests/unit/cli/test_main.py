"""The command line's entry points: `fairlead`, and `kubectl fairlead` for services in a cluster."""

import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from fairlead_cli.__main__ import IN_A_CLUSTER, ON_THIS_MACHINE, fairlead, kubectl_fairlead
from fairlead_cli.images import recipes
from fairlead_cli.lazy import LazyGroup
from fairlead_cli.local import machine
from fairlead_cli.local.errors import MachineUnfit


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


#: Brought by the extra of the operator, or by what fairlead itself is worked on with.
NOT_OF_THE_EXTRA = (
    *(
        "fastapi",
        "hatchling",
        "httptools",
        "httpx",
        "hypothesis",
        "jinja2",
        "jsonschema",
        "kopf",
        "kubernetes",
        "openai",
    ),
    *("packaging", "prometheus_client", "pydantic_settings", "pytest", "uv", "uvicorn", "uvloop"),
)


def test_every_command_can_be_imported_with_the_packages_of_the_extra_cli_alone() -> None:
    missing = f"import sys; sys.modules.update(dict.fromkeys({NOT_OF_THE_EXTRA}))"
    run = "from fairlead_cli.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", f"{missing}; {run}", "--help"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert all(f"  {name} " in done.stdout for name in (*IN_A_CLUSTER, *ON_THIS_MACHINE))


@pytest.mark.parametrize("arguments", [["demo"], ["images", "build"], ["images", "load"]])
def test_what_needs_a_clone_says_so_where_there_is_none(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "ROOT", tmp_path)
    monkeypatch.setattr(machine, "prepare", lambda *_needs, **_options: pytest.fail("this machine was prepared"))

    done = CliRunner().invoke(fairlead, arguments)

    assert isinstance(done.exception, MachineUnfit)
    assert "in a clone, `make demo`" in str(done.exception)


#: What `fairlead plan` of a folder has no use for: clients of clusters and hubs, servers, the engine, what draws and what is for other
#: commands. Each of them takes longer to import than the plan takes to compute.
NOT_FOR_A_PLAN = {
    *(
        "aiohttp",
        "asyncio",
        "cryptography",
        "fastapi",
        "huggingface_hub",
        "jinja2",
        "kopf",
        "kubernetes",
        "prometheus_client",
    ),
    *(
        "pydantic_settings",
        "requests",
        "rich",
        "ssl",
        "torch",
        "transformers",
        "urllib.request",
        "urllib3",
        "uvicorn",
        "vllm",
    ),
    *(
        "fairlead_cli.bench",
        "fairlead_cli.demo",
        "fairlead_cli.images",
        "fairlead_cli.local.cluster",
        "fairlead_cli.plan.picture",
    ),
    *(
        "fairlead_operator.api.crd",
        "fairlead_operator.api.schema",
        "fairlead_operator.api.status",
        "fairlead_operator.controller",
    ),
    *(
        "fairlead_operator.core.conditions",
        "fairlead_operator.core.revisions",
        "fairlead_runtime.catalogue",
        "fairlead_runtime.server",
        "fairlead_runtime.supervisor",
    ),
}


def test_a_plan_of_a_folder_imports_only_what_it_computes_with(tmp_path: Path) -> None:
    weights = Path(__file__).parents[3] / "examples" / "model" / "weights"
    service = {"metadata": {"name": "mine"}, "spec": {"model": {"uri": "hf://org/model"}}}
    file = tmp_path / "service.json"
    file.write_text(json.dumps({"apiVersion": "fairlead.dev/v1alpha1", "kind": "InferenceService", **service}))
    options = ["plan", "-f", str(file), "--model-folder", str(weights), "--gpu", "H200"]
    at_exit = "import atexit, gc, sys; atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count(), *sys.modules, file=sys.stderr))"
    run = "from fairlead_cli.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", f"{at_exit}; {run}", *options], capture_output=True, text=True, check=True
    )
    collects, frozen, *imported = done.stderr.split()

    assert "verdict      fits" in done.stdout
    assert not NOT_FOR_A_PLAN & set(imported)
    assert "fairlead_operator.core.resolve" in imported
    assert collects == "True", "garbage is collected again once the command is imported"
    assert int(frozen) > 0, "but not among what was imported"
