"""Work about many objects at the same time: a bug about one of them ends neither the others' nor the process, of which every replica has one."""

import asyncio
import logging
from collections.abc import Awaitable, Mapping

log = logging.getLogger(__name__)


async def apart(works: Mapping[str, Awaitable[None]]) -> None:
    """All of it, by what it is about. What one raises is logged."""
    ended = await asyncio.gather(*works.values(), return_exceptions=True)
    for about, bug in zip(works, ended, strict=True):
        if isinstance(bug, Exception):
            log.error("not done, which is a bug", exc_info=bug, extra={"about": about})
