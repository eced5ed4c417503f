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
from controller.random_search import RandomSearch
from controller.strategy import Outcome, Proposal, Trial
from nasnet.networks.config import NetworkConfig
from nasnet.networks.matching import OF_CELLS, matched
from nasnet.networks.spec import architecture_of
from nasnet.runtime.errors import SettingError
from nasnet.trials.config import FinalConfig, LatencyConfig, LimitConfig
from nasnet.trials.finalists import Finalist
from nasnet.trials.limits import Latency, Limits
from nasnet.trials.plan import DRAWN, exported, final_sizes, without_size

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


def test_what_cannot_be_of_its_size_may_not_be_tried_nor_what_cannot_be_exported():
    """Found where nothing is limited; the cause says which size."""
    sizes = {"classes": 10, "image_shape": SHAPE}

    def limits(child, final=None):
        own = functools.partial(architecture_of, network=child, **sizes)
        of_final = functools.partial(exported, final=final or FinalConfig(), child=child, **sizes)
        return Limits(LimitConfig(), own, SHAPE, BATCH, exported=of_final)

    assert limits(NetworkConfig(1, parameters=5000)).why_invalid(GENOTYPE) is None
    tiny = limits(NetworkConfig(1, parameters=10)).why_invalid(GENOTYPE)
    assert tiny is not None
    assert tiny.startswith("parameters must be within 5% of a size that this network can have; the nearest is ")
    assert tiny.endswith("got 10")
    later = limits(NetworkConfig(1, parameters=5000), FinalConfig(final_parameters=10)).why_invalid(GENOTYPE)
    assert later is not None
    assert later.startswith("final_parameters must be within 5%")


def test_the_winner_is_as_large_as_the_children_where_nothing_else_is_said():
    for given, parameters, filters in (
        ({}, 5000, None),
        ({"final_parameters": 9000}, 9000, None),
        ({"final_filters": 7}, None, 7),
    ):
        sizes = final_sizes(FinalConfig(**given), NetworkConfig(2, parameters=5000))
        assert (sizes.repeats, sizes.parameters) == (1, parameters)
        assert filters in (None, sizes.filters)
    assert final_sizes(FinalConfig(), NetworkConfig(2, 9)) == NetworkConfig(1, 16)


def test_a_size_that_no_drawn_network_can_have_is_refused_and_others_are_counted():
    space, final = NASNetSpace(2), FinalConfig()
    assert without_size(space, final, NetworkConfig(1), 10, SHAPE) == 0
    child = NetworkConfig(1, parameters=9000)
    draws = [space.decode(RandomSearch(space.decisions, 0).propose(number).tokens) for number in range(DRAWN)]
    nearest = [matched(CellNetwork(drawn, 1, 16, 10), SHAPE, 9000, "params", OF_CELLS[:2]) for drawn in draws]
    assert without_size(space, final, child, 10, SHAPE) == sum(not match.within for match in nearest) > 0
    with pytest.raises(SettingError, match=r"^final_parameters=10: .* nor can any other of 40 drawn networks$"):
        without_size(space, FinalConfig(final_parameters=10), child, 10, SHAPE)


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
    hardly = dataclasses.replace(limits, latency=latency({GENOTYPE: 0.11304}, latency_ms=0.113))
    assert hardly.why_invalid(GENOTYPE) == "0.11304 ms a picture, over latency_ms=0.113"
    barely = dataclasses.replace(limits, latency=latency({GENOTYPE: 0.1130000004}, latency_ms=0.113))
    assert barely.why_invalid(GENOTYPE) == "0.1130000004 ms a picture, over latency_ms=0.113"
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
        LatencyConfig(**options).check_given(options, "params")
        with pytest.raises(SettingError, match=f"{given}=.*has no meaning with"):
            LatencyConfig(**options).check_given([given], "params")


def test_a_finalists_rank_is_by_the_objective():
    trial = Trial(Proposal(0, (0,), (0.0,)), Outcome.OK, 0.5, 1.0)
    assert Finalist(trial, (0.25, 0.75), factor=0.5).rank_by == 0.25


def test_what_a_child_costs_is_counted_and_nothing_of_one_that_cannot_be():
    limits, counts = Limits(LimitConfig(), network, SHAPE, BATCH), count(network(GENOTYPE), SHAPE)
    assert limits.costs(GENOTYPE) == {"parameters": counts.parameters, "mult_adds": counts.mult_adds}
    without = dataclasses.replace(limits, network=functools.partial(network, filters=1))
    assert without.costs(GENOTYPE) == {}
