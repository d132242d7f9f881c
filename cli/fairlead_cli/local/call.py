"""Runs a program of this machine to its end."""

import subprocess


def call(*command: str, given: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Both outputs as text; the caller reads the exit code. `given` is its standard input, nothing by default."""
    return subprocess.run(command, input=given or "", capture_output=True, text=True, check=False)
