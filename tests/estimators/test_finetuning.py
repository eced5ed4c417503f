"""A fine-tuning that tune tries: what its reward is of."""

from __future__ import annotations

import pytest

from bench.drawn import cheap_genotype, drawn_spec
from nasnet.data.config import DataConfig
from nasnet.data.dataset import open_dataset
from nasnet.estimators.finetuning import FineTuning
from nasnet.networks.keras_model import build
from nasnet.networks.saved import save_trained
from nasnet.runtime.errors import DivergedError
from nasnet.training.config import TrainingConfig, TransferConfig
from nasnet.training.loop import Training
from nasnet.training.metrics import evaluate


def test_a_short_trials_reward_is_of_what_it_has_learned(tmp_path, monkeypatch):
    """And not of moving statistics that its few steps were too short for."""
    data = open_dataset("digits")
    spec = drawn_spec(cheap_genotype(), data)
    save_trained(tmp_path / "source", spec, build(spec))
    models, real = [], Training.inference_model

    def both(self, **asked):
        models.extend((real(self), real(self, reestimated=True)))
        return real(self, **asked)

    monkeypatch.setattr(Training, "inference_model", both)
    training = TrainingConfig(steps=8, batch_size=64, learning_rate=0.1, bn_momentum=0.99)
    source = str(tmp_path / "source")
    trial = FineTuning(source, None, DataConfig(), training, TransferConfig(), 0, tmp_path / "checkpoints")
    reward = trial.estimate(None, "trial_0").reward
    moving, reestimated = (evaluate(model, data.valid).accuracy for model in models)
    assert reward == reestimated > moving + 0.05


def test_a_trial_whose_last_step_diverged_has_failed(tmp_path):
    """No loss said so, and what is left answers the first class, which may be the largest."""
    spec = drawn_spec(cheap_genotype(), open_dataset("digits"))
    save_trained(tmp_path / "source", spec, build(spec))
    training = TrainingConfig(steps=1, batch_size=8, learning_rate=1e30, clip_norm=0.0)
    source = str(tmp_path / "source")
    trial = FineTuning(source, None, DataConfig(), training, TransferConfig(), 0, tmp_path / "checkpoints")
    with pytest.raises(DivergedError, match=r"the loss on \d+ pictures was (nan|inf) after the last step"):
        trial.estimate(None, "trial_0")
