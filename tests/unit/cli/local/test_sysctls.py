"""Settings come back as they were, unless somebody else has changed them since."""

from pathlib import Path

import pytest

from fairlead_cli.local import sysctls
from fairlead_cli.local.errors import MachineUnfit

BEFORE = {
    "vm/overcommit_memory": "0",
    "vm/panic_on_oom": "0",
    "kernel/panic": "7",
    "kernel/panic_on_oops": "0",
    "kernel/keys/root_maxkeys": "200",
    "kernel/keys/root_maxbytes": "20000",
    "net/ipv4/ip_forward": "0",
    "net/ipv4/conf/all/accept_redirects": "1",
    "net/ipv4/conf/all/forwarding": "0",
    "net/ipv4/conf/eth0/forwarding": "0",
    "net/ipv4/conf/tun0/forwarding": "1",
}


@pytest.fixture(autouse=True)
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sysctls, "PROC", tmp_path)
    put(tmp_path, BEFORE)
    return tmp_path


def put(proc: Path, values: dict[str, str]) -> None:
    for name, value in values.items():
        (proc / name).parent.mkdir(parents=True, exist_ok=True)
        (proc / name).write_text(f"{value}\n")


def as_the_node_sets_them(proc: Path) -> None:
    put(proc, sysctls.CHANGED_TO | {name: "1" for name in BEFORE if name.endswith("/forwarding")})


def values(proc: Path) -> dict[str, str]:
    return {name: (proc / name).read_text().strip() for name in BEFORE if "all/forwarding" not in name}


def test_all_come_back(proc: Path) -> None:
    before = sysctls.read()
    expected = values(proc)
    as_the_node_sets_them(proc)

    sysctls.restore(before)

    assert values(proc) == expected


def test_a_second_time_changes_nothing(proc: Path) -> None:
    before = sysctls.read()
    as_the_node_sets_them(proc)
    sysctls.restore(before)
    expected = values(proc)

    sysctls.restore(before)

    assert values(proc) == expected


def test_what_somebody_else_has_set_since_stays(proc: Path) -> None:
    before = sysctls.read()
    as_the_node_sets_them(proc)
    put(proc, {"kernel/panic": "30"})

    sysctls.restore(before)

    assert values(proc)["kernel/panic"] == "30"
    assert values(proc)["kernel/panic_on_oops"] == "0"


def test_forwarding_comes_first_because_the_kernel_resets_every_link_with_it() -> None:
    names = list(sysctls.read())

    followers = [names.index(name) for name in names if "/conf/" in name]
    assert names.index(sysctls.FORWARDING) < min(followers)


def test_a_link_and_a_setting_that_are_gone_are_passed_over(proc: Path) -> None:
    before = sysctls.read()
    as_the_node_sets_them(proc)
    (proc / "net/ipv4/conf/tun0/forwarding").unlink()

    sysctls.restore(before)

    assert (proc / "net/ipv4/ip_forward").read_text().strip() == "0"


def test_settings_that_cannot_be_written_are_the_machines_fault(proc: Path) -> None:
    (proc / sysctls.FORWARDING).unlink()
    (proc / sysctls.FORWARDING).symlink_to("/proc/version")

    with pytest.raises(MachineUnfit, match=r"net\.ipv4\.ip_forward cannot be set here"):
        sysctls.forward()
