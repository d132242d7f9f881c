"""kubectl against one cluster: the demo does what its user would do, with the same command lines."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead_cli.local import surroundings
from fairlead_cli.local.errors import LocalError


class KubectlFailed(LocalError):  # noqa: N818
    """A kubectl or helm command ended with an error; the text holds the command and what it said."""


@dataclass(frozen=True)
class Kubectl:
    """`program` with `kubeconfig`; every call waits for the command's end."""

    program: Path
    kubeconfig: Path

    @property
    def environment(self) -> dict[str, str]:
        """For other programs that talk to the same cluster, such as helm."""
        return {**surroundings.direct(), "KUBECONFIG": str(self.kubeconfig)}

    def run(self, *arguments: str, given: str | None = None) -> str:
        """What the command prints. Raises KubectlFailed."""
        return run(str(self.program), *arguments, environment=self.environment, given=given)

    def get(self, *arguments: str) -> Any:
        """The object, or the List of objects, that `kubectl get ... -o json` prints."""
        return json.loads(self.run("get", *arguments, "-o", "json"))


def run(*command: str, environment: Mapping[str, str], given: str | None = None) -> str:
    """Run one program to its end. Raises KubectlFailed with the last of what it said."""
    done = subprocess.run(command, env=dict(environment), input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise KubectlFailed(f"`{' '.join([Path(command[0]).name, *command[1:]])}` failed:\n{said}")
    return done.stdout
