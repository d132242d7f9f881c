"""The operator's pod on the local cluster: what it leads, and a death without notice."""

import os
import signal
import time
from typing import Any
from urllib.request import urlopen

from fairlead_cli.demo.kubectl import Kubectl
from fairlead_cli.local.stack import NAMESPACE, RELEASE
from fairlead_operator.core import names

from . import pods

#: Seconds until a killed operator's successor leads: its Lease runs out after 15 s, its pod starts in a few.
LEADS_WITHIN = 120
PORT = 8080


def user() -> str:
    """The operator's name in the audit log."""
    return f"system:serviceaccount:{NAMESPACE}:{RELEASE}"


def current(kubectl: Kubectl) -> dict[str, Any] | None:
    """The pod that runs the operator now; None while there is none."""
    found = kubectl.get("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=fairlead")["items"]
    running = [pod for pod in found if "deletionTimestamp" not in pod["metadata"] and pod["status"].get("podIP")]
    return running[0] if running else None


def sample(kubectl: Kubectl, line: str) -> float:
    """The value of the operator's metric that begins with `line`, labels included; 0 when it does not answer."""
    pod = current(kubectl)
    if pod is None:
        return 0
    try:
        with urlopen(f"http://{pod['status']['podIP']}:{PORT}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return 0
    return next((float(row.rpartition(" ")[2]) for row in text.splitlines() if row.rpartition(" ")[0] == line), 0)


def wait_to_lead(kubectl: Kubectl) -> None:
    """Return once an operator holds the Lease."""
    deadline = time.monotonic() + LEADS_WITHIN
    while sample(kubectl, "fairlead_leader") != 1:
        assert time.monotonic() < deadline, "no operator leads"
        time.sleep(0.2)


def kill(kubectl: Kubectl) -> None:
    """SIGKILL for its process; the pod goes too, so that the successor need not wait for the kubelet's back-off."""
    pod = current(kubectl)
    assert pod is not None
    for pid in pods.processes(pod, b"fairlead_operator"):
        os.kill(pid, signal.SIGKILL)
    kubectl.run("delete", "pod", "-n", NAMESPACE, pod["metadata"]["name"], "--force", "--grace-period=0", "--wait")


def free_the_lease(kubectl: Kubectl) -> None:
    """After a kill: the successor leads at once, and not when the Lease of the dead has run out."""
    kubectl.run("delete", "lease", "-n", NAMESPACE, names.LEASE)
