"""KerasTuner's own distributed mode with our oracle: a chief and two workers, one of which is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.ports import free_ports
from controller.oracle import JOURNAL

ROOT = Path(__file__).parents[2]
SCRIPT = """
import os, signal, sys
import keras_tuner
from cells.spaces.nasnet import NASNetSpace
from controller.oracle import ControllerOracle

class Tuner(keras_tuner.engine.base_tuner.BaseTuner):
    def run_trial(self, trial, *_, **__):
        if os.environ.get("DIES"):
            print("dies with", trial.trial_id, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return {"score": float(sum(trial.hyperparameters.values.values()))}

objective = keras_tuner.Objective("score", "max")
oracle = ControllerOracle(NASNetSpace(1), "random", objective, 6, seconds_per_trial=3, max_retries_per_trial=1)
Tuner(oracle, directory=sys.argv[1], project_name="search").search(verbose=0)
"""


def start(folder: Path, port: int, name: str, **more: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "KERASTUNER_TUNER_ID": name,
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": str(port),
        "PYTHONPATH": str(ROOT),
        **more,
    }
    command = [sys.executable, "-c", SCRIPT, str(folder)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.slow
def test_a_chief_gives_a_killed_worker_s_trial_to_another(tmp_path):
    (port,) = free_ports(1)
    chief = start(tmp_path, port, "chief")
    dying = start(tmp_path, port, "worker_0", DIES="1")
    try:
        said, _ = dying.communicate(timeout=200)
        assert dying.returncode == -signal.SIGKILL, said
        worker = start(tmp_path, port, "worker_1")
        heard, _ = worker.communicate(timeout=200)
        assert worker.returncode == 0, heard
        heard, _ = chief.communicate(timeout=100)
        assert chief.returncode == 0, heard
    finally:
        chief.kill()
    lines = (tmp_path / "search" / JOURNAL).read_text().splitlines()
    ends = [json.loads(line) for line in lines if '"end"' in line]
    lost = [record["end"] for record in ends if record["outcome"] == "lost"]
    assert len(lost) == 1
    assert f"dies with {lost[0]}" in said
    assert sorted(record["end"] for record in ends if record["outcome"] == "ok") == [str(n) for n in range(6)]
