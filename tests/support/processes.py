"""What tests ask the operating system about processes."""

from __future__ import annotations

import time
from pathlib import Path


def workers_of(parent: int) -> list[int]:
    """The worker processes of a driver."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parents == parent and b"spawn_main" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


def wait_until_gone(pid: int, seconds: float = 10) -> None:
    def gone() -> bool:
        try:
            return (Path(f"/proc/{pid}/stat")).read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    wait_for(gone, seconds)
