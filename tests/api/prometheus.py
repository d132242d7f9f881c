"""A real Prometheus that scrapes as the chart's PodMonitors say, and what is asked of it."""

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import debian
from api.cluster import Manifest, eventually
from fairlead_cli.local.health import free_ports

SCRAPE_SECONDS = 2


@dataclass(frozen=True)
class Target:
    """A pod as the API server has it, and where one of its ports really answers."""

    pod: Manifest
    container: str
    port: str
    address: str

    @property
    def labels(self) -> dict[str, str]:
        """As Prometheus' discovery of pods gives them."""
        metadata = self.pod["metadata"]
        meta = {
            "namespace": metadata["namespace"],
            "pod_name": metadata["name"],
            "pod_phase": self.pod.get("status", {}).get("phase", "Running"),
            "pod_container_name": self.container,
            "pod_container_port_name": self.port,
            **{f"pod_label_{_safe(name)}": value for name, value in metadata["labels"].items()},
        }
        return {f"__meta_kubernetes_{name}": value for name, value in meta.items()}


def _safe(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def scraped(monitor: Manifest, targets: list[Target]) -> list[dict[str, Any]]:
    """The scrape configurations that the Prometheus operator makes of a PodMonitor, with all targets put before them."""
    spec, metadata = monitor["spec"], monitor["metadata"]
    found = []
    for number, endpoint in enumerate(spec["podMetricsEndpoints"]):
        name = f"podMonitor/{metadata['namespace']}/{metadata['name']}/{number}"
        picked = {f"pod_label_{_safe(key)}": value for key, value in spec["selector"]["matchLabels"].items()}
        kept = {**picked, "pod_container_port_name": endpoint["port"]}
        copied = {"namespace": "namespace", "pod_container_name": "container", "pod_name": "pod"}
        relabelings: list[dict[str, Any]] = [
            *(_keep(label, value) for label, value in kept.items()),
            *({"source_labels": [f"__meta_kubernetes_{label}"], "target_label": to} for label, to in copied.items()),
            {"target_label": "job", "replacement": f"{metadata['namespace']}/{metadata['name']}"},
            {"target_label": "endpoint", "replacement": endpoint["port"]},
            *({_snake(key): value for key, value in relabeling.items()} for relabeling in endpoint["relabelings"]),
        ]
        found.append({
            "job_name": name,
            "honor_labels": endpoint.get("honorLabels", False),
            "metrics_path": endpoint.get("path", "/metrics"),
            "scrape_interval": f"{SCRAPE_SECONDS}s",
            "scrape_timeout": f"{SCRAPE_SECONDS}s",
            "static_configs": [{"targets": [target.address], "labels": target.labels} for target in targets],
            "relabel_configs": relabelings,
        })  # fmt: skip
    return found


def _keep(label: str, value: str) -> dict[str, Any]:
    return {"action": "keep", "source_labels": [f"__meta_kubernetes_{label}"], "regex": value}


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


@dataclass(frozen=True)
class Prometheus:
    """Its HTTP API."""

    url: str

    def get(self, path: str, **parameters: str) -> Any:
        """The answer's data. Raises urllib.error.HTTPError for a query that it does not take."""
        query = urllib.parse.urlencode({name.replace("match", "match[]"): text for name, text in parameters.items()})
        with urllib.request.urlopen(f"{self.url}{path}?{query}", timeout=10) as answer:
            return json.load(answer)["data"]

    def vector(self, expr: str) -> list[Mapping[str, Any]]:
        """What an expression gives now."""
        data = self.get("/api/v1/query", query=expr)
        found: list[Mapping[str, Any]] = data["result"]
        assert data["resultType"] == "vector", expr
        return found


@contextmanager
def prometheus(folder: Path, scrape_configs: list[dict[str, Any]], rules: Manifest) -> Iterator[Prometheus]:
    """One that runs; rules: of a PrometheusRule. They are evaluated as often as everything is scraped."""
    port = free_ports(1)[0]
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules["spec"]))
    configuration = {
        "global": {"evaluation_interval": f"{SCRAPE_SECONDS}s"},
        "rule_files": [str(folder / "rules.yaml")],
        "scrape_configs": scrape_configs,
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    log = folder / "prometheus.log"
    command = [
        str(debian.program("prometheus", "prometheus", progress=print)),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            started = Prometheus(f"http://127.0.0.1:{port}")
            eventually(lambda: _ready(started, process, log), f"Prometheus, see {log}")
            yield started
        finally:
            process.kill()


def _ready(started: Prometheus, process: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert process.poll() is None, log.read_text()[-3000:]
    try:
        with urllib.request.urlopen(f"{started.url}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
