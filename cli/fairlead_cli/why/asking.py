"""The cluster, asked through the user's own kubectl.

kubectl rather than a client library: what `kubectl fairlead` sees must be what `kubectl` sees. Merged kubeconfigs, contexts, logins by
exec and OIDC, proxies and impersonation are kubectl's own; a library has most of them, and its differences would be met as "works with
kubectl, but not with its plugin". A process for each question costs some 50 ms, and they are asked side by side.
"""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from fairlead_operator.core.names import CONTAINER, Manifest

#: Of each request: longer than any API server that works, shorter than a person's patience.
REQUEST_TIMEOUT = "--request-timeout=10s"
#: Seconds for a process; kubectl tries several addresses, each with the timeout above.
PROCESS_TIMEOUT = 60
SERVICES = "inferenceservices.fairlead.dev"


class Refusal(StrEnum):
    """Why there is no answer."""

    ABSENT = "absent"
    FORBIDDEN = "forbidden"
    NO_SUCH_KIND = "no such kind"
    UNREACHABLE = "unreachable"


class UnansweredError(Exception):
    """A question without an answer; the text is kubectl's, in one line."""

    def __init__(self, refusal: Refusal, text: str) -> None:
        super().__init__(text)
        self.refusal = refusal

    @property
    def brief(self) -> str:
        """Without kubectl's own beginning."""
        return str(self).removeprefix("Error from server ").removeprefix("(Forbidden): ")


class Reader(Protocol):
    """Questions to one cluster; each raises UnansweredError."""

    def get(self, kind: str, name: str) -> Manifest:
        """One object of the namespace."""
        ...

    def find(self, kind: str, *, labels: str = "", fields: str = "", everywhere: bool = False) -> Sequence[Manifest]:
        """The objects of the namespace, or of all."""
        ...

    def log(self, pod: str, *, previous: bool, lines: int) -> str:
        """The last lines of the engine's container, of its run before the present one if `previous`."""
        ...

    def namespace(self) -> str:
        """The one that is asked about."""
        ...


def find_kubectl() -> str:
    """The kubectl on PATH, else the one that was built for the local cluster. Raises UnansweredError."""
    if found := shutil.which("kubectl"):
        return found
    # Heavy, and only needed where there is no kubectl.
    from fairlead_cli.local import binaries  # noqa: PLC0415

    built = binaries.folder() / "kubectl"
    if not built.exists():
        raise UnansweredError(Refusal.UNREACHABLE, "kubectl is not on PATH: install it, or run `fairlead cluster up`")
    return str(built)


@dataclass(frozen=True)
class Kubectl:
    """`flags` choose cluster, user and namespace, in kubectl's own words."""

    program: str
    flags: tuple[str, ...] = ()

    def get(self, kind: str, name: str) -> Manifest:
        """With managedFields: they say when the spec was changed."""
        found: Manifest = self._json("get", kind, name, "--show-managed-fields")
        return found

    def find(self, kind: str, *, labels: str = "", fields: str = "", everywhere: bool = False) -> Sequence[Manifest]:
        """In the order of kubectl: by name."""
        where = ["--all-namespaces"] if everywhere else []
        found: list[Manifest] = self._json("get", kind, f"--selector={labels}", f"--field-selector={fields}", *where)[
            "items"
        ]
        return found

    def log(self, pod: str, *, previous: bool, lines: int) -> str:
        """Of the engine's container alone."""
        return self._run("logs", pod, f"--container={CONTAINER}", f"--previous={previous}".lower(), f"--tail={lines}")

    def namespace(self) -> str:
        """The flag's, else the context's, else `default`."""
        named = next((flag.partition("=")[2] for flag in self.flags if flag.startswith("--namespace=")), "")
        return named or self._run("config", "view", "--minify", "-o", "jsonpath={..namespace}").strip() or "default"

    def command(self, *arguments: str) -> list[str]:
        """The command line of a question."""
        return [self.program, *arguments, *self.flags]

    def _json(self, *arguments: str) -> Any:
        return json.loads(self._run(*arguments, "-o", "json"))

    def _run(self, *arguments: str) -> str:
        command = self.command(*arguments, REQUEST_TIMEOUT)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PROCESS_TIMEOUT, check=False)
        except subprocess.TimeoutExpired as late:
            raise UnansweredError(Refusal.UNREACHABLE, f"no answer within {PROCESS_TIMEOUT} s") from late
        if done.returncode:
            raise refused(done.stderr)
        return done.stdout


def refused(said: str) -> UnansweredError:
    """Why kubectl has no answer, from what it wrote on stderr: warnings and log lines first, the error last."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    text = lines[-1] if lines else "kubectl said nothing"
    if "the server doesn't have a resource type" in text or "could not find the requested resource" in text:
        return UnansweredError(Refusal.NO_SUCH_KIND, text)
    if "(Forbidden)" in text:
        return UnansweredError(Refusal.FORBIDDEN, text)
    if "(NotFound)" in text and "namespaces" not in text:
        return UnansweredError(Refusal.ABSENT, text)
    return UnansweredError(Refusal.UNREACHABLE, text)
