"""Asks a component on this machine whether it is ready, and finds ports to put one on."""

import http.client
import socket
import ssl
from pathlib import Path

#: Seconds until an unanswered probe counts as "not ready".
TIMEOUT = 2.0


def ok(address: str, port: int, path: str, ca: Path | None = None, *, tls: bool = True) -> bool:
    """Whether GET on the path answers 200.

    `ca` verifies the certificate; without it any is taken, which is right only for a component on loopback that signs
    its own.
    """
    connection: http.client.HTTPConnection
    if tls:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
        if ca is None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(address, port, timeout=TIMEOUT, context=context)
    else:
        connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def listening(address: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((address, port), timeout=TIMEOUT):
            return True
    except OSError:
        return False


def free_ports(count: int, preferred: tuple[int, ...] = ()) -> list[int]:
    """Different TCP ports that nothing listens on, on any address; the preferred ones where they are free.

    All are held until the last is found, so none is given twice.
    """
    held: list[socket.socket] = []
    try:
        for number in range(count):
            wanted = preferred[number] if number < len(preferred) else 0
            held.append(_bound(wanted) or _bound(0) or _no_port())
        return [held_socket.getsockname()[1] for held_socket in held]
    finally:
        for held_socket in held:
            held_socket.close()


def _bound(port: int) -> socket.socket | None:
    candidate = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        candidate.bind(("", port))
    except OSError:
        candidate.close()
        return None
    return candidate


def _no_port() -> socket.socket:
    raise OSError("no free TCP port on this machine")
