"""What a build learns about this machine's network, and by which way."""

from pathlib import Path

import pytest

from fairlead_cli.images import pipconfig


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipconfig, "FILES", ())
    for name in (*pipconfig.KEPT, "cert", "config-file"):
        monkeypatch.delenv(f"PIP_{name.upper().replace('-', '_')}", raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)


def test_the_environment_is_stronger_than_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "host.conf"
    file.write_text("[global]\ntimeout = 7\nproxy = from-file\nno-input = true\n")
    monkeypatch.setattr(pipconfig, "FILES", (file,))
    monkeypatch.setenv("PIP_PROXY", "from-environment")

    pipconfig.mounts(tmp_path)

    written = (tmp_path / "pip.conf").read_text()
    assert "timeout = 7" in written
    assert "proxy = from-environment" in written
    assert "no-input" not in written


def test_the_machines_certificates_are_mounted_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificates = tmp_path / "own.crt"
    certificates.write_text("certificate")
    monkeypatch.setenv("PIP_CERT", str(certificates))

    options = pipconfig.mounts(tmp_path)

    assert f"{certificates}:{pipconfig.CERTIFICATES}:ro" in options
    assert f"cert = {pipconfig.CERTIFICATES}" in (tmp_path / "pip.conf").read_text()


def test_without_certificates_pip_keeps_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipconfig, "SYSTEM_CERTIFICATES", tmp_path / "none.crt")

    options = pipconfig.mounts(tmp_path)

    assert options == ["--volume", f"{tmp_path / 'pip.conf'}:{pipconfig.CONFIG}:ro"]


def test_nobody_else_reads_an_index_that_may_hold_a_password(tmp_path: Path) -> None:
    pipconfig.mounts(tmp_path)

    assert (tmp_path / "pip.conf").stat().st_mode & 0o077 == 0
