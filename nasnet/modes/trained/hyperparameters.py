"""What a tuning tries, in which order, how long it takes, and what luck alone would score. No TensorFlow.

Of Hyperband (Li et al. 2018, arXiv 1603.06560) only the schedule stands here; KerasTuner runs it.
"""

from __future__ import annotations

import collections
import itertools
import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from cells.architecture import Architecture
from nasnet.data.dataset import Split
from nasnet.training.config import TrainingConfig, TransferConfig
from nasnet.training.optimizers import inner_parts

Values = dict[str, float]
"""Hyperparameters by name."""

FACTOR = 3
"""Hyperband keeps one of so many trials of a rung, and trains it so many times as long (section 3)."""


def space_of(
    training: TrainingConfig, transfer: TransferConfig, architecture: Architecture, held: Collection[str]
) -> dict[str, list[float]]:
    """The hyperparameters of a fine-tuning that are tried, each with the values of a grid, the recipe's own first.

    Those in `held` are left as the recipe has them. The learning rate is last and is always tried.
    """
    rate, cells = training.learning_rate, inner_parts(architecture.parts)
    everything = cells + 1  # all cells and the stem
    asked = everything if transfer.trainable_cells is None else transfer.trainable_cells
    choices = {
        "trainable_cells": [asked, everything, everything // 2, 0],
        "weight_decay": [training.weight_decay, 0.0, 5e-4],
        "drop_path_keep": [training.drop_path_keep, 1.0, 0.8],
        "label_smoothing": [training.label_smoothing, 0.0, 0.1],
    }
    tried = {name: list(dict.fromkeys(values)) for name, values in choices.items() if name not in held}
    return {**tried, "learning_rate": [rate, rate / 3, rate * 3]}


def grid(space: Mapping[str, Sequence[float]], most: int | None = None) -> list[Values]:
    """Every combination of the values, or the first `most` of an order that covers them evenly.

    It begins with the first value of each and with the other learning rates beside those; then comes, again and again,
    what holds the values, and of those the pairs of values, that were taken least.
    """
    left = [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]
    first = {name: values[0] for name, values in space.items()}
    taken = [{**first, "learning_rate": rate} for rate in space["learning_rate"]]
    seen: collections.Counter[Any] = collections.Counter()

    def cost(point: Values) -> tuple[int, int]:
        alone = sum(seen[name, value] * len(space[name]) for name, value in point.items())
        pairs = (seen[pair] * len(space[pair[0][0]]) * len(space[pair[1][0]]) for pair in _pairs(point))
        return alone, sum(pairs)

    for number in range(len(left)):
        point = taken[number] if number < len(taken) else min(left, key=cost)
        taken[number:] = [point, *taken[number + 1 :]]
        left.remove(point)
        seen.update([*point.items(), *_pairs(point)])
    return taken[:most]


def _pairs(point: Values) -> list[Any]:
    return list(itertools.combinations(point.items(), 2))


def hyperband_epochs(most: int) -> list[int]:
    """The epochs of each trial of KerasTuner's Hyperband, in order: a bracket after the other, a rung after the other.

    As `keras_tuner.oracles.HyperbandOracle` documents and a test holds, with its factor of 3 and least of one epoch.
    """
    brackets = 0
    while most / FACTOR**brackets >= 1:
        brackets += 1
    last = math.ceil(1 + math.log(most, FACTOR))  # trials that the last bracket tries, all of them to the end
    return [
        math.ceil(most / FACTOR ** (bracket - rung))
        for bracket in reversed(range(brackets))
        for rung in range(bracket + 1)
        for _ in range(math.ceil(last / (bracket + 1) * FACTOR ** (bracket - rung)))
    ]


def seconds_left(ended: Sequence[Mapping[str, Any]], lengths: Sequence[int]) -> float:
    """What trials of these lengths in epochs will take, after those that have ended: so much each, so much an epoch."""
    timed = [trial for trial in ended if trial.get("epoch_seconds")]
    if not timed:
        return len(lengths) * sum(trial["seconds"] for trial in ended) / len(ended)
    trained = sum(trial["epochs"] * trial["epoch_seconds"] for trial in timed)
    beside = sum(trial["seconds"] for trial in timed) - trained
    return len(lengths) * beside / len(timed) + sum(lengths) * trained / sum(trial["epochs"] for trial in timed)


def chance(valid: Split, trials: int) -> tuple[float, float]:
    """The accuracy of naming the largest class each time; what the best of so many trials at chance stays below.

    The second is passed by luck one time in twenty: the binomial as a normal distribution, over all trials.
    """
    share = float(np.bincount(valid.labels).max() / len(valid))
    spread = math.sqrt(share * (1 - share) / len(valid))
    return share, min(1.0, share + spread * statistics.NormalDist().inv_cdf(1 - 0.05 / trials))
