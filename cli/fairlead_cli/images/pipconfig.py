"""What a Dockerfile's pip must know of this machine's network: its certificates and its package index.

Handed to the build as mounts, so that neither ends up in an image or in a Dockerfile.
"""

import configparser
import os
from pathlib import Path

#: Where a build sees them.
CONFIG, CERTIFICATES = "/etc/pip.conf", "/run/build-certificates.crt"
#: pip's own configuration files, the stronger last.
FILES = (Path("/etc/pip.conf"), Path.home() / ".pip/pip.conf", Path.home() / ".config/pip/pip.conf")
KEPT = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout")
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def mounts(folder: Path) -> list[str]:
    """Options for `buildah bud`; the configuration is written below `folder`."""
    settings = _settings()
    certificates = settings.pop("cert", "") or os.environ.get("SSL_CERT_FILE", "") or str(SYSTEM_CERTIFICATES)
    lines, options = ["[global]"], []
    if Path(certificates).is_file():
        lines.append(f"cert = {CERTIFICATES}")
        options += ["--volume", f"{certificates}:{CERTIFICATES}:ro"]
    lines += [f"{name} = {value}" for name, value in settings.items()]
    file = folder / "pip.conf"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    file.chmod(0o600)  # an index's URL may hold a password
    return [*options, "--volume", f"{file}:{CONFIG}:ro"]


def _settings() -> dict[str, str]:
    parser = configparser.RawConfigParser()
    given = os.environ.get("PIP_CONFIG_FILE")
    parser.read([*FILES, *([given] if given else [])], encoding="utf-8")
    found = dict(parser["global"]) if parser.has_section("global") else {}
    for name in (*KEPT, "cert"):
        if value := os.environ.get(f"PIP_{name.upper().replace('-', '_')}"):
            found[name] = value
    # Values over several lines are lists to pip: they stay so when every line is indented.
    return {name: value.replace("\n", "\n  ") for name, value in found.items() if name in (*KEPT, "cert")}
