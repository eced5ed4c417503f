"""What is counted against a limit, and how the best are ranked. No child is trained."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from cells.count import count
from cells.spaces.nasnet import NASNetSpace
from cells.walks.stack import CellNetwork
from cells.zoo.lenet import LeNet5
from controller.strategy import Outcome, Proposal, Trial
from nasnet.runtime.errors import SettingError
from nasnet.trials.config import LatencyConfig, LimitConfig
from nasnet.trials.finalists import Finalist
from nasnet.trials.limits import Latency, Limits

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


def latency(milliseconds, **options):
    return Latency(LatencyConfig(**options), lambda genotype: milliseconds[genotype])


def test_a_limit_in_milliseconds_is_told_before_a_child_starts_and_what_is_at_it_is_not_over_it():
    limits = Limits(LimitConfig(), network, SHAPE, BATCH, latency({GENOTYPE: 2.5}, latency_ms=2.4))
    assert limits.why_invalid(GENOTYPE) == "2.5 ms a picture, over latency_ms=2.4"
    at = dataclasses.replace(limits, latency=latency({GENOTYPE: 2.5}, latency_ms=2.5))
    assert at.why_invalid(GENOTYPE) is None
    soft = latency({GENOTYPE: 2.5}, latency_ms=0.1, objective="accuracy*latency")
    assert dataclasses.replace(limits, latency=soft).why_invalid(GENOTYPE) is None
    assert "parameters" in str(dataclasses.replace(limits, config=LimitConfig(max_params=1)).why_invalid(GENOTYPE))


@pytest.mark.parametrize(
    ("milliseconds", "weight", "reward"),
    # accuracy 0.8, target 4 ms: at the target nothing; twice as slow 2^-0.07 of it; by hand.
    [
        (4.0, -0.07, 0.8),
        (8.0, -0.07, 0.8 * 0.952638),
        (2.0, -0.07, 0.8 * 1.049717),
        (16.0, -0.5, 0.4),
        (1.0, -1.0, 3.2),
    ],
)
def test_the_soft_objective_by_hand(milliseconds, weight, reward):
    """Tan et al. 2019, equation 2: accuracy * (latency / target) ^ weight."""
    soft = latency({1: milliseconds}, latency_ms=4.0, latency_weight=weight, objective="accuracy*latency")
    found, figures = soft.worth(1, 0.8)
    assert found == pytest.approx(reward, rel=1e-5)
    assert figures == {"accuracy": 0.8, "latency_ms": milliseconds}
    assert latency({1: milliseconds}, latency_ms=4.0).worth(1, 0.8)[0] == 0.8


def test_what_a_latency_cannot_be_told_in_one_line():
    for given, line in (
        ({"objective": "accuracy*latency"}, "objective=accuracy*latency: needs a target; expected latency_ms too"),
        ({"latency_ms": 0.0}, "latency_ms=0.0: must be above 0"),
        ({"latency_ms": 1.0, "latency_weight": 0.1}, "latency_weight=0.1: must be below 0"),
    ):
        with pytest.raises(SettingError) as told:
            LatencyConfig(**given)
        assert str(told.value) == line
    for options, given in (({}, "latency_on"), ({"latency_ms": 3.0}, "latency_weight")):
        LatencyConfig(**options).check_given(options)
        with pytest.raises(SettingError, match=f"{given}=.*has no meaning with"):
            LatencyConfig(**options).check_given([given])


def test_a_finalists_rank_is_by_the_objective():
    trial = Trial(Proposal(0, (0,), (0.0,)), Outcome.OK, 0.5, 1.0)
    assert Finalist(trial, (0.25, 0.75), factor=0.5).rank_by == 0.25
