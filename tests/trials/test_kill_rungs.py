"""A real search with rungs, killed between them: the driver in each rung, and a worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.hunted import ROOT, SHORT_END

FLAGS = [
    *("--mode=search", "--blocks=1", "--filters=2", "--rungs=2,4,7", "--batch_size=64", "--update_trials=8"),
    *("--strategy=evolution", "--evolution_population=8", "--trials=16", "--workers=2", *SHORT_END, "--noexport"),
    "--finalist_steps=14",
]


def command(workdir: Path) -> list[str]:
    return [sys.executable, str(ROOT / "train.py"), *FLAGS, f"--workdir={workdir}"]


def facts(workdir: Path) -> dict[str, Any]:
    """All that the journal says but seconds, the time of day, and the order of records."""
    found: dict[str, Any] = {}
    for record in map(json.loads, (workdir / "journal.jsonl").read_text().splitlines()):
        if record["kind"] in ("attempt", "header"):
            continue
        name = json.dumps([record["kind"], *(record.get(key) for key in ("trial_id", "rung", "start", "going"))])
        assert name not in found, "once each"
        found[name] = {key: value for key, value in record.items() if key not in ("seconds", "time")}
    return found


def kill_after(workdir: Path, kind: str, number: int, *, worker: bool) -> bool:
    """Starts the search, and kills it, or a worker of it, when its journal has so many records of a kind."""
    journal, fresh = workdir / "journal.jsonl", not workdir.exists()
    before = 0 if fresh else journal.read_text().count(f'"kind": "{kind}"')
    with subprocess.Popen(command(workdir), cwd=ROOT, stdout=subprocess.PIPE, text=True) as search:
        assert search.stdout is not None
        for _ in search.stdout:
            if journal.exists() and journal.read_text().count(f'"kind": "{kind}"') >= before + number:
                break
        if search.poll() is None and not worker:
            search.kill()
        elif search.poll() is None:
            children = Path(f"/proc/{search.pid}/task/{search.pid}/children").read_text().split()
            os.kill(int(children[-1]), signal.SIGKILL)
        for _ in search.stdout:
            pass
    return search.returncode != 0


@pytest.mark.slow
def test_killed_in_each_rung_it_ends_with_the_same_numbers(tmp_path):
    whole, shot = tmp_path / "whole", tmp_path / "shot"
    done = subprocess.run(command(whole), cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    for kind, number in (("rung", 3), ("promotion", 1), ("rung", 1), ("promotion", 1), ("trial", 1), ("rung", 2)):
        assert kill_after(shot, kind, number, worker=False)
    kill_after(shot, "rung", 2, worker=True)
    done = subprocess.run(command(shot), cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert facts(shot) == facts(whole)
    assert not (shot / "rungs").exists()
    kept = [{path.name for path in (workdir / "children").iterdir()} for workdir in (whole, shot)]
    assert kept[0] == kept[1]
