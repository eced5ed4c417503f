"""One network on several replicas: of one process, and of two real ones that TF_CONFIG joins."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from bench.drawn import cheap_genotype
from bench.ports import free_ports
from nasnet.runtime.errors import UserError
from nasnet.training.config import ReplicaConfig
from nasnet.training.replicas import open_replicas
from tests.support.slow import some_now

ROOT = Path(__file__).parents[2]

# Logical devices must be there before TensorFlow starts: hence a process of its own.
LOSSES = """
import dataclasses, json, sys
import nasnet, tensorflow as tf
from cells.zoo.cells import NASNET_A
from nasnet.training.config import ReplicaConfig, TrainingConfig
from nasnet.data.dataset import open_dataset
from nasnet.training.replicas import Replicas, open_replicas
from nasnet.training.metrics import evaluate
from nasnet.training.loop import Training

two = open_replicas(ReplicaConfig(distribute="mirrored", replicas=2))
from bench.drawn import cheap_genotype, drawn_pictures  # these start TensorFlow
from tests.training.test_loop import spec_of

plain = {"batch_size": 16, "steps": 20, "learning_rate": 0.002, "pad": 0, "flip": False}
case, changes = sys.argv[1], json.loads(sys.argv[2])
data, genotype = drawn_pictures(20, 2, train=70), cheap_genotype()
if case == "nasnet_a":
    data, genotype = open_dataset("digits"), NASNET_A
found = []
for replicas in (Replicas(tf.distribute.get_strategy()), two):
    config = TrainingConfig(**{**plain, **changes})
    training = Training(spec_of(data, genotype), data, config, seed=5, replicas=replicas, dtype="float64")
    step, losses = training._train_step, []
    def noted(*arguments):
        told = step(*arguments)
        losses.append(float(told[0]))
        return told
    training._train_step = noted
    training.run(options=ReplicaConfig(valid_epochs=0))
    inside, saved = training.evaluate(data.valid, 24), evaluate(training.inference_model(), data.valid)
    found.append({"losses": losses, "inside": dataclasses.astuple(inside), "saved": dataclasses.astuple(saved)})
print(json.dumps(found))
"""


@pytest.mark.parametrize(
    "case", some_now(["plain", "everything", "adam", "nasnet_a"], slow=["everything", "adam", "nasnet_a"])
)
def test_two_replicas_train_as_one(case):
    """In float64, over 20 steps: the paper's crops and flips; everything that draws at random; the paper's cell.

    Of cells that amplify little: in some a rounding that differs grows threefold a step (docs/results.md).
    """
    everything = {
        "auxiliary_weight": 0.4,
        "drop_path_keep": 0.6,
        "dropout_keep": 0.5,
        "label_smoothing": 0.1,
        "pad": 2,
        "flip": True,
        "cutout": 4,
        "ema_decay": 0.9,
    }
    changes = {
        "plain": {"pad": 2, "flip": True},
        "everything": everything,
        "adam": {"optimizer": "adam", "clip_norm": 0.0},
        "nasnet_a": {"batch_size": 64, "learning_rate": 0.025},
    }[case]
    command = [sys.executable, "-c", LOSSES, case, json.dumps(changes)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    one, two = json.loads(done.stdout.splitlines()[-1])
    assert len(one["losses"]) == 20
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-6)
    for found in (one, two):
        np.testing.assert_allclose(found["inside"], found["saved"], rtol=1e-5)


class TestOpenReplicas:
    @pytest.mark.parametrize(
        ("config", "environment", "words"),
        [
            (ReplicaConfig(distribute="multiworker"), None, "TF_CONFIG is not set or names one worker"),
            (ReplicaConfig(distribute="multiworker"), "{}", "TF_CONFIG is not set or names one worker"),
            (ReplicaConfig(distribute="multiworker"), "{", "TF_CONFIG={: not of the form"),
            (ReplicaConfig(), "null", "TF_CONFIG=null: not of the form"),
            (ReplicaConfig(), '{"cluster": {"worker": []}}', "not of the form"),
            (
                ReplicaConfig(),
                '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
                "not of the form",
            ),
            (ReplicaConfig(), '{"cluster": ["a:1"], "task": {}}', "not of the form"),
            (
                ReplicaConfig(),
                '{"cluster": {"worker": ["a:1", "b"]}, "task": {"type": "worker", "index": 1}}',
                "b is not HOST:PORT",
            ),
            (
                ReplicaConfig(),
                '{"cluster": {"worker": [1, 2]}, "task": {"type": "worker", "index": 0}}',
                "not of the form",
            ),
            (
                ReplicaConfig(distribute="mirrored"),
                None,
                "distribute=mirrored: this machine shows no GPU; a number of replicas divides the CPU",
            ),
            (
                ReplicaConfig(distribute="none", replicas=2),
                None,
                "replicas=2: goes with distribute=mirrored, not with none",
            ),
        ],
    )
    def test_what_is_not_there_is_one_line(self, config, environment, words, monkeypatch):
        monkeypatch.delenv("TF_CONFIG", raising=False)
        monkeypatch.setattr("nasnet.training.replicas._set_threads", lambda: None)  # TensorFlow has started here
        if environment:
            monkeypatch.setenv("TF_CONFIG", environment)
        with pytest.raises(UserError, match=re.escape(words)) as caught:
            open_replicas(config)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "environment",
        [
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}',
            "{}",
            " ",
            '{"cluster": {}, "task": {"type": "worker", "index": 3}}',
            '{"task": {"type": "chief", "index": 0}, "environment": "cloud"}',
        ],
    )
    def test_without_several_devices_there_is_one_replica(self, environment, monkeypatch):
        monkeypatch.setattr("nasnet.training.replicas._set_threads", lambda: None)
        monkeypatch.setenv("TF_CONFIG", environment)
        replicas = open_replicas(ReplicaConfig())
        assert replicas.strategy.num_replicas_in_sync == 1
        assert replicas.chief


def environment_of(addresses: list[str], index: int) -> dict[str, str]:
    """Of one of the processes of a training."""
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    environment = {**os.environ, "TF_CONFIG": json.dumps(task)}
    del environment["TF_CPP_MIN_LOG_LEVEL"]  # as set by the import of nasnet here, without TF_CONFIG
    return environment


class Pair:
    """The two processes of one training; none of them outlives a test that fails."""

    def __init__(self, workdir: Path, genotype: Path, *flags: str, folders: tuple[Path, Path] = (ROOT, ROOT)) -> None:
        """`folders` are those that they are started in."""
        ports = [f"127.0.0.1:{port}" for port in free_ports(2)]
        command = [
            sys.executable,
            str(ROOT / "train.py"),
            "--mode=train",
            f"--model={genotype}",
            f"--workdir={workdir}",
        ]
        command += ["--repeats=1", "--filters=2", "--batch_size=100", "--epochs=3", "--learning_rate=0.01", *flags]
        self.processes = []
        for index in range(2):
            environment, pipe = environment_of(ports, index), subprocess.PIPE
            self.processes.append(
                subprocess.Popen(command, cwd=folders[index], env=environment, stdout=pipe, stderr=pipe, text=True)
            )

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()

    def wait_for(self, start: str) -> None:
        out = self.processes[0].stdout
        assert out is not None
        for line in out:
            if line.startswith(start):
                return
        raise AssertionError(self.end())

    def end(self) -> list[tuple[int, str, str]]:
        """Exit code, output and errors of both."""
        ended = [(process, process.communicate(timeout=300)) for process in self.processes]
        return [(process.returncode, *output) for process, output in ended]


def weights(workdir: Path) -> list[np.ndarray]:
    return keras.models.load_model(workdir / "model.keras").get_weights()


def test_two_processes_one_of_them_killed(tmp_path):
    """SIGKILL in mid-epoch: the other ends within a minute, in one line; the same commands come to the same weights."""
    genotype = tmp_path / "genotype.json"
    genotype.write_text(json.dumps(cheap_genotype().to_json()))
    with Pair(tmp_path / "whole", genotype) as pair:
        whole = pair.end()
    assert [code for code, _, _ in whole] == [0, 0], whole
    assert "on 2 replicas in 2 processes" in whole[0][1]
    assert "training on 2 replicas in 2 processes, this one is worker 1" in whole[1][1]

    with Pair(tmp_path / "shot", genotype) as pair:
        pair.wait_for("epoch   1/3  step 10/30")
        pair.processes[1].kill()
        killed = time.monotonic()
        code, _, err = pair.end()[0]
    assert time.monotonic() - killed < 60
    assert code == 1
    assert re.fullmatch(r"train\.py: worker 0: another process of this training is gone .* go on from .*\n", err), err

    with Pair(tmp_path / "shot", genotype) as pair:
        done = pair.end()
    assert [code for code, _, _ in done] == [0, 0], done
    assert "epoch   3/3  step 30/30" in done[0][1]
    assert "epoch   1/3" not in done[0][1]  # they go on: from the start they would come to the same weights
    for ours, theirs in zip(weights(tmp_path / "shot"), weights(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_port_that_is_taken_is_one_line(tmp_path):
    [port] = free_ports(1)
    environment = environment_of([f"127.0.0.1:{port}", "127.0.0.1:1"], 0)
    command = [
        sys.executable,
        str(ROOT / "train.py"),
        "--mode=train",
        "--model=nasnet_a",
        f"--workdir={tmp_path / 'run'}",
    ]
    with socket.create_server(("127.0.0.1", port)):
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done
    assert re.search(
        rf"\ntrain\.py: TF_CONFIG=.*{port}.*: worker 0 cannot start .* must be free .*\n$", "\n" + done.stderr
    ), done
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_one_that_waits_for_the_others_ends_by_ctrl_c(tmp_path):
    command = [sys.executable, "train.py", "--mode=train", "--model=nasnet_a", f"--workdir={tmp_path / 'run'}"]
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment_of(addresses, 0), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"worker 0: waiting until all 2 processes")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == -signal.SIGINT
    finally:
        process.kill()
        process.communicate()
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_path_that_names_other_pictures_on_another_machine_is_refused(tmp_path):
    genotype = tmp_path / "genotype.json"
    genotype.write_text(json.dumps(cheap_genotype().to_json()))
    folders = tmp_path / "one", tmp_path / "two"
    for seed, folder in enumerate(folders):
        folder.mkdir()
        pictures = np.random.default_rng(seed).integers(0, 256, (400, 8, 8), dtype=np.uint8)
        np.savez(folder / "set.npz", x=pictures, y=np.arange(400) % 2)
    with Pair(tmp_path / "run", genotype, "--dataset=npz:set.npz", folders=folders) as pair:
        ended = pair.end()
    # Told by both, or by the one that finds what the other has written into the workdir; then that one's peer is gone.
    assert all(code in (1, 2) and err.count("\n") == 1 for code, _, err in ended), ended
    assert any("differ in their pictures" in err or "not the pictures that" in err for *_, err in ended), ended
    assert not (tmp_path / "run" / "model.keras").exists()


@pytest.mark.slow
def test_asked_to_stop_both_processes_end_after_the_same_step(tmp_path):
    """SIGTERM to one of them."""
    genotype = tmp_path / "genotype.json"
    genotype.write_text(json.dumps(cheap_genotype().to_json()))
    with Pair(tmp_path / "run", genotype, "--epochs=1000") as pair:
        pair.wait_for("epoch   2/1000")
        pair.processes[1].send_signal(signal.SIGTERM)
        ended = pair.end()
    assert [code for code, _, _ in ended] == [0, 0], ended
    said = [re.search(r"stopped by SIGTERM after step (\d+), which is in its checkpoint", err) for *_, err in ended]
    assert said[0]
    assert said[1]
    assert said[0][1] == said[1][1]
