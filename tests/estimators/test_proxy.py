"""What of a child's scores is its reward. No child is trained."""

from __future__ import annotations

import numpy as np
import pytest

from cells.spaces.nasnet import NASNetSpace
from nasnet.data.dataset import open_dataset
from nasnet.estimators.child import Child, ChildResult
from nasnet.estimators.proxy import ProxyEstimator
from nasnet.networks.config import NetworkConfig
from nasnet.training.config import TrainingConfig
from nasnet.training.metrics import Score


@pytest.mark.parametrize(("reward", "epochs", "expected"), [("last", 1, 0.5), ("best_of_last_5", 5, 0.875)])
def test_the_reward_is_the_best_of_the_epochs_that_it_asks_for(monkeypatch, reward, epochs, expected):
    def run(self, scored_epochs):
        assert scored_epochs == epochs
        scores = tuple(Score(accuracy, 1.0, 4) for accuracy in [0.125, 0.875, 0.25, 0.75, 0.5][-epochs:])
        return ChildResult(np.zeros(1), scores, 0.0, np.zeros(1), 0.0)

    monkeypatch.setattr(Child, "run", run)
    genotype, training = NASNetSpace(1).decode((0, 1, 10, 5, 0) * 2), TrainingConfig(epochs=6, batch_size=500)
    network = NetworkConfig(1, 2)
    proxy = ProxyEstimator(open_dataset("digits"), (0.0,), (1.0,), network, training, 0, "functions", reward)
    assert proxy.estimate(genotype, "x").reward == expected
