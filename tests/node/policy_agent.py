"""kube-network-policies on the local cluster, whose own network enforces no NetworkPolicy.

The kernel asks it about the first packet of every connection to a pod. Its own rule for that is of nftables' kind, `queue`, which
some kernels were built without; the same of iptables' kind is in every kernel that can queue packets at all. Where both are there
it is asked twice, and says the same twice.
"""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from fairlead_cli.local import binaries, network, node
from fairlead_cli.local.call import call
from fairlead_cli.local.cluster import Cluster
from fairlead_cli.local.logs import last_lines

NAME = "kube-network-policies"
#: Which of netfilter's 65,536 queues: no default of any other program.
QUEUE = 10098
#: A line for each queue somebody answers for; its first word is the number.
QUEUES = Path("/proc/net/netfilter/nfnetlink_queue")
#: What root sends on the node itself passes, as the kubelet's probes must. `bypass`: without the agent everything does.
RULE = (
    *("-d", node.POD_CIDR, "-m", "conntrack", "!", "--ctstate", "ESTABLISHED,RELATED"),
    *("-m", "owner", "!", "--uid-owner", "0", "-m", "comment", "--comment", network.COMMENT),
    *("-j", "NFQUEUE", "--queue-num", str(QUEUE), "--queue-bypass"),
)
#: Seconds until it answers, and until it has ended.
WITHIN = 60.0


@contextlib.contextmanager
def running(cluster: Cluster) -> Iterator[None]:
    """NetworkPolicies are enforced meanwhile. The rule has the cluster's comment: should this be killed, `cluster.down` finds it."""
    program = binaries.ensure(NAME, progress=print)[NAME]
    log = cluster.logs / f"{NAME}.log"
    command = [str(program), f"--kubeconfig={cluster.kubeconfig}", f"--node={node.NAME}", f"--queue={QUEUE}", "-v=2"]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        ) as agent,
    ):
        try:
            _wait(agent, log)
            _rule("-I")
            try:
                yield
            finally:
                _rule("-D")
        finally:
            _end(agent)


def _wait(agent: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + WITHIN
    while not _answers():
        assert agent.poll() is None, f"{NAME} has ended:\n{last_lines(log)}"
        assert time.monotonic() < deadline, f"{NAME} takes no packets after {WITHIN:g} s:\n{last_lines(log)}"
        time.sleep(0.1)


def _answers() -> bool:
    """Where the kernel's part is a module, the file comes with the first queue."""
    lines = QUEUES.read_text(encoding="ascii").splitlines() if QUEUES.exists() else []
    return any(line.split()[0] == str(QUEUE) for line in lines)


def _end(agent: "subprocess.Popen[bytes]") -> None:
    """By the end of its input; it takes its own rules away then."""
    try:
        agent.communicate(timeout=WITHIN)
    except subprocess.TimeoutExpired:
        agent.kill()
        raise


def _rule(action: str) -> None:
    done = call("iptables", "-w", "-t", "mangle", action, "POSTROUTING", *RULE)
    assert not done.returncode, f"iptables {action}: {done.stderr.strip()}"
