"""What the authority signs is believed by a strict TLS client, for its own names and no others."""

import socket
import ssl
import threading
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from fairlead_cli.local.certificates import Authority
from fairlead_cli.local.credentials import Credentials


def handshake(directory: Path, name: str) -> str:
    """Connect strictly, as Python 3.13 does by default; returns the error, empty if there is none."""
    authority = Authority.create("test")
    authority.pair.write(directory, "ca")
    certificate, key = authority.server("server", ["localhost", "127.0.0.1"]).write(directory, "server")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    client = ssl.create_default_context(cafile=str(directory / "ca.crt"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    here, there = socket.socketpair()

    def serve() -> None:
        try:
            serving.wrap_socket(there, server_side=True).close()
        except OSError:
            there.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client.wrap_socket(here, server_hostname=name).close()
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    finally:
        here.close()
        thread.join()
    return ""


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_strict_client_believes_the_names_that_were_asked_for(tmp_path: Path, name: str) -> None:
    assert handshake(tmp_path, name) == ""


def test_no_other_name_is_believed(tmp_path: Path) -> None:
    assert "mismatch" in handshake(tmp_path, "example.test")


def test_a_client_certificate_carries_user_and_groups() -> None:
    pair = Authority.create("test").client("jane", ["devs", "ops"])

    subject = x509.load_pem_x509_certificate(pair.certificate).subject

    assert [item.value for item in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["jane"]
    assert {item.value for item in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)} == {"devs", "ops"}


def test_keys_and_kubeconfigs_are_for_their_owner_alone(tmp_path: Path) -> None:
    credentials = Credentials.create(tmp_path / "pki", ["127.0.0.1"])
    kubeconfig = credentials.kubeconfig(tmp_path / "admin.yaml", "https://127.0.0.1:1", "admin")

    private = [*(tmp_path / "pki").glob("*.key"), kubeconfig]

    assert len(private) > 5
    assert {oct(path.stat().st_mode & 0o777) for path in private} == {"0o600"}
    assert yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:1"


def test_users_of_the_api_server_are_strangers_to_etcd(tmp_path: Path) -> None:
    credentials = Credentials.create(tmp_path, ["127.0.0.1"])
    store = x509.load_pem_x509_certificate(credentials.path("etcd-ca.crt").read_bytes())
    user = x509.load_pem_x509_certificate(credentials.path("apiserver-kubelet.crt").read_bytes())

    with pytest.raises(ValueError, match="does not match certificate issuer"):
        user.verify_directly_issued_by(store)


def test_a_loaded_authority_signs_for_the_same_control_plane(tmp_path: Path) -> None:
    Credentials.create(tmp_path, ["127.0.0.1"])

    Credentials.load(tmp_path).node("node", ["127.0.0.1"])

    authority = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    x509.load_pem_x509_certificate((tmp_path / "kubelet.crt").read_bytes()).verify_directly_issued_by(authority)
