"""kopf's requests, bounded: it lists and watches again without a pause when a watch ends as soon as it has begun.

A load balancer that cuts streams, or a server that answers 410 to every watch, would otherwise be asked as fast as it answers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import ClientRequest, ClientResponse
from aiohttp.client_middlewares import ClientHandlerType
from yarl import URL

from fairlead_operator.controller.bucket import TokenBucket
from fairlead_operator.controller.metrics import Metrics

#: One kind is listed, and one is watched, so many times in a row, and then once in so many seconds.
IN_A_ROW = 5
SECONDS = 2.0


@dataclass
class Pacing:
    """A middleware of aiohttp's client. `bucket` bounds all that the operator asks; `relisted` is told of each new listing."""

    bucket: TokenBucket
    metrics: Metrics
    relisted: Callable[[], None]
    #: By path, and whether it is watched.
    _paces: dict[tuple[str, bool], TokenBucket] = field(default_factory=dict)

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send it when its turn has come."""
        path, watched = request.url.path, "watch" in request.url.query
        if "continue" not in request.url.query:  # the next pages of one listing belong to it
            await self._paces.setdefault((path, watched), TokenBucket(1 / SECONDS, IN_A_ROW)).take()
        await self.bucket.take()
        code = 0
        try:
            response = await handler(request)
            code = response.status
        finally:
            self.metrics.requests.labels("watch" if watched else "list", _resource(request.url), str(code)).inc()
        if not watched and code == 200:
            self.relisted()
        return response


def _resource(url: URL) -> str:
    """The plural of a collection's path; what is not one is a group's discovery."""
    return url.path.rpartition("/")[2]
