"""Every published cell trained, saved, opened by plain Keras, and read back by its rules."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from cells.walks.stack import CellNetwork
from cells.zoo.cells import ZOO
from nasnet.data.dataset import open_dataset
from nasnet.networks.saved import load_trained, save_trained
from nasnet.networks.spec import NetworkSpec
from nasnet.training.config import TrainingConfig
from nasnet.training.loop import Training


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_two_steps_on_digits_and_back(name, tmp_path):
    data = open_dataset("digits")
    spec = NetworkSpec.on(data, CellNetwork(ZOO[name], 1, 2, len(data.classes)))
    config = TrainingConfig(steps=2, batch_size=8, drop_path_keep=0.7, dropout_keep=0.9, jit="off")
    training = Training(spec, data, config, seed=0)
    training.run(tmp_path / "checkpoints")
    model = training.inference_model()
    save_trained(tmp_path, spec, model)

    pictures = data.valid.images[:5].astype(np.float32)
    logits = model(pictures, training=False)
    opened = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(opened(pictures, training=False), logits)
    read, _ = load_trained(tmp_path)
    assert read == spec
    assert {type(layer).__module__.split(".")[0] for layer in opened.layers} == {"keras"}
