"""A cell's estimate: its seed, and which epochs count."""

from __future__ import annotations

import numpy as np

from bench.drawn import drawn_pictures
from cells.spaces.nasnet import NASNetSpace
from nasnet.estimators.child import Child
from nasnet.estimators.config import ChildConfig
from nasnet.estimators.proxy import ProxyEstimator
from nasnet.networks.config import NetworkConfig
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.seeds import name_seed
from nasnet.training.config import TrainingConfig

CELL = NASNetSpace(1).decode((0, 1, 10, 5, 0) * 2)


def test_each_name_has_a_start_of_its_own_and_the_same_name_the_same():
    """One cell under several names: other weights each time, and none of them those of the bare seed."""
    data = drawn_pictures(8, train=64, valid=32)
    estimator = ProxyEstimator(data, NetworkConfig(1, 2), TrainingConfig(steps=1, batch_size=32), seed=3)
    names = ["trial_0", "trial_1", "finalist_0_0", "finalist_0_1", "trial_0"]
    weights = []
    for name in names:
        child = estimator.estimate(CELL, name).child
        assert child is not None
        weights.append(np.concatenate([np.ravel(value) for value in child.weights.values()]))
    np.testing.assert_array_equal(weights[0], weights[-1])
    for i in range(4):
        for j in range(i):
            assert np.abs(weights[i] - weights[j]).max() > 0.1, f"{names[i]} starts as {names[j]} does"


def test_the_reward_is_the_last_accuracy_or_the_best_of_the_last_five_epochs():
    """Held against the same child, trained and scored by hand. Labels are noise, so that the last epoch is not best."""
    data, training, seed = drawn_pictures(8, train=64, valid=64), TrainingConfig(epochs=7, batch_size=32), 3
    estimates = {
        reward: ProxyEstimator(data, NetworkConfig(1, 2), training, seed, "functions", reward).estimate(CELL, "x")
        for reward in ("last", "best_of_last_5")
    }
    spec = NetworkSpec.from_json(estimates["last"].child.spec)
    child = Child(spec, data, ChildConfig.of(training, data), seed=name_seed(seed, "x"))
    accuracies = [score.accuracy for score in child.run(scored_epochs=5).scores]
    rewards = {reward: estimate.reward for reward, estimate in estimates.items()}
    assert len(accuracies) == 5
    assert rewards["best_of_last_5"] >= rewards["last"]
    assert max(accuracies) > accuracies[-1], "another seed is needed: here the last epoch is the best"
    assert rewards == {"last": accuracies[-1], "best_of_last_5": max(accuracies)}

    # The weights that are kept are those that the reward is of.
    assert child.score(data.valid).accuracy == max(accuracies)
    for name, value in estimates["best_of_last_5"].child.weights.items():
        np.testing.assert_array_equal(value, child.named_weights()[name])
    last = estimates["last"].child.weights
    assert any(np.abs(last[name] - value).max() > 0 for name, value in child.named_weights().items())
