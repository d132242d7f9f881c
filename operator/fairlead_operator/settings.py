"""What an administrator can set: environment variables with the prefix FAIRLEAD_."""

import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from fairlead_operator.core import engines
from fairlead_operator.core.resolve import NetworkAccess

#: Of vLLM, such as 0.32.0; a repackaged one adds a suffix.
VERSION = r"^([0-9]+\.[0-9]+[-+.0-9A-Za-z]*)?$"
#: key=value, and more of them behind commas.
LABELS = r"^([A-Za-z0-9][-A-Za-z0-9_./]*=[-A-Za-z0-9_.]*(,[A-Za-z0-9][-A-Za-z0-9_./]*=[-A-Za-z0-9_.]*)*)?$"
#: The kubelet mounts it into every pod with a service account.
NAMESPACE_PATH = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def own_namespace() -> str:
    """The namespace this pod runs in; outside a cluster the chart's default."""
    try:
        return NAMESPACE_PATH.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return "fairlead-system"


class Settings(BaseSettings):
    """Every field has a default that works in a cluster, but the images: those belong to a release."""

    model_config = SettingsConfigDict(env_prefix="FAIRLEAD_", frozen=True, extra="ignore")

    #: Image of pods with resources.device Accelerator. A service's own `image` wins.
    runtime_image: Annotated[str, Field(min_length=1, max_length=512)]
    #: Image of pods with resources.device CPU.
    runtime_image_cpu: Annotated[str, Field(min_length=1, max_length=512)]
    #: vLLM's version in runtime_image: arguments are judged by its parser before a pod is made. Empty when it is not known, and
    #: then the engine itself refuses them at start.
    engine_version: Annotated[str, Field(pattern=VERSION)] = engines.ACCELERATOR
    #: The same of runtime_image_cpu.
    engine_version_cpu: Annotated[str, Field(pattern=VERSION)] = engines.CPU
    #: Where the Lease lies.
    namespace: str = Field(default_factory=own_namespace)
    #: Identity in the Lease and in events; two running operators must differ in it.
    pod_name: str = Field(default_factory=socket.gethostname)
    #: Comma-separated namespaces to serve; empty serves all and needs a ClusterRole.
    watch_namespaces: str = ""
    #: Reconciles at the same time.
    workers: Annotated[int, Field(ge=1, le=256)] = 16
    #: HF_ENDPOINT of the pods; empty leaves huggingface_hub's own.
    hub_endpoint: str = ""
    #: Comma-separated registries, or registries with a path, whose images services may name in spec.image and as oci://
    #: models; empty allows all. The two runtime images above are always allowed.
    allowed_images: str = ""
    #: Whether services may have an API key made for them (spec.serving.apiKey): needs the right to create Secrets.
    generate_api_keys: bool = True
    #: Whether each service gets a NetworkPolicy: needs rights to NetworkPolicies.
    network_policies: bool = False
    #: Labels (key=value, comma-separated) of the namespaces from which port 9090 of the pods may be scraped; empty: from none.
    monitoring_namespaces: Annotated[str, Field(pattern=LABELS)] = ""
    #: The same of the namespaces, beside a service's own, whose pods may use its serving port; empty: everybody may.
    client_namespaces: Annotated[str, Field(pattern=LABELS)] = ""
    log_format: Literal["text", "json"] = "json"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    #: Port of /livez, /readyz and /metrics; 0 takes a free one.
    health_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    #: Steady rate of requests to the API server, per second; bursts of twice as many pass. The Lease has its own connection.
    api_requests_per_second: Annotated[float, Field(gt=0, le=10_000)] = 500.0
    #: Every service is looked at again after so many seconds, event or not.
    resync_seconds: Annotated[float, Field(ge=0.1, le=86_400)] = 300.0

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces to serve; empty means all."""
        return _entries(self.watch_namespaces)

    @property
    def network_access(self) -> NetworkAccess | None:
        """Who may reach the pods; None makes no NetworkPolicy."""
        if not self.network_policies:
            return None
        return NetworkAccess(self.namespace, _labels(self.monitoring_namespaces), _labels(self.client_namespaces))

    @property
    def image_prefixes(self) -> tuple[str, ...]:
        """Registries and repositories that services may name; empty means all."""
        return tuple(entry.rstrip("/") for entry in _entries(self.allowed_images))


def _entries(text: str) -> tuple[str, ...]:
    return tuple(sorted({entry.strip() for entry in text.split(",") if entry.strip()}))


def _labels(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (entry.partition("=") for entry in _entries(text))
    return tuple((key, value) for key, _, value in pairs)
