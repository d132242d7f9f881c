"""An external metrics API behind the API server's aggregation, with one number that a test sets."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from api.cluster import Kubectl, Manifest, conditions, eventually
from fairlead_cli.local.controlplane import ControlPlane

GROUP, VERSION = "external.metrics.k8s.io", "v1beta1"
METRIC = "waiting_requests"


@dataclass
class ExternalMetrics:
    """`total` is the metric's value for every namespace and selector."""

    total: int = 0

    def answer(self, path: str) -> dict[str, object]:
        """The body for a path of the API: a list of the metric, or what there is to ask for."""
        api = {"apiVersion": f"{GROUP}/{VERSION}"}
        if METRIC in path:
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            item = {"metricName": METRIC, "metricLabels": {}, "timestamp": now, "value": str(self.total)}
            return {**api, "kind": "ExternalMetricValueList", "metadata": {}, "items": [item]}
        resource = {"name": METRIC, "singularName": "", "namespaced": True, "kind": "ExternalMetricValueList"}
        return {
            "apiVersion": "v1",
            "kind": "APIResourceList",
            "groupVersion": f"{GROUP}/{VERSION}",
            "resources": [{**resource, "verbs": ["get"]}],
        }


@contextmanager
def external_metrics(admin: Kubectl, plane: ControlPlane) -> Iterator[ExternalMetrics]:
    """Served on this machine under the API server's own certificate, and registered until the end."""
    metrics = ExternalMetrics()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = json.dumps(metrics.answer(self.path)).encode()
            self.send_response(200 if self.path.startswith(f"/apis/{GROUP}/{VERSION}") else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Nothing."""

    pki = plane.settings.directory / "pki"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki / "apiserver.crt", pki / "apiserver.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        with _registered(admin, server.server_port):
            yield metrics
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def _registered(admin: Kubectl, port: int) -> Iterator[None]:
    name = f"{VERSION}.{GROUP}"
    admin.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "external-metrics"},
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
        }
    )
    admin.apply(
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": name},
            "spec": {
                "group": GROUP,
                "version": VERSION,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                # It asks for the certificate of external-metrics.default.svc, and ours is for localhost.
                "insecureSkipTLSVerify": True,
                "service": {"namespace": admin.namespace, "name": "external-metrics", "port": port},
            },
        }
    )

    def available() -> Manifest:
        return conditions(admin.get("apiservice", name)).get("Available", {})

    try:
        try:
            eventually(lambda: available().get("status") == "True", f"APIService {name}")
        except AssertionError as late:
            raise AssertionError(f"{late}; {available()}") from late
        yield
    finally:
        admin.delete("apiservice", name)
        admin.delete("service", "external-metrics")
