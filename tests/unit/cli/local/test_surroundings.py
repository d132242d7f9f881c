"""A proxy of the user's is for downloads: what speaks to the cluster on this machine is not sent there."""

import os

import pytest

from fairlead_cli.local import surroundings
from fairlead_cli.local.call import call

NAMES = ("HTTP_PROXY", "https_proxy", "ALL_PROXY")
NETWORK = "10.96.0.0/14"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """None but those that a test sets."""
    for name in (*surroundings.PROXIES, *surroundings.EXCEPTIONS):
        monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@pytest.mark.usefixtures("proxies")
def test_a_program_of_this_machine_is_told_of_no_proxy_and_of_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/somewhere")

    printed = call("env").stdout.splitlines()

    assert "SSH_AUTH_SOCK=/somewhere" in printed
    assert not [line for line in printed if line.split("=")[0] in NAMES]


def test_a_program_of_this_machine_finds_those_that_only_root_has_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin:/usr/sbin")

    assert call("sh", "-c", 'echo "$PATH"').stdout.strip() == "/usr/bin:/bin:/usr/sbin:/usr/local/sbin:/sbin"


@pytest.mark.usefixtures("proxies")
def test_they_are_put_aside_for_a_while_and_are_there_again_after_it() -> None:
    with surroundings.without_proxies():
        assert not set(NAMES) & set(os.environ)

    assert {os.environ[name] for name in NAMES} == {"http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        pytest.param({}, None, id="no proxy, nothing to be told"),
        pytest.param({"https_proxy": ""}, None, id="nor where one was taken back"),
        pytest.param(
            {"https_proxy": "p"}, f"export NO_PROXY={NETWORK} no_proxy={NETWORK}", id="a proxy without exceptions"
        ),
        pytest.param(
            {"HTTPS_PROXY": "p", "no_proxy": "*.corp,10.0.0.1"},
            f"export NO_PROXY='*.corp,10.0.0.1,{NETWORK}' no_proxy='*.corp,10.0.0.1,{NETWORK}'",
            id="exceptions that are there stay",
        ),
        pytest.param({"HTTPS_PROXY": "p", "NO_PROXY": f"a,{NETWORK}"}, None, id="the cluster is one of them"),
        pytest.param({"HTTPS_PROXY": "p", "NO_PROXY": "*"}, None, id="everything is"),
    ],
)
def test_a_shell_is_told_what_its_own_kubectl_needs(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert surroundings.exemption(NETWORK) == told
