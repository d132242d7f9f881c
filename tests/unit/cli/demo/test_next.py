"""What the demo leaves its user with: lines that do when they are pasted."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from fairlead_cli.commands.demo import what_next
from fairlead_cli.demo.kubectl import Kubectl


def test_its_lines_are_whole_and_find_kubectl_in_a_narrow_window(tmp_path: Path) -> None:
    folder = tmp_path / "a home with spaces" / ("deep" * 20)
    told = io.StringIO()

    what_next(Console(file=told, width=40), Kubectl(folder / "kubectl", folder / "admin.yaml"))

    lines = told.getvalue().splitlines()
    assert f"  export KUBECONFIG='{folder}/admin.yaml'" in lines
    assert any(line.startswith(f"""  export PATH="$PATH":'{folder}'""") for line in lines)
    typed = {line.split()[0] for line in lines if line.startswith("  ")}
    assert typed == {"export", "kubectl", ".venv/bin/fairlead"}


def test_where_a_proxy_is_set_the_shell_is_told_that_it_does_not_lead_to_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.corp:3128")
    monkeypatch.setenv("NO_PROXY", ".corp")
    told = io.StringIO()

    what_next(Console(file=told, width=40), Kubectl(tmp_path / "kubectl", tmp_path / "admin.yaml"))

    assert "  export NO_PROXY=.corp,10.96.0.0/14 no_proxy=.corp,10.96.0.0/14 " in told.getvalue()
