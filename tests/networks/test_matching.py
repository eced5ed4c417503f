"""Networks made as large as others: against a search of every size, and what cannot be."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cells.count import count
from cells.genotype.chain import ChainGenotype, ConvLayer
from cells.spaces.nasnet import NASNetSpace
from cells.walks.chain import ChainNetwork
from cells.walks.stack import CellNetwork
from cells.zoo.cells import ZOO
from cells.zoo.networks import hand_made
from controller.random_search import RandomSearch
from nasnet.networks.matching import TOLERANCE, matched, size_of

SHAPE, GREY = (16, 16, 3), (8, 8, 1)


@settings(deadline=None, max_examples=10)
@given(
    name=st.sampled_from(["nasnet_a", "amoebanet_a"]),
    repeats=st.integers(1, 2),
    target=st.integers(30_000, 600_000),
    measure=st.sampled_from(["params", "mult_adds"]),
)
def test_cells_come_within_the_tolerance_and_change_no_more_than_they_must(name, repeats, target, measure):
    network = CellNetwork(ZOO[name], repeats, 16, 10)
    target = size_of(dataclasses.replace(network, filters=4), SHAPE, measure) + target
    match = matched(network, SHAPE, target, measure)
    counts = count(match.architecture, SHAPE)
    assert match.size == (counts.parameters if measure == "params" else counts.mult_adds)
    assert match.off == match.size / target - 1
    assert match.within
    assert abs(match.off) <= 0.05
    assert match.changed == {
        field.name: getattr(match.architecture, field.name)
        for field in dataclasses.fields(network)
        if getattr(match.architecture, field.name) != getattr(network, field.name)
    }
    sizes = {n: size_of(dataclasses.replace(network, filters=n), SHAPE, measure) for n in range(2, 65)}
    nearest = min(sizes, key=lambda n: abs(sizes[n] / target - 1))
    if abs(sizes[nearest] / target - 1) <= TOLERANCE:
        assert match.architecture == dataclasses.replace(network, filters=nearest)


@pytest.mark.parametrize(
    ("trial", "repeats", "target"),
    [
        *((0, 1, 30_000), (6, 1, 30_000), (8, 1, 30_000), (5, 2, 20_000), (9, 2, 30_000)),
        *((1, 1, 15_000), (9, 1, 15_000)),  # narrower
        *((14, 1, 30_000), (14, 1, 31_000)),  # wider or narrower; narrower or wider
    ],
)
def test_without_repeats_it_is_the_nearest_that_filters_give_or_within_by_the_least_other_stem(trial, repeats, target):
    """Against all filters, and all stems of the filters around."""
    space = NASNetSpace(5)
    genotype = space.decode(RandomSearch(space.decisions, 0).propose(trial).tokens)
    network = CellNetwork(genotype, repeats, 16, 10)
    match = matched(network, GREY, target, "params", ("filters", "stem_multiplier"))
    assert set(match.changed) <= {"filters", "stem_multiplier"}
    offs = {n: _off(dataclasses.replace(network, filters=n), target) for n in range(2, 25)}
    nearest = min(offs, key=lambda n: abs(offs[n]))
    if abs(offs[nearest]) <= TOLERANCE:
        assert match.architecture == dataclasses.replace(network, filters=nearest)
        return
    around = [max((n for n in offs if offs[n] < 0), default=2), min(n for n in offs if offs[n] > 0)]
    stems = [dataclasses.replace(network, filters=n, stem_multiplier=m / 2) for n in around for m in range(1, 65)]
    within = [stemmed for stemmed in stems if abs(_off(stemmed, target)) <= TOLERANCE]
    assert match.within == bool(within)
    if within:
        assert _stem_change(match.architecture) == min(map(_stem_change, within))
    else:
        assert abs(match.off) == min(abs(_off(stemmed, target)) for stemmed in (*stems, match.architecture))
    alone = matched(network, GREY, target, "params", ("filters",))
    assert (alone.within, alone.off) == (False, offs[nearest])


@pytest.mark.parametrize("trial", [1, 8, 12])
def test_a_stem_that_is_outside_by_less_than_a_number_is_passed_over(trial):
    """The target is such that 5% above it, rounded, is the size of a stem that it doesn't let in."""
    space = NASNetSpace(5)
    network = CellNetwork(space.decode(RandomSearch(space.decisions, 0).propose(trial).tokens), 1, 4, 10)
    sizes = {m: size_of(dataclasses.replace(network, stem_multiplier=m / 2), GREY, "params") for m in range(1, 6)}
    m = next(m for m in (5, 4, 3, 2) if 20 * sizes[m] % 21 in range(1, 10))
    target = 20 * sizes[m] // 21
    assert sizes[m] == round(1.05 * target) > 1.05 * target
    match = matched(network, GREY, target, "params", ("filters", "stem_multiplier"))
    assert match.changed == {"stem_multiplier": (m - 1) / 2}


def _stem_change(network):
    return abs(math.log(network.stem_filters / (3 * network.filters)))


def _off(network, target):
    return size_of(network, GREY, "params") / target - 1


def test_the_imagenet_stem_takes_every_fourth():
    match = matched(CellNetwork(ZOO["nasnet_a"], 1, 16, 10, "imagenet"), (64, 64, 3), 200_000, "params")
    assert match.within
    assert isinstance(match.architecture, CellNetwork)
    assert match.architecture.filters % 4 == 0


@pytest.mark.parametrize("target", [20_000, 71_938, 400_000])
def test_a_hand_made_network_goes_by_its_width(target):
    match = matched(hand_made("resnet20", 10), SHAPE, target, "params")
    assert set(match.changed) == {"width"}
    assert match.within
    assert match.architecture == hand_made("resnet20", 10, match.changed["width"])
    widths = [n / 500 for n in range(20, 700)]
    brute = min(abs(size_of(hand_made("resnet20", 10, width), SHAPE, "params") / target - 1) for width in widths)
    assert abs(match.off) <= brute + 1e-9


def test_a_chain_goes_by_one_factor_for_all_layers():
    layers = (ConvLayer(3, 3, filters=24), ConvLayer(5, 3, filters=48, inputs=(0,)))
    match = matched(ChainNetwork(ChainGenotype(layers), 10), SHAPE, 100_000, "params")
    assert match.within
    assert isinstance(match.architecture, ChainNetwork)
    first, second = (layer.filters for layer in match.architecture.genotype.layers)
    assert (first, second) == tuple(round(match.changed["width"] * n) for n in (24, 48))


def test_the_dense_layers_of_a_chain_grow_with_the_others():
    layers = (ConvLayer(3, 3, filters=6), ConvLayer(3, 3, 4, 4, 8, inputs=(0,)))
    network = ChainNetwork(ChainGenotype(layers, dense=(40, 20), flatten=True), 10)
    match = matched(network, SHAPE, 60_000, "params")
    assert match.within
    assert isinstance(match.architecture, ChainNetwork)
    genotype = match.architecture.genotype
    sizes = (*(layer.filters for layer in genotype.layers), *genotype.dense)
    assert sizes == tuple(round(match.changed["width"] * n) for n in (6, 8, 40, 20))


def test_what_cannot_come_near_says_how_near_it_is():
    tiny = matched(hand_made("resnet20", 10), SHAPE, 50, "params")
    assert tiny.scales
    assert not tiny.within
    assert tiny.size == min(size_of(hand_made("resnet20", 10, width), SHAPE, "params") for width in (1e-4, 0.01, 0.1))

    @dataclasses.dataclass(frozen=True)
    class Rigid:
        inner: CellNetwork
        classes: int = 10

        def walk(self, p, image, *, auxiliary=False):
            return self.inner.walk(p, image, auxiliary=auxiliary)

    network = Rigid(CellNetwork(ZOO["nasnet_a"], 1, 4, 10))
    match = matched(network, SHAPE, 10**6, "params")
    assert (match.architecture, match.scales, match.within, match.changed) == (network, False, False, {})
