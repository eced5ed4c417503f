"""Memory of a search's driver and of its worker, from child to child."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import workers_of

ROOT = Path(__file__).parents[2]
EARLY, LATE = 20, 200
LIMIT = 1.1
TINY = ["--blocks=2", "--filters=4", "--steps=2", "--batch_size=16", "--keep_weights=3", "--strategy=random"]


def resident(pid: int) -> int:
    """KiB."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@pytest.mark.slow
def test_neither_the_driver_nor_a_worker_grows_with_children(tmp_path):
    command = [sys.executable, str(ROOT / "train.py"), "--mode=search", *TINY, "--workers=1", f"--trials={LATE + 5}"]
    command += [f"--workdir={tmp_path / 'run'}", "--retries=0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    seen: dict[int, tuple[int, int]] = {}
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            if line.startswith("trial ") and (number := int(line.split()[1]) + 1) in (EARLY, LATE):
                (worker,) = workers_of(process.pid)
                seen[number] = resident(process.pid), resident(worker)
            if LATE in seen:
                process.kill()
    process.wait()
    for early, late, who in zip(seen[EARLY], seen[LATE], ("driver", "worker"), strict=True):
        assert late < LIMIT * early, f"{who}: {early} KiB after {EARLY} children, {late} KiB after {LATE}"
