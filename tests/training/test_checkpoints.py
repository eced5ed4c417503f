"""A training that is killed or asked to stop, with real signals: the same command comes to the same weights."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.drawn import cheap_genotype, drawn_pictures
from nasnet.runtime.errors import UserError
from nasnet.training.config import TrainingConfig
from nasnet.training.loop import Training
from tests.support.processes import wait_for
from tests.training.test_loop import spec_of

ROOT = Path(__file__).parents[2]
# Everything that has a state or draws: what a resumed run could get wrong.
FLAGS = [
    *("--repeats=1", "--filters=2", "--batch_size=20", "--epochs=3", "--learning_rate=0.01", "--pad=1", "--cutout=2"),
    *("--drop_path_keep=0.7", "--dropout_keep=0.8", "--ema_decay=0.99", "--optimizer=rmsprop", "--checkpoint_steps=7"),
]


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    genotype = tmp_path_factory.mktemp("genotype") / "genotype.json"
    genotype.write_text(json.dumps(cheap_genotype().to_json()))
    return [sys.executable, "train.py", "--mode=train", f"--model={genotype}", *FLAGS]


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory):
    """What the training that nobody stops ends with."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    done = subprocess.run([*command, f"--workdir={workdir}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "epoch   3/3  step 150/150" in done.stdout
    return weights(workdir)


def weights(workdir):
    return keras.models.load_model(workdir / "model.keras").get_weights()


def signalled(command, workdir, number, checkpoint):
    """Starts the training, sends it a signal once it has written that checkpoint, waits for its end."""
    process = subprocess.Popen(
        [*command, f"--workdir={workdir}"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    written = workdir / "checkpoints" / f"ckpt-{checkpoint}.index"
    wait_for(lambda: written.exists() or process.poll() is not None, 120)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def test_killed_and_stopped_it_comes_to_the_same_weights(command, whole, tmp_path):
    workdir = tmp_path / "run"
    for checkpoint in (14, 42):  # in an epoch; while the next ones are written
        code, _ = signalled(command, workdir, signal.SIGKILL, checkpoint)
        assert code == -signal.SIGKILL
    code, err = signalled(command, workdir, signal.SIGTERM, 77)
    assert code == 0
    said = re.fullmatch(
        r"train\.py: stopped by SIGTERM after step (\d+), which is in its checkpoint; the same command goes on from "
        r"here\n",
        err,
    )
    assert said, err
    assert (workdir / "checkpoints" / f"ckpt-{said[1]}.index").exists()
    assert len(list((workdir / "checkpoints").glob("ckpt-*.index"))) <= 3  # two, and one that a kill left half done
    done = subprocess.run([*command, f"--workdir={workdir}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "epoch   1/3" not in done.stdout  # one that began anew would come to the same weights
    for ours, theirs in zip(weights(workdir), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_velocity_of_the_old_form_is_not_gone_on_with(tmp_path):
    """Keras' SGD had the rate in it: taken for ours it would move the weights by a twentieth, without a word."""
    data = drawn_pictures(8, train=16)
    config = TrainingConfig(steps=2, batch_size=8)
    training = Training(spec_of(data, cheap_genotype()), data, config, seed=0)
    old = keras.optimizers.SGD(0.1, momentum=0.9)
    old.build(training.model.trainable_variables)
    saved = tf.train.Checkpoint(step=training.step, model=training.model, optimizers=[old], averages=[])
    tf.train.CheckpointManager(saved, str(tmp_path), max_to_keep=1).save(1)
    with pytest.raises(UserError, match="momentum had another form") as error:
        training.run(tmp_path)
    assert str(error.value).startswith(str(tmp_path / "ckpt-1"))
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_ctrl_c_writes_a_checkpoint_too(command, tmp_path):
    code, err = signalled(command, tmp_path / "run", signal.SIGINT, 7)
    assert code == 128 + signal.SIGINT
    assert re.search(r"stopped by SIGINT after step \d+, which is in its checkpoint", err)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["torn", "gone"])
def test_a_damaged_checkpoint_is_one_line(command, tmp_path, damage):
    workdir = tmp_path / "run"
    signalled(command, workdir, signal.SIGTERM, 7)
    for path in (workdir / "checkpoints").glob("ckpt-*.data*"):
        if damage == "torn":
            path.write_bytes(path.read_bytes()[:1000])
        else:
            path.unlink()
    done = subprocess.run([*command, f"--workdir={workdir}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "not a checkpoint of this run" in done.stderr
