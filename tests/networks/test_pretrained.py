"""keras.applications' NASNetMobile in our network, offline: random weights, written to a file and read by --weights."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from nasnet.data.dataset import open_dataset
from nasnet.networks.keras_model import build, copy_weights, named_weights
from nasnet.networks.pretrained import load_pretrained
from nasnet.networks.spec import transferred
from nasnet.runtime.errors import UserError
from nasnet.training.config import ReplicaConfig, TrainingConfig, TransferConfig
from nasnet.training.loop import Training
from tests.support.slow import some_now

ROOT = Path(__file__).parents[2]
MOBILE = "keras:NASNetMobile"


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """Their network with random weights, nothing at its start value where a mix-up would not show; and files of it."""
    folder = tmp_path_factory.mktemp("weights")
    keras.utils.set_random_seed(0)
    source = keras.applications.NASNetMobile(weights=None, classifier_activation=None)
    rng = np.random.default_rng(0)
    for layer in source.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            size = layer.gamma.shape
            layer.set_weights(
                [rng.uniform(0.5, 1.5, size), *rng.normal(0, 0.1, (2, *size)), rng.uniform(0.5, 1.5, size)]
            )
    source.save_weights(folder / "whole.weights.h5")
    headless = keras.Model(source.input, source.get_layer("predictions").input)
    headless.save_weights(folder / "headless.weights.h5")
    return source, folder


@pytest.fixture(scope="module")
def ours(theirs):
    return load_pretrained(MOBILE, str(theirs[1] / "whole.weights.h5"))


def test_it_gives_their_logits_at_224_with_their_borders(theirs, ours):
    source, (spec, model) = theirs[0], ours
    assert (spec.image_shape, len(spec.classes), spec.border) == ((224, 224, 3), 1000, "zero")
    assert model.count_params() == source.count_params() == 5_326_716
    pixels = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3)).astype(np.float32)
    expected = source(keras.applications.nasnet.preprocess_input(pixels.copy()), training=False)
    assert np.std(expected) > 1e-2
    np.testing.assert_allclose(model(pixels, training=False), expected, atol=1e-4)
    # With what slim and we see beyond the border by default, they are others.
    same = build(dataclasses.replace(spec, border="same"))
    assert copy_weights(model, same) == ()
    assert np.abs(same(pixels, training=False) - expected).max() > 1e-3


@pytest.mark.slow
def test_without_their_head_every_other_weight_is_the_same(theirs, ours):
    others = named_weights(load_pretrained(MOBILE, str(theirs[1] / "headless.weights.h5"), fresh_head=True)[1])
    for name, value in named_weights(ours[1]).items():
        if not name.startswith("head."):
            np.testing.assert_array_equal(value, others[name], err_msg=name)


@pytest.mark.parametrize("name", some_now(["own.weights.h5", "own.keras", "own.h5"], slow=["own.keras", "own.h5"]))
def test_a_user_s_own_file_has_its_own_classes(theirs, tmp_path, monkeypatch, name):
    """A NASNetMobile of seven classes, as Keras writes it: weights alone, or a model whole with its optimizer."""
    own = keras.applications.NASNetMobile(weights=None, classes=7)
    for variable, value in zip(own.weights, theirs[0].weights, strict=True):
        if variable.shape == value.shape:
            variable.assign(value)
    if name.endswith(".weights.h5"):
        own.save_weights(tmp_path / name)
    else:
        own.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
        own.optimizer.build(own.trainable_variables)
        own.save(tmp_path / name)
    monkeypatch.setenv("HOME", str(tmp_path))
    spec, model = load_pretrained(MOBILE, f"~/{name}")
    assert spec.classes == tuple("0123456")
    pixels = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3)).astype(np.float32)
    expected = own(keras.applications.nasnet.preprocess_input(pixels.copy()), training=False)
    assert np.std(expected) > 1e-3
    np.testing.assert_allclose(keras.ops.softmax(model(pixels, training=False)), expected, atol=1e-5)


def two_colours(folder, size):
    """An npz of dark pictures and bright ones."""
    rng = np.random.default_rng(size)
    labels = np.arange(80) % 2
    images = rng.integers(0, 120, (80, size, size, 3)) + 120 * labels[:, None, None, None]
    np.savez(folder / "colours.npz", x=images.astype(np.uint8), y=labels)
    return f"npz:{folder / 'colours.npz'}"


@pytest.mark.parametrize("size", some_now([33, 96], slow=[33, 96]))
def test_it_is_fine_tuned_at_sizes_that_it_was_not_trained_at(ours, tmp_path, size):
    """It builds and its loss falls; in this process and without the export, which is most of the command's time."""
    source_spec, source = ours
    data = open_dataset(two_colours(tmp_path, size))
    config = TrainingConfig(batch_size=8, steps=8, pad=0, learning_rate=0.001, optimizer="adam")
    spec = transferred(source_spec, data, config.bn_momentum)
    assert (spec.image_shape, spec.border) == ((size, size, 3), "zero")
    training = Training(spec, data, config, seed=0, transfer=TransferConfig(trainable_cells=1), source=source)
    before = training.evaluate(data.valid).loss
    training.run(options=ReplicaConfig(valid_epochs=0))
    assert int(training.step) == 8
    assert training.evaluate(data.valid).loss < 0.7 * before


@pytest.mark.slow
def test_it_is_fine_tuned_by_the_command(theirs, tmp_path):
    """As its user types it: it builds, its loss falls, and what comes out opens with stock Keras at that size."""
    workdir = tmp_path / "run"
    command = [sys.executable, "train.py", "--mode=finetune", f"--from={MOBILE}", f"--workdir={workdir}"]
    command += [f"--weights={theirs[1] / 'whole.weights.h5'}", f"--dataset={two_colours(tmp_path, 33)}"]
    command += ["--batch_size=8", "--epochs=3", "--trainable_cells=1", "--pad=0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "taken over: all weights but head.dense/kernel, head.dense/bias" in done.stdout
    ended = [line for line in done.stdout.splitlines() if line.startswith("epoch") and "valid" in line]
    losses = [float(line.split("  loss ")[1].split()[0]) for line in ended]
    assert len(losses) == 3
    assert losses[-1] < 0.7 * losses[0], losses
    exported = json.loads((workdir / "best" / "genotype.json").read_text())["network"]
    assert (exported["image_shape"], exported["border"]) == ([33, 33, 3], "zero")
    model = keras.models.load_model(workdir / "best" / "model.keras")
    assert model(np.zeros((1, 33, 33, 3), np.float32)).shape == (1, 2)


class TestRefusals:
    def test_weights_without_a_head_where_it_counts(self, theirs):
        """They were scored with a random one."""
        path = theirs[1] / "headless.weights.h5"
        with pytest.raises(UserError, match=f"weights={path}: a NASNetMobile without its head, .* fine-tune it first"):
            load_pretrained(MOBILE, str(path))

    def test_another_name(self):
        with pytest.raises(UserError, match="source=keras:NASNetTiny: known are keras:NASNetMobile, keras:NASNetLarge"):
            load_pretrained("keras:NASNetTiny", None)

    def test_no_such_file(self, tmp_path):
        with pytest.raises(UserError, match=f"weights={tmp_path}/none.h5: no such file"):
            load_pretrained(MOBILE, str(tmp_path / "none.h5"))

    def test_a_file_that_is_something_else(self, tmp_path):
        path = tmp_path / "other.weights.h5"
        path.write_bytes(b"not HDF5 at all")
        with pytest.raises(UserError, match="not the weights of NASNetMobile") as caught:
            load_pretrained(MOBILE, str(path))
        assert "\n" not in str(caught.value)

    def test_weights_of_another_network(self, tmp_path):
        path = tmp_path / "other.weights.h5"
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save_weights(path)
        with pytest.raises(UserError, match="not the weights of NASNetMobile"):
            load_pretrained(MOBILE, str(path))
