"""Seeds by name: the same in every process."""

from __future__ import annotations

import zlib


def name_seed(seed: int, name: str) -> int:
    """A seed for the tensor called `name`: the same in every process, and no other tensor's."""
    return zlib.crc32(f"{seed}:{name}".encode()) & 0x7FFFFFFF
