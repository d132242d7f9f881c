"""Where the API server is and how to prove who we are: the service account in a pod, else a kubeconfig.

One loader for both clients, the kubernetes package's and kopf's, so that they can never disagree.
"""

import os
from pathlib import Path

import kopf
from kubernetes.aio import client, config
from kubernetes.aio.config.incluster_config import SERVICE_TOKEN_FILENAME


def _in_pod() -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ and Path(SERVICE_TOKEN_FILENAME).exists()


async def load() -> client.Configuration:
    """The connection of this process. Raises ConfigException when there is neither service account nor kubeconfig."""
    configuration = client.Configuration()
    if _in_pod():
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        await config.load_kube_config(client_configuration=configuration, persist_config=False)  # type: ignore[no-untyped-call]
    return configuration


async def for_kopf() -> kopf.ConnectionInfo:
    """The same connection in kopf's terms; called again whenever the server answers 401, so a rotated token is read anew."""
    configuration = await load()
    header = await configuration.get_api_key_with_prefix("BearerToken")
    scheme, _, token = (header or "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        scheme=scheme.capitalize() or None,
        token=token or None,
    )
