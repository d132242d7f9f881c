"""The API server's objects by the names that kubectl has for them, over one kept connection.

A process for each look costs a tenth of a second of a processor, and what is looked at until it is so is looked at hundreds of times.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import httpx

from api.client import Manifest, connect

#: Of a request, for as long as the answer says when to come again: as often as kubectl.
TRIES = 10
#: Which kinds there are, all in one answer.
DISCOVERY = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}


class RefusedError(AssertionError):
    """The API server said no; the text is kubectl's."""


class NotFoundError(RefusedError):
    """There is none of that name."""


@dataclass(frozen=True)
class Resource:
    """A kind as the API server has it."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """Of the object with the name; without, of the collection."""
        root = "apis" if "/" in self.api_version else "api"
        place = ("namespaces", namespace) if self.namespaced else ()
        return "/" + "/".join(filter(None, (root, self.api_version, *place, self.plural, name, subresource)))


class Server:
    """One API server, spoken to as one user; threads may share it."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._resources: dict[str, Resource] = {}

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """The object, or None."""
        try:
            return _shown(self._ask("GET", self.resource(kind).path(namespace, name)))
        except NotFoundError:
            return None

    def items(self, kinds: str, namespace: str, selector: str) -> list[Manifest]:
        """All objects of one kind, or of several with commas between them."""
        found = []
        for kind in map(self.resource, kinds.split(",")):
            listed = self._ask("GET", kind.path(namespace), params={"labelSelector": selector})["items"]
            # Alone an item says what it is; in a list the list says it.
            found += [_shown({"apiVersion": kind.api_version, "kind": kind.kind, **item}) for item in listed]
        return found

    def create(self, namespace: str, manifest: Manifest) -> Manifest:
        """As `kubectl create`."""
        query = {"fieldManager": "kubectl-create", "fieldValidation": "Strict"}
        return _shown(self._ask("POST", self._of(manifest).path(namespace), params=query, json=manifest))

    def apply(self, namespace: str, manifest: Manifest, *, force: bool) -> Manifest:
        """As `kubectl apply --server-side`; with `force` also what others manage."""
        query = {"fieldManager": "kubectl", "fieldValidation": "Strict", "force": str(force).lower()}
        path = self._of(manifest).path(namespace, manifest["metadata"]["name"])
        return _shown(self._patch(path, "apply-patch+yaml", query, manifest))

    def merge(self, kind: str, namespace: str, name: str, patch: Mapping[str, Any], subresource: str) -> None:
        """JSON merge patch of the object, or of one of its subresources."""
        path = self.resource(kind).path(namespace, name, subresource)
        self._patch(path, "merge-patch+json", {"fieldManager": "kubectl-patch"}, patch)

    def delete(self, kind: str, namespace: str, name: str, **options: Any) -> None:
        """Returns at once: what drains or has finalizers stays for a while."""
        body = {"propagationPolicy": "Background", **options}
        self._ask("DELETE", self.resource(kind).path(namespace, name), json=body)

    def resource(self, name: str) -> Resource:
        """By plural, singular or short name, with the group behind it or not, or as `v1/Pod`. Raises RefusedError."""
        if name not in self._resources:
            # Perhaps it was installed since.
            self._resources = self._discovered()
        if name not in self._resources:
            raise RefusedError(f'error: the server doesn\'t have a resource type "{name}"')
        return self._resources[name]

    def _of(self, manifest: Manifest) -> Resource:
        return self.resource(f"{manifest['apiVersion']}/{manifest['kind']}")

    def _discovered(self) -> dict[str, Resource]:
        """By each of its names; where two have the same, the one whose group comes first."""
        groups = [group for root in ("/api", "/apis") for group in self._ask("GET", root, headers=DISCOVERY)["items"]]
        found = [
            (Resource(_api_version(group, version), item["responseKind"]["kind"], item["resource"], item["scope"] == "Namespaced"), item)
            for group in groups
            for version in group["versions"]
            for item in version["resources"]
        ]  # fmt: skip
        named: dict[str, Resource] = {}
        full = ((name, resource) for resource, item in found for name in _full_names(resource, item))
        short = ((name, resource) for resource, item in found for name in item.get("shortNames", ()))
        for name, resource in chain(full, short):
            named.setdefault(name, resource)
        return named

    def _patch(self, path: str, kind: str, query: Mapping[str, str], patch: Mapping[str, Any]) -> Manifest:
        headers = {"Content-Type": f"application/{kind}"}
        return self._ask("PATCH", path, params=query, headers=headers, content=json.dumps(patch))

    def _ask(self, method: str, path: str, **more: Any) -> Manifest:
        """What is answered. Raises RefusedError, also where nobody listens."""
        for _ in range(TRIES):
            try:
                answer = self._http.request(method, path, **more)
            except httpx.TransportError as failure:
                raise RefusedError(f"{method} {path}: {failure!r}") from failure
            if not _comes_again(answer):
                break
            time.sleep(float(answer.headers["Retry-After"]))
        body: Manifest = answer.json() if "json" in answer.headers.get("Content-Type", "") else {}
        if answer.is_success:
            return body
        told = f"Error from server ({body.get('reason', answer.status_code)}): {body.get('message', answer.text)}"
        raise (NotFoundError if answer.status_code == httpx.codes.NOT_FOUND else RefusedError)(told)


def server(kubeconfig: Path) -> Server:
    """The same one for the same user, for as long as this process runs: nobody closes it."""
    return _server(kubeconfig, kubeconfig.stat().st_mtime_ns)


@lru_cache
def _server(kubeconfig: Path, _written: int) -> Server:
    return Server(connect(kubeconfig))


def _comes_again(answer: httpx.Response) -> bool:
    """Whether the server is too busy, or not yet ready to serve a new kind."""
    busy = answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error
    return busy and "Retry-After" in answer.headers


def _api_version(group: Manifest, version: Manifest) -> str:
    name = group["metadata"].get("name", "")
    return f"{name}/{version['version']}" if name else str(version["version"])


def _full_names(resource: Resource, item: Manifest) -> tuple[str, ...]:
    group = resource.api_version.rpartition("/")[0]
    plural, singular = resource.plural, item.get("singularResource", "")
    return f"{resource.api_version}/{resource.kind}", plural, singular, resource.kind.lower(), f"{plural}.{group}"


def _shown(found: Manifest) -> Manifest:
    """What kubectl shows of it."""
    found["metadata"].pop("managedFields", None)
    return found
