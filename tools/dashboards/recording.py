"""Some minutes of two services on the local cluster, recorded by a real Prometheus that scrapes as the chart's PodMonitors say.

One is asked by ever more people, gets a second replica, loses an engine and goes back to one replica; the other begins with a
value that cannot work and is mended.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

from drawing import ROOT, Span
from visitors import Visitors

# The ground is the tests' own.
sys.path.append(str(ROOT / "tests"))

from api.cluster import Manifest
from api.prometheus import Prometheus, Target, prometheus, scraped
from fairlead_cli.demo.kubectl import Kubectl
from fairlead_cli.local import cluster, stack
from fairlead_cli.local.stack import Stack
from fairlead_operator.core import names
from node import pods
from unit.chart.test_chart import only, rendered

MONITORING: Final = tuple(f"monitoring.coreos.com/v1/{kind}" for kind in ("PodMonitor", "PrometheusRule"))
#: Seconds between two scrapes: twelve minutes are a short time.
SCRAPE: Final = 5
NAMESPACE: Final = "models"
BUSY, MENDED = "chat", "search"
#: More than the model's context.
WRONG: Final = 99999
#: Seconds until an engine on two busy cores has started, or has failed.
WITHIN: Final = 420
WATCH: Final = 2


def service(name: str, model: str, **spec: Any) -> Manifest:
    """Small enough for three pods on two cores."""
    engine = {"maxModelLen": 2048, "maxNumSeqs": 16, "kvCacheMemory": "64Mi", "extraArgs": ["--enforce-eager"]}
    return {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "InferenceService",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "model": {"uri": f"oci://{model}"},
            "engine": engine | spec.pop("engine", {}),
            "resources": {"device": "CPU", "cpu": "250m", "memory": "4Gi"},
            **spec,
        },
    }


class Scene:
    """The cluster's two services. Every method waits until what it does has come about."""

    def __init__(self, local: Stack) -> None:
        self.kubectl: Kubectl = local.kubectl
        self.model = local.images["model"].ref

    def apply(self, name: str, **spec: Any) -> None:
        self.kubectl.run("apply", "-f", "-", given=json.dumps(service(name, self.model, **spec)))

    def patch(self, name: str, **spec: Any) -> None:
        self.kubectl.run("patch", "infs", name, "-n", NAMESPACE, "--type=merge", "-p", json.dumps({"spec": spec}))

    async def until(self, name: str, condition: str, status: str = "True") -> None:
        wait = ("wait", "infs", name, "-n", NAMESPACE, f"--for=condition={condition}={status}", f"--timeout={WITHIN}s")
        await asyncio.to_thread(self.kubectl.run, *wait)

    def address(self, name: str) -> str:
        return f"http://{self.kubectl.get('service', name, '-n', NAMESPACE)['spec']['clusterIP']}"

    def kill_an_engine(self, name: str) -> None:
        found = self.kubectl.get("pods", "-n", NAMESPACE, "-l", f"{names.SERVICE_LABEL}={name}")["items"]
        for pid in pods.processes(next(filter(pods.ready, found)), pods.ENGINE):
            os.kill(pid, signal.SIGKILL)

    def targets(self) -> list[dict[str, Any]]:
        """Every port of every pod, as Prometheus' discovery gives them; the relabelings pick."""
        found = self.kubectl.get("pods", "--all-namespaces")["items"]
        return [
            {"targets": [target.address], "labels": target.labels}
            for pod in found
            if pod["status"].get("podIP")
            for container in pod["spec"]["containers"]
            for port in container.get("ports", ())
            for target in [
                Target(
                    pod, container["name"], port.get("name", ""), f"{pod['status']['podIP']}:{port['containerPort']}"
                )
            ]
        ]


async def play(scene: Scene, say: Callable[[str], None]) -> None:
    """All that happens, in order."""
    limits = {"requestTimeoutSeconds": 60, "maxQueuedRequests": 8}
    scene.apply(BUSY, serving=limits, engine={"speculative": {"method": "ngram", "tokens": 3}})
    await scene.until(BUSY, "Ready")
    busy = Visitors(scene.address(BUSY), BUSY)
    busy.become(4)
    say(f"{BUSY} is Ready; {MENDED} begins with a wrong value")
    scene.apply(MENDED, engine={"maxModelLen": WRONG})
    await scene.until(MENDED, "EngineHealthy", "False")
    await asyncio.sleep(40)
    say(f"{MENDED} is mended")
    scene.patch(MENDED, engine={"maxModelLen": 1024})
    await scene.until(MENDED, "Ready")
    mended = Visitors(scene.address(MENDED), MENDED)
    mended.become(3)
    say(f"more ask {BUSY} than fit")
    busy.become(40)
    await asyncio.sleep(60)
    say("a second replica comes")
    busy.become(12)
    scene.patch(BUSY, replicas=2)
    await scene.until(BUSY, "Ready", "False")
    await scene.until(BUSY, "Ready")
    await asyncio.sleep(30)
    say("an engine is killed")
    scene.kill_an_engine(BUSY)
    await scene.until(BUSY, "Ready", "False")
    await scene.until(BUSY, "Ready")
    await asyncio.sleep(20)
    say("one replica is enough")
    scene.patch(BUSY, replicas=1)
    busy.become(4)
    await asyncio.sleep(75)


def recorder(folder: Path) -> contextlib.AbstractContextManager[Prometheus]:
    """A Prometheus that scrapes what folder/targets.json has."""
    manifests = rendered(apis=MONITORING)
    found = [config for manifest in manifests if manifest["kind"] == "PodMonitor" for config in scraped(manifest, [])]
    for config in found:
        config.pop("static_configs")
        config |= {"file_sd_configs": [{"files": [str(folder / "targets.json")]}]}
        config |= {"scrape_interval": f"{SCRAPE}s", "scrape_timeout": f"{SCRAPE}s"}
    return prometheus(folder, found, only(manifests, "PrometheusRule"))


def played(folder: Path) -> contextlib.AbstractContextManager[Prometheus]:
    """A Prometheus that has what was recorded, and scrapes nothing."""
    return prometheus(folder, [], {"spec": {"groups": []}})


@contextlib.asynccontextmanager
async def followed(scene: Scene, folder: Path) -> AsyncIterator[None]:
    """Pods come and go, and the Prometheus is told."""

    async def tell() -> None:
        while True:
            found = await asyncio.to_thread(scene.targets)
            (folder / "targets.new").write_text(json.dumps(found), encoding="utf-8")
            (folder / "targets.new").rename(folder / "targets.json")
            await asyncio.sleep(WATCH)

    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def record(folder: Path, say: Callable[[str], None]) -> None:
    """Into a folder, with when it began and ended. The cluster is left as it was found. Raises LocalError."""
    was_up = cluster.status().running
    try:
        local = stack.up(say)
        scene = Scene(local)
        stack.restrict(scene.kubectl, NAMESPACE)
        try:
            with recorder(folder):
                async with followed(scene, folder):
                    began = time.time()
                    await play(scene, say)
                span = Span(int(began), int(time.time()))
            (folder / "span.json").write_text(json.dumps(vars(span)), encoding="utf-8")
        finally:
            scene.kubectl.run("delete", "namespace", NAMESPACE, "--wait")
    finally:
        if not was_up:
            cluster.down(say)
