"""/livez, /readyz and /metrics on one port, taken by the loop that reconciles: a stuck loop answers nothing."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from fairlead_runtime import addresses

#: A probe's answer: empty when well, else what is wrong.
Probe = Callable[[], str]


@dataclass
class Health:
    """`ready` and `live` say what is wrong now, or nothing."""

    registry: CollectorRegistry
    ready: Probe
    live: Probe
    _runner: web.AppRunner | None = field(default=None)

    async def start(self, port: int) -> int:
        """Listen on all interfaces; returns the port, which matters when 0 was asked for."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/livez", self._answer(self.live)),
                web.get("/readyz", self._answer(self.ready)),
                web.get("/metrics", self._metrics),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        host = addresses.everywhere()
        both = host == addresses.BOTH
        listening = socket.create_server((host, port), family=addresses.family(host), dualstack_ipv6=both)
        await web.SockSite(self._runner, listening).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    @staticmethod
    def _answer(probe: Probe) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handler(_: web.Request) -> web.StreamResponse:
            trouble = probe()
            return web.Response(status=503 if trouble else 200, text=trouble or "ok")

        return handler

    async def _metrics(self, _: web.Request) -> web.Response:
        # Of thousands of services it is seconds of work: in the loop the Lease would be lost to a scrape.
        text = await asyncio.to_thread(generate_latest, self.registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})
