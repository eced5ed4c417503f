"""Ports of the loopback for servers that start some seconds later."""

from __future__ import annotations

import contextlib
import random
import socket

_BELOW_OUTGOING = range(20_000, 32_000)  # Linux gives those from 32768 to outgoing connections, in those seconds too


def free_ports(number: int) -> list[int]:
    """Ports on which nothing listens now."""
    found: list[int] = []
    for port in random.SystemRandom().sample(_BELOW_OUTGOING, 100 + number):
        if len(found) == number:
            break
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
    return found
