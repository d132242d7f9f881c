"""The accepted API keys, read from a mounted Secret and read again when it changes."""

import hashlib
import hmac
import logging
import os
from pathlib import Path

logger = logging.getLogger(__name__)


class ApiKeys:
    """One key per line of `path`; blank lines do not count. Rotating keys needs no restart: the kubelet swaps the folder behind it, and the inode moves.

    Fails closed: a file that is missing, unreadable or empty accepts nobody.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity: tuple[int, int, int] | None = None
        self._digests: tuple[bytes, ...] = ()
        self._warned = False

    def caller(self, authorization: bytes | None) -> bytes | None:
        """The digest of the key that an Authorization header carries as `Bearer KEY`, as OpenAI clients send it; None if it is not accepted.

        Digests of equal length are compared, and all of them, so that the time taken tells nothing about any key.
        """
        self._refresh()
        scheme, _, key = (authorization or b"").partition(b" ")
        given = hashlib.sha256(key.strip()).digest()
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]
        return given if scheme.lower() == b"bearer" and any(matches) else None

    def _refresh(self) -> None:
        """One stat per request: a few microseconds, and a revoked key is refused from the next request on."""
        try:
            status = os.stat(self._path)  # noqa: PTH116 - the hot path
            identity = (status.st_ino, status.st_mtime_ns, status.st_size)
            if identity == self._identity:
                return
            lines = self._path.read_bytes().splitlines()
        except OSError as error:
            self._identity, self._digests = None, ()
            self._warn(str(error))
            return
        self._identity = identity
        self._digests = tuple(hashlib.sha256(line.strip()).digest() for line in lines if line.strip())
        if self._digests:
            self._warned = False
            logger.info("%d API key(s) read from %s", len(self._digests), self._path)
        else:
            self._warn(f"{self._path} holds no key")

    def _warn(self, problem: str) -> None:
        if not self._warned:
            logger.error("No API key is accepted and every request is refused: %s", problem)
            self._warned = True
