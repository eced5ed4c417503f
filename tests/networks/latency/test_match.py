"""Networks made as fast as another: against clocks that are known."""

from __future__ import annotations

import pytest

from cells.walks.stack import CellNetwork
from cells.zoo.cells import NASNET_A
from cells.zoo.networks import hand_made
from nasnet.networks.latency.match import as_fast
from nasnet.networks.latency.table import Time
from nasnet.networks.matching import size_of
from nasnet.networks.spec import NetworkSpec


def spec(architecture):
    return NetworkSpec(architecture, tuple("abcdefghij"), (16, 16, 1), (100.0,), (50.0,))


CELLS, RESNET = spec(CellNetwork(NASNET_A, 1, 8, 10)), spec(hand_made("resnet20", 10))


def mult_adds(one):
    return size_of(one.architecture, one.image_shape, "mult_adds")


@pytest.mark.parametrize("per_mult_add", [1e-10, 3e-10, 2e-9])
@pytest.mark.parametrize("start", [0.0, 2e-4])
def test_it_is_as_fast_whatever_a_mult_add_takes_and_however_slow_the_machine_gets(start, per_mult_add):
    """The clock runs ever slower, by a tenth a network: the first is timed beside each."""
    pace = [1.0]

    def seconds(one):
        return start + mult_adds(one) * (per_mult_add if one is not CELLS else 1e-9)

    def timed(one, on):
        assert on == "litert"
        pace[0] *= 1.1 if one is CELLS else 1.0
        return Time(pace[0] * seconds(one), 0.0)

    (found,) = as_fast(CELLS, [RESNET], "litert", timed)
    assert found.within
    assert set(found.changed) == {"width"}
    assert found.spec.architecture == hand_made("resnet20", 10, found.changed["width"])
    assert abs(seconds(found.spec) / seconds(CELLS) - 1) <= 0.1
    assert found.off == pytest.approx(seconds(found.spec) / seconds(CELLS) - 1)


def test_what_cannot_be_as_fast_says_how_near_it_came_after_few_networks():
    """However narrow: the start of it alone takes longer than the first."""
    seen = []

    def timed(one, on):
        del on
        seen.append(one)
        return Time(1e-9 * mult_adds(one) + (0.0 if one is CELLS else 3e-2), 0.0)

    (found,) = as_fast(CELLS, [RESNET], "tensorflow", timed)
    assert not found.within
    assert found.off > 1
    assert mult_adds(found.spec) == min(mult_adds(one) for one in seen if one is not CELLS)
    assert len(seen) <= 12
