"""Where the API server is and how to prove who we are: the service account in a pod, else a kubeconfig.

One loader for both clients, the kubernetes package's and kopf's, so that they can never disagree.
"""

import os
from pathlib import Path

import aiohttp
import kopf
from aiohttp.client_middlewares import ClientMiddlewareType
from kubernetes.aio import client, config
from kubernetes.aio.config.incluster_config import SERVICE_TOKEN_FILENAME


def _in_pod() -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ and Path(SERVICE_TOKEN_FILENAME).exists()


async def load() -> client.Configuration:
    """The connection of this process. Raises ConfigException when there is neither service account nor kubeconfig."""
    configuration = client.Configuration()
    # No proxy and no ~/.netrc from the environment, as for kopf: each request would look for both, in a thread each.
    configuration.client_session_kwargs = {"trust_env": False}
    if _in_pod():
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        await config.load_kube_config(client_configuration=configuration, persist_config=False)  # type: ignore[no-untyped-call]
    return configuration


async def for_kopf(pacing: ClientMiddlewareType) -> kopf.AiohttpSession:
    """The same connection in kopf's terms; called again whenever the server answers 401, so a rotated token is read anew.

    `pacing` sees each request: kopf's own are not bounded, and it may ask as fast as the server refuses.
    """
    configuration = await load()
    header = await configuration.get_api_key_with_prefix("BearerToken")
    scheme, _, token = (header or "").rpartition(" ")
    known = kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        scheme=scheme.capitalize() or None,
        token=token or None,
    )
    # As kopf would make it; kopf closes it.
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=known.as_ssl_context()),
        headers=known.as_http_headers(),
        middlewares=(pacing,),
    )
    return kopf.AiohttpSession(server=known.server, aiohttp_session=session)
