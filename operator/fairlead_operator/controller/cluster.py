"""The API server: typed verbs over the kubernetes package's asyncio client, with plain dicts as objects.

Models are not used: they would send null for every unset field, which server-side apply takes for intent.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client
from kubernetes.aio.config import ConfigException

from fairlead_operator.controller.bucket import TokenBucket
from fairlead_operator.controller.kinds import INFERENCE_SERVICES, Kind, kind_of
from fairlead_operator.controller.metrics import Metrics
from fairlead_operator.controller.outcomes import ApiError
from fairlead_operator.controller.store import Key, Listed, place
from fairlead_operator.core import names
from fairlead_operator.core.names import Manifest

#: Seconds for one request, connection included; lists are paged, so nothing legitimate takes longer.
REQUEST_TIMEOUT = 30.0
#: Seconds after which the API server itself gives a write up. The Lease is checked before, when it holds for at least as long
#: (DURATION - RENEW_DEADLINE of lease.py): no write of ours, however long it was on its way, happens under another leader.
WRITE_TIMEOUT = 5
#: Objects per page of a list.
PAGE = 500
#: How often a 429 is obeyed and retried before it counts as a failure.
THROTTLED_TRIES = 5
#: The longest Retry-After that is obeyed in place, in seconds.
LONGEST_RETRY_AFTER = 30.0

_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}


class Cluster:
    """One connection pool to the API server. `may_write` raises LostLeaseError when another may lead."""

    def __init__(
        self, configuration: client.Configuration, bucket: TokenBucket, metrics: Metrics, may_write: Callable[[], None]
    ) -> None:
        self._client = client.ApiClient(configuration)
        self._client.user_agent = "fairlead-operator"
        self._bucket = bucket
        self._metrics = metrics
        self._may_write = may_write

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        """The object as it is now, or None. A quorum read: never older than any write."""
        try:
            found: Manifest = await self._request("GET", kind, kind.path(namespace, name))
        except ApiError as refusal:
            if refusal.code == 404:
                return None
            raise
        return found

    async def served(self, kind: Kind) -> bool:
        """Whether the API server knows the kind."""
        path = Kind(kind.group, kind.version, "", "").path(None)
        try:
            found = await self._request("GET", kind, path, verb="discover")
        except ApiError as refusal:
            if refusal.code == 404:
                return False
            raise
        return any(resource["name"] == kind.plural for resource in found["resources"])

    async def list_all(self, kind: Kind, namespace: str | None, **query: str) -> list[Manifest]:
        """Every matching object; `query` holds labelSelector or fieldSelector."""
        return [item async for item in self.each(kind, namespace, **query)]

    async def each(self, kind: Kind, namespace: str | None, **query: str) -> AsyncIterator[Manifest]:
        """Matching objects one by one: no more than a page of them is in memory at a time."""
        async for page in self._pages(kind, namespace, "application/json", query):
            for item in page["items"] or ():
                yield item

    async def list_versions(self, kind: Kind, namespace: str | None) -> tuple[list[Listed], int]:
        """Every watched object of a kind, and the revision of the last page's listing."""
        query = {"labelSelector": kind.selector} if kind.selector else {}
        items: list[Listed] = []
        revision = 0
        async for page in self._pages(kind, namespace, _METADATA_LIST, query):
            items.extend(map(Listed.of, page["items"] or ()))  # an empty metadata list has null
            # Every page of one listing is of the same revision.
            revision = int(page["metadata"]["resourceVersion"])
        return items, revision

    async def _pages(
        self, kind: Kind, namespace: str | None, accept: str, query: Mapping[str, str]
    ) -> AsyncIterator[Manifest]:
        parameters = {**query, "limit": str(PAGE)}
        while True:
            page = await self._request("GET", kind, kind.path(namespace), query=parameters, accept=accept, verb="list")
            yield page
            token = page["metadata"].get("continue")
            if not token:
                return
            parameters["continue"] = token

    async def apply(self, manifest: Manifest, known_uid: str | None, dry_run: str = "") -> Manifest:
        """Server-side apply of a child's full intent, forced: our fields are ours. `dry_run` is "" or "All".

        `known_uid` makes it fail with 409 when the object is not the one we know, gone or re-created.
        """
        kind = kind_of(manifest["apiVersion"], manifest["kind"])
        body = _with_uid(manifest, known_uid)
        query = {"fieldManager": names.FIELD_MANAGER, "force": "true", **({"dryRun": dry_run} if dry_run else {})}
        namespace, name = place(manifest)
        return await self._apply(kind, kind.path(namespace, name), body, query)

    async def apply_status(self, service: Manifest, status: Mapping[str, Any]) -> Manifest:
        """Server-side apply of a service's whole status."""
        namespace, name = place(service)
        body = {
            "apiVersion": INFERENCE_SERVICES.api_version,
            "kind": INFERENCE_SERVICES.name,
            "metadata": {"namespace": namespace, "name": name, "uid": service["metadata"]["uid"]},
            "status": status,
        }
        path = INFERENCE_SERVICES.path(namespace, name, "status")
        query = {"fieldManager": names.STATUS_FIELD_MANAGER, "force": "true"}
        return await self._apply(INFERENCE_SERVICES, path, body, query)

    async def scale(self, service: Manifest, replicas: int) -> int:
        """Set spec.replicas of exactly this version of a service (409 otherwise); returns the resourceVersion that came of it."""
        metadata = {key: service["metadata"][key] for key in ("namespace", "name", "uid", "resourceVersion")}
        body = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata, "spec": {"replicas": replicas}}
        path = INFERENCE_SERVICES.path(*place(service), "scale")
        query = {"fieldManager": names.AUTOSCALER_FIELD_MANAGER}
        scaled = await self._request("PUT", INFERENCE_SERVICES, path, body=body, query=query, verb="scale")
        return int(scaled["metadata"]["resourceVersion"])

    async def _apply(self, kind: Kind, path: str, body: Manifest, query: Mapping[str, str]) -> Manifest:
        # With the character set named the client sends what it is given; it would write JSON's escapes.
        content = "application/apply-patch+yaml; charset=utf-8"
        applied: Manifest = await self._request(
            "PATCH", kind, path, body=_as_yaml(body), query=query, content=content, verb="apply"
        )
        return applied

    async def create(self, kind: Kind, namespace: str, body: Manifest) -> Manifest:
        """POST a new object."""
        created: Manifest = await self._request("POST", kind, kind.path(namespace), body=body)
        return created

    async def merge(self, kind: Kind, key: Key, body: Manifest) -> Manifest:
        """JSON merge patch of one object."""
        content = "application/merge-patch+json"
        merged: Manifest = await self._request("PATCH", kind, kind.path(*key), body=body, content=content)
        return merged

    async def remove(self, kind: Kind, obj: Manifest, pointers: Sequence[str]) -> Manifest:
        """Take parts out of exactly this version of an object (409 otherwise), one after the other."""
        return await self._edit(kind, obj, [{"op": "remove", "path": pointer} for pointer in pointers])

    async def rewrite(
        self, kind: Kind, obj: Manifest, parts: Mapping[str, Any], without: Sequence[str] = ()
    ) -> Manifest:
        """Give parts of exactly this version of an object (409 otherwise) other values, by JSON pointer, and take out of these `without`."""
        replaced = [{"op": "replace", "path": at, "value": part} for at, part in parts.items()]
        return await self._edit(kind, obj, [*replaced, *({"op": "remove", "path": at} for at in without)])

    async def _edit(self, kind: Kind, obj: Manifest, operations: Sequence[Manifest]) -> Manifest:
        # A failed `test` would be answered with 422, like content that is refused; another version is a conflict.
        version = {"op": "replace", "path": "/metadata/resourceVersion", "value": obj["metadata"]["resourceVersion"]}
        edited: Manifest = await self._request(
            "PATCH",
            kind,
            kind.path(*place(obj)),
            body=[version, *operations],
            query={"fieldManager": names.FIELD_MANAGER},
            content="application/json-patch+json",
        )
        return edited

    async def replace(self, kind: Kind, body: Manifest) -> Manifest:
        """PUT an object; its resourceVersion guards against a concurrent change (409)."""
        replaced: Manifest = await self._request("PUT", kind, kind.path(*place(body)), body=body)
        return replaced

    async def delete(self, kind: Kind, obj: Manifest) -> None:
        """Delete exactly this object, by uid; gone already is as good."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": obj["metadata"]["uid"]}}
        try:
            await self._request("DELETE", kind, kind.path(*place(obj)), body=body)
        except ApiError as refusal:
            if refusal.code != 404:
                raise

    async def _request(
        self,
        method: str,
        kind: Kind,
        path: str,
        *,
        body: Manifest | list[Manifest] | bytes | None = None,
        query: Mapping[str, str] | None = None,
        accept: str = "application/json",
        content: str = "application/json",
        verb: str = "",
    ) -> Any:
        """One request, throttled by us and by the server's Retry-After. Raises ApiError."""
        query = {**(query or {}), **({} if method == "GET" else {"timeout": f"{WRITE_TIMEOUT}s"})}
        url = f"{path}?{urlencode(query)}" if query else path
        for last in (*[False] * (THROTTLED_TRIES - 1), True):
            await self._bucket.take()
            if method != "GET":
                self._may_write()
            code, headers, answer = await self._send(method, url, body, {"Accept": accept, "Content-Type": content})
            self._metrics.requests.labels(verb or _VERBS[method], kind.plural, str(code)).inc()
            if 200 <= code < 300:
                return answer
            if code == 429:  # also where this is the end of it: what comes next is to wait as well
                self._bucket.pause(_seconds(headers.get("Retry-After")))
            if code != 429 or last:
                request = f"{verb or _VERBS[method]} {_title(kind, path, body)}"
                raise ApiError(code, answer.get("reason") or "Unknown", answer.get("message") or str(answer), request)
        raise AssertionError("the last try returns or raises")

    async def _send(
        self, method: str, path: str, body: Manifest | list[Manifest] | bytes | None, negotiated: dict[str, str]
    ) -> tuple[int, Mapping[str, str], Any]:
        headers = {**self._client.default_headers, **negotiated}
        try:
            await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        except (OSError, ConfigException) as failure:
            return 0, {}, {"message": f"the operator's own token cannot be read: {failure}"}
        url = f"{self._client.configuration.host}{path}"
        # Of a write the time to connect counts too: it must not leave later than it may happen.
        limit = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT if method == "GET" else WRITE_TIMEOUT)
        try:
            response = await self._client.call_api(method, url, headers, body, _request_timeout=limit)
            text = await response.read()  # type: ignore[no-untyped-call]
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as failure:
            return 0, {}, {"message": f"no answer from the API server: {str(failure) or type(failure).__name__}"}
        return response.status, response.headers, _parsed(text)


def _title(kind: Kind, path: str, body: Manifest | list[Manifest] | bytes | None) -> str:
    """What a request is about; the name of what is created is not in the path."""
    name = "/".join(path.split("/")[7 if kind.group else 6 :])
    if not name and isinstance(body, dict):
        name = body.get("metadata", {}).get("name", "")
    return f"{kind.name} {name}".rstrip()


def _parsed(text: bytes) -> dict[str, Any]:
    """The JSON answer; a proxy's HTML error page, and what else is no object, becomes a message."""
    found: Any = None
    with suppress(ValueError):
        found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {"message": text[:200].decode(errors="replace")}


def _seconds(retry_after: str | None) -> float:
    """How long to be silent; one second where the server names no number, as with a date."""
    try:
        asked = float(retry_after or 1)
    except ValueError:
        asked = 1.0
    return min(max(asked, 0.0), LONGEST_RETRY_AFTER)


def _as_yaml(body: Manifest) -> bytes:
    """JSON that is YAML as well.

    Beyond the basic plane JSON escapes a character as two surrogates, which YAML refuses: it stays as it is. What YAML calls
    unprintable has to be escaped.
    """
    return _BASIC.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(body, ensure_ascii=False)).encode()


#: Characters of the basic plane beyond ASCII, and the one in it that json leaves alone although it is a control character.
_BASIC = re.compile("[\x7f-\uffff]")


def _with_uid(manifest: Manifest, known_uid: str | None) -> Manifest:
    if known_uid is None:
        return manifest
    return {**manifest, "metadata": {**manifest["metadata"], "uid": known_uid}}
