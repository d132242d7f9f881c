"""Looks at the API server all the time, past any proxy: plays the kubelet, and collects what was wrong at any moment."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import httpx

from api import pods
from api.client import connect
from fairlead_operator.controller import kinds
from proof.invariants import Manifest, Past, Picture, is_ready, service_of, violations

#: Seconds between looks.
PERIOD = 0.4
#: Tries of a request that the API server is too busy for.
BUSY_TRIES = 100
GROUP = "apis/fairlead.dev/v1alpha1"
CHILDREN = {kind.name: kind.path(None) for kind in kinds.CHILDREN}
OURS = {"labelSelector": "app.kubernetes.io/managed-by=fairlead"}


class Admin:
    """May do everything, over plain HTTP: a process per request would be most of the load on a small machine."""

    def __init__(self, kubeconfig: Path) -> None:
        self._http = connect(kubeconfig)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def try_to(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request, whatever is answered; again while the API server says that it is busy, as after a new CRD."""
        answer = self._http.request(method, path, **more)
        for _ in range(BUSY_TRIES):
            if answer.status_code != 429:
                break
            time.sleep(PERIOD)
            answer = self._http.request(method, path, **more)
        return answer

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request; fails on a refusal."""
        answer = self.try_to(method, path, **more)
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        return answer

    def items(self, path: str, **query: str) -> list[Manifest]:
        """A list."""
        found: list[Manifest] = self.ask("GET", path, params=query).json()["items"]
        return found

    def namespace(self, name: str) -> None:
        """Make it."""
        self.ask("POST", "/api/v1/namespaces", json={"metadata": {"name": name}})

    def service(self, namespace: str, name: str, **spec: Any) -> None:
        """Create an InferenceService."""
        body = {
            "apiVersion": "fairlead.dev/v1alpha1",
            "kind": "InferenceService",
            "metadata": {"name": name},
            "spec": {"model": {"uri": "hf://mistralai/Mistral-7B-Instruct-v0.3"}, **spec},
        }
        self.ask("POST", f"/{GROUP}/namespaces/{namespace}/inferenceservices", json=body)

    def merge(self, path: str, patch: Manifest) -> None:
        """JSON merge patch."""
        self.ask("PATCH", path, json=patch, headers={"Content-Type": "application/merge-patch+json"})

    def delete(self, path: str) -> None:
        """In the background, as kubectl does; what is gone is as good."""
        answer = self.try_to("DELETE", path, json={"propagationPolicy": "Background"})
        assert answer.status_code in {200, 404}, answer.text

    def picture(self) -> Picture:
        """All there is of fairlead, in the order that `Picture` promises."""
        services = self.items(f"/{GROUP}/inferenceservices")
        children = [{**child, "kind": kind} for kind, path in CHILDREN.items() for child in self.items(path, **OURS)]
        return Picture(services, children, self.items("/api/v1/pods", **OURS))


class Observer:
    """A thread; a context manager. Pods become Ready when it sees them, but those of services called `never`."""

    def __init__(self, kubeconfig: Path, watching: Callable[[], str]) -> None:
        """`watching` says what else is wrong now, or nothing."""
        self.admin = Admin(kubeconfig)
        self.wrong: list[str] = []
        self.looks = 0
        self.last = Picture()
        self._past = Past()
        self._watching = watching
        self._over = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="observer")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.admin.close()

    def until(self, holds: Callable[[Picture], str], within: float, stuck: Callable[[], str] = str) -> None:
        """Wait until `holds` says nothing of a picture; fails with what it says after `within` seconds, at once with what was wrong.

        `stuck` says what else there is to know of a failure, or nothing.
        """
        deadline = time.monotonic() + within
        while True:
            if self._failure is not None:
                raise self._failure
            assert not self.wrong, self.wrong
            looks = self.looks
            lacking = holds(self.last)
            if not lacking:
                return
            assert time.monotonic() < deadline, f"after {within:.0f} s: {lacking}{stuck()}"
            while self.looks == looks and self._failure is None:
                time.sleep(PERIOD / 4)

    def _run(self) -> None:
        try:
            while not self._over.wait(PERIOD):
                picture = self.admin.picture()
                found = violations(picture, self._past)
                if trouble := self._watching():
                    found.append(trouble)
                self.wrong += [one for one in found if one not in self.wrong]
                self.last = picture
                self.looks += 1
                for pod in picture.pods:
                    self._start(pod)
        except Exception as failure:  # noqa: BLE001 - raised in the test's thread
            self._failure = failure

    def _start(self, pod: Manifest) -> None:
        if is_ready(pod) or pod["metadata"].get("deletionTimestamp") or service_of(pod)[1] == "never":
            return
        self._past.served.add(service_of(pod))
        path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/status"
        with suppress(AssertionError):  # it went meanwhile
            self.admin.merge(path, {"status": pods.ready()})
