"""Runs a program of this machine to its end."""

import subprocess

from fairlead_cli.local import surroundings


def call(*command: str, given: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Both outputs as text; the caller reads the exit code. `given` is its standard input, nothing by default."""
    environment = surroundings.direct()
    return subprocess.run(command, input=given or "", env=environment, capture_output=True, text=True, check=False)
