"""Kernel settings that the node's programs change, read before and put back after."""

from collections.abc import Mapping
from pathlib import Path

from fairlead_cli.local.errors import MachineUnfit

PROC = Path("/proc/sys")
FORWARDING = "net/ipv4/ip_forward"
#: What they are changed to. The first six by the kubelet (`setupKernelTunables`). Forwarding, which pods need, by us;
#: with it the kernel changes how redirects are taken, and the forwarding of every link (see `_of_links`).
#: kube-proxy would set route_localnet, which opens loopback services to neighbours: its configuration forbids that.
CHANGED_TO = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
    FORWARDING: "1",
    "net/ipv4/conf/all/accept_redirects": "0",
}


def read() -> dict[str, str]:
    """The values as they are now, by name; forwarding comes before the settings that it carries along."""
    names = [*CHANGED_TO, *_of_links()]
    return {name: _value(name) for name in names if (PROC / name).exists()}


def forward() -> None:
    """Let packets pass between links, as pods need. Raises MachineUnfit where the kernel's settings are read-only."""
    if _value(FORWARDING) != "1":
        try:
            (PROC / FORWARDING).write_text("1")
        except OSError as error:
            raise MachineUnfit(
                f"net.ipv4.ip_forward cannot be set here ({error}); set it to 1 from outside, or run on a whole machine"
            ) from error


def restore(before: Mapping[str, str]) -> None:
    """Put back what `read` returned, where the value is still the one that the node gave it.

    What somebody else has set since stays.
    """
    now = {name: _value(name) for name in before if (PROC / name).exists()}
    wanted = {name: before[name] if value == CHANGED_TO.get(name, "1") else value for name, value in now.items()}
    for name, value in wanted.items():
        # Read again: writing ip_forward has changed those that follow it.
        if _value(name) != value:
            (PROC / name).write_text(value)


def _of_links() -> list[str]:
    found = (PROC / "net/ipv4/conf").glob("*/forwarding")
    # "all" is another name of ip_forward.
    return sorted(str(path.relative_to(PROC)) for path in found if path.parent.name != "all")


def _value(name: str) -> str:
    return (PROC / name).read_text(encoding="utf-8").strip()
