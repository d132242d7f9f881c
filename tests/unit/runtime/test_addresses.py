"""Ports are open wherever a pod has addresses: of IPv4, of IPv6, or of both."""

import asyncio
import socket
import urllib.request
from pathlib import Path
from threading import Thread

import pytest
from prometheus_client import CollectorRegistry

from fairlead_operator.controller.health import Health
from fairlead_runtime import addresses
from fairlead_runtime.arguments import build_argv
from fairlead_runtime.config import Model, RuntimeConfig
from fairlead_runtime.probes import ProbeServer
from fairlead_runtime.reports import Reports

LOOPBACK = "00000000000000000000000000000001 01 80 10 80       lo\n"
LINK = "fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n"
POD = "fd000000000000000000000000000002 04 40 00 82     eth0\n"
#: An address of each family, as a client of this machine has it.
CLIENTS = ("127.0.0.1", "[::1]")


@pytest.mark.parametrize(
    ("found", "host"),
    [
        pytest.param(None, "", id="no IPv6 in this kernel"),
        pytest.param("", "", id="switched off in this pod"),
        pytest.param(LOOPBACK + LINK, "", id="none that others reach"),
        pytest.param(LINK + POD + LOOPBACK, "::", id="an address of the cluster's"),
    ],
)
def test_ipv6_is_listened_on_where_the_pod_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str | None, host: str
) -> None:
    file = tmp_path / "if_inet6"
    if found is not None:
        file.write_text(found)
    monkeypatch.setattr(addresses, "ADDRESSES", file)

    assert addresses.everywhere() == host


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod with addresses of both families."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    monkeypatch.setattr(addresses, "everywhere", lambda: addresses.BOTH)


def answer(host: str, port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=10) as got:
        return str(got.read().decode())


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize("client", CLIENTS)
def test_the_management_port_answers_both(tmp_path: Path, client: str) -> None:
    server = ProbeServer(0, Reports(), tmp_path / "none")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        assert '"phase"' in answer(client, server.server_address[1], "/state")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.usefixtures("both")
async def test_the_operators_port_answers_both() -> None:
    health = Health(CollectorRegistry(), ready=lambda: "", live=lambda: "")
    port = await health.start(0)
    try:
        assert [await asyncio.to_thread(answer, client, port, "/livez") for client in CLIENTS] == ["ok", "ok"]
    finally:
        await health.stop()


@pytest.mark.parametrize(("host", "flags"), [("", []), ("::", ["--host=::"])])
def test_the_engine_is_told_where_to_listen(host: str, flags: list[str]) -> None:
    config = RuntimeConfig(model=Model(served_name="mistral", path="/models/model"))

    assert [flag for flag in build_argv(config, {}, host) if flag.startswith("--host")] == flags
