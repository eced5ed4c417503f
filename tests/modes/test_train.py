"""What `train_to` gives back: what its folder holds."""

from __future__ import annotations

import dataclasses

import numpy as np

from bench.drawn import cheap_genotype, drawn_pictures, drawn_spec
from nasnet.modes.train import train_to
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.saved import save_trained
from nasnet.training.config import TrainingConfig


def test_a_finished_training_is_what_its_folder_holds_and_not_what_would_be_trained_now(tmp_path):
    """Killed after its training and before its export, and the pictures have changed since: both belong together."""
    data = drawn_pictures(8, train=32)
    before = drawn_spec(cheap_genotype(), data, mean=90.0)
    model = build(before, seed=5)
    save_trained(tmp_path, before, model)
    spec, found = train_to(tmp_path, dataclasses.replace(before, mean=(120.0,)), data, TrainingConfig(), 0)
    assert spec == before
    for name, value in named_weights(model).items():
        np.testing.assert_array_equal(named_weights(found)[name], value)
