"""What is counted against a limit, and how the best are ranked. No child is trained."""

from __future__ import annotations

import functools

import numpy as np

from cells.count import count
from cells.spaces.nasnet import NASNetSpace
from cells.walks.stack import CellNetwork
from cells.zoo.lenet import LeNet5
from controller.strategy import Outcome, Proposal, Trial
from nasnet.trials.config import LimitConfig
from nasnet.trials.finalists import Finalist
from nasnet.trials.limits import Limits

GENOTYPE, SHAPE, BATCH = NASNetSpace(1).decode((0, 1, 10, 5, 0) * 2), (8, 8, 1), 16


def network(genotype, filters=4):
    return CellNetwork(genotype, 1, filters, 10)


def test_the_memory_of_a_step_is_three_numbers_a_weight_and_the_batchs_activations():
    counts = count(network(GENOTYPE, 64), SHAPE)
    mebibytes = (4 * 3 * counts.parameters + BATCH * counts.activation_bytes) / 2**20
    most = int(mebibytes)
    wide = functools.partial(network, filters=64)
    below, above = (Limits(LimitConfig(max_memory=limit), wide, SHAPE, BATCH) for limit in (most, most + 1))
    assert below.why_invalid(GENOTYPE) == f"{mebibytes:,.0f} MiB in a training step, over max_memory={most}"
    assert above.why_invalid(GENOTYPE) is None


def test_what_is_at_a_limit_is_not_over_it():
    counts = count(network(GENOTYPE), SHAPE)
    config = LimitConfig(max_params=counts.parameters, max_mult_adds=counts.mult_adds)
    assert Limits(config, network, SHAPE, BATCH).why_invalid(GENOTYPE) is None


def test_batch_norm_is_what_has_to_settle():
    made = {True: network, False: lambda _: LeNet5(10)}
    for expected, of in made.items():
        assert Limits(LimitConfig(), of, (16, 16, 1), BATCH).has_statistics(GENOTYPE) is expected
    assert Limits(LimitConfig(), made[False], SHAPE, BATCH).has_statistics(GENOTYPE) is False  # too small to build


def test_a_finalists_rank_is_the_mean_of_its_starts():
    trial = Trial(Proposal(0, (0,), (0.0,)), Outcome.OK, 0.5, 1.0)
    assert Finalist(trial, (0.25, 0.75, 0.125)).rank_by == 0.375
    assert Finalist(trial, ()).rank_by == -np.inf
