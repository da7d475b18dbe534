"""A TCP port on the loopback address, the same one at every start if it can be had."""

import random
import socket
from pathlib import Path

from dbopsd.db.server.directories import read_text, write_private

LOOPBACK = "127.0.0.1"
# Below the range that the kernel takes outgoing ports from (32768 and up): a port that is free
# now is then not lost to some connection before the server has bound it.
_RANGE = range(15432, 32768)
_ATTEMPTS = 200


def kept_port(file: Path) -> int:
    """The port noted in `file` if it is still free, else a new one, noted there."""
    noted = (read_text(file) or "").strip()
    if noted.isdigit() and 0 < int(noted) < 65536 and is_free(int(noted)):
        return int(noted)
    port = free_port()
    write_private(file, f"{port}\n")
    return port


def free_port() -> int:
    """A port that nobody listens on now."""
    # At random, so that several servers starting at once seldom choose the same.
    chooser = random.SystemRandom()
    for _ in range(_ATTEMPTS):
        port = chooser.choice(_RANGE)
        if is_free(port):
            return port
    with socket.create_server((LOOPBACK, 0)) as any_port:
        return int(any_port.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        # As the server does it: an address with closed connections on it counts as free.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((LOOPBACK, port))
            # Two may be bound with SO_REUSEADDR; only one may listen.
            trial.listen(1)
        except OSError:
            return False
    return True
