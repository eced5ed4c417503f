"""The settings of known networks as spaces of 3^n networks."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cells.count import count
from cells.genotype.chain import ChainGenotype, ConvLayer, Pool
from cells.spaces.settings import NETWORKS, SettingsSpace
from cells.walks.chain import ChainNetwork
from cells.zoo.networks import hand_made
from tests.support.numbers import Numbers, draw

LENET, ALEXNET, VGG = (
    SettingsSpace("lenet5", (32, 32, 1)),
    SettingsSpace("alexnet", (224, 224, 3)),
    SettingsSpace("vgg16", (224, 224, 3)),
)


@pytest.mark.parametrize(
    ("space", "classes", "parameters"),
    [(LENET, 10, 61_706), (ALEXNET, 1000, 61_100_840), (VGG, 1000, 138_357_544)],
)
def test_the_published_settings_have_the_published_count(space, classes, parameters):
    network = ChainNetwork(space.decode(space.published), classes)
    assert count(network, space.image_shape).parameters == parameters


class InOrder(Numbers):
    """Weights are drawn by their place in the walk: two networks with other names have the same."""

    weighed = 0

    def conv(self, *args, name, **options):
        del name
        self.weighed += 1
        return super().conv(*args, name=f"weight_{self.weighed}", **options)

    def dense(self, *args, name, **options):
        del name
        self.weighed += 1
        return super().dense(*args, name=f"weight_{self.weighed}", **options)


@pytest.mark.parametrize(("name", "width"), [("lenet5", 1.0), ("alexnet", 0.0625), ("vgg16", 0.03125)])
def test_the_published_settings_are_the_network_of_the_zoo(name, width):
    """The same weights in the same order, the same costs, and from the same numbers the same logits."""
    zoo = hand_made(name, width=width)
    space = SettingsSpace(name, zoo.image_shape, width=width)
    chain = ChainNetwork(space.decode(space.published), zoo.classes)
    ours, theirs = (count(network, zoo.image_shape) for network in (chain, zoo))
    assert [(w.role, w.shape) for w in ours.weights] == [(w.role, w.shape) for w in theirs.weights]
    assert (ours.mult_adds, ours.activation_bytes) == (theirs.mult_adds, theirs.activation_bytes)
    image = draw("image", zoo.image_shape)
    np.testing.assert_allclose(*(network.walk(InOrder(), image).logits for network in (chain, zoo)), rtol=1e-12)


def test_sizes_on_the_way_of_alexnet():
    """55, 27, 13, 6: whatever the first filter's size and the poolings' windows are."""
    for tokens in itertools.product(range(3), repeat=3):
        space = ALEXNET
        taken = {"layer_0.size": tokens[0], "layer_0.pool": tokens[1], "layer_1.pool": tokens[2]}
        named = [taken.get(d.name, old) for d, old in zip(space.decisions, space.published, strict=True)]
        counts = count(ChainNetwork(space.decode(tuple(named)), 10), space.image_shape)
        assert [shape[:2] for shape in counts.endpoints.values()] == [(27, 27), (13, 13), (13, 13), (13, 13), (6, 6)]


@pytest.mark.parametrize(
    ("name", "free", "networks"),
    [
        *(("alexnet", free, networks) for free, networks in ((3, 27), (4, 81), (10, 59_049), (None, 3**13))),
        *(("lenet5", free, networks) for free, networks in ((1, 3), (4, 81), (None, 3**6))),
        *(("vgg16", free, networks) for free, networks in ((3, 27), (None, 3**31))),
    ],
)
def test_three_to_the_n(name, free, networks):
    space = SettingsSpace(name, (32, 32, 3), free)
    assert space.size == networks == math.prod(decision.size for decision in space.decisions)
    assert space.length(0) == space.length(10**6) == len(space.decisions)


def test_which_decisions_come_first():
    """The convolutions', size before filters, then the poolings': AlexNet's first ten are its convolutions'."""
    names = [decision.name for decision in ALEXNET.decisions]
    assert names[:4] == ["layer_0.size", "layer_0.filters", "layer_1.size", "layer_1.filters"]
    assert names[9:] == ["layer_4.filters", "layer_0.pool", "layer_1.pool", "layer_4.pool"]


# Free are the first filter's size, the number of filters, the second filter's size; the second layer keeps 16.
TWENTY_SEVEN = """
3x3 of 3, 3x3   3x3 of 3, 5x5   3x3 of 3, 7x7   3x3 of 6, 3x3   3x3 of 6, 5x5   3x3 of 6, 7x7
3x3 of 9, 3x3   3x3 of 9, 5x5   3x3 of 9, 7x7   5x5 of 3, 3x3   5x5 of 3, 5x5   5x5 of 3, 7x7
5x5 of 6, 3x3   5x5 of 6, 5x5   5x5 of 6, 7x7   5x5 of 9, 3x3   5x5 of 9, 5x5   5x5 of 9, 7x7
7x7 of 3, 3x3   7x7 of 3, 5x5   7x7 of 3, 7x7   7x7 of 6, 3x3   7x7 of 6, 5x5   7x7 of 6, 7x7
7x7 of 9, 3x3   7x7 of 9, 5x5   7x7 of 9, 7x7
"""


def test_the_twenty_seven_networks_of_three_decisions():
    space = SettingsSpace("lenet5", (32, 32, 1), free=3)
    found = [space.decode(tokens) for tokens in itertools.product(range(3), repeat=3)]
    drawn = [one for line in TWENTY_SEVEN.split("\n") for one in line.split("   ") if one]
    assert len(set(drawn)) == 27
    for genotype, words in zip(found, drawn, strict=True):
        (first, filters), second = words[:8].split(" of "), words[9:]
        pool, sizes = Pool("average", 2, 2), [int(size[0]) for size in (first, second.strip())]
        assert genotype == ChainGenotype(
            (
                ConvLayer(sizes[0], sizes[0], 1, 1, int(filters), pool, (), 0),
                ConvLayer(sizes[1], sizes[1], 1, 1, 16, pool, (0,), 0),
            ),
            dense=(120, 84),
            flatten=True,
            batch_norm=False,
        )
        # By hand: each filter has its bias; 32 pixels lose size - 1, then half; and once more.
        side = math.ceil((math.ceil((33 - sizes[0]) / 2) + 1 - sizes[1]) / 2)
        weights = (sizes[0] ** 2 + 1) * int(filters) + (sizes[1] ** 2 * int(filters) + 1) * 16
        weights += (16 * side**2 + 1) * 120 + 121 * 84 + 85 * 10
        assert count(ChainNetwork(genotype, 10), (32, 32, 1)).parameters == weights


@given(st.data())
def test_decode_and_encode_are_inverse_and_everything_can_be_built(data):
    name = data.draw(st.sampled_from(sorted(NETWORKS)))
    shape = (data.draw(st.integers(1, 230)), data.draw(st.integers(1, 230)), data.draw(st.integers(1, 3)))
    space = SettingsSpace(name, shape, data.draw(st.one_of(st.none(), st.integers(1, 6))), 0.5)
    tokens = tuple(data.draw(st.integers(0, 2)) for _ in space.decisions)
    genotype = space.decode(tokens)
    assert space.encode(genotype) == tokens
    smaller = min(shape[:2]) < NETWORKS[name].side
    if smaller:  # those that are not lose pixels at their borders, and the largest filters may lose all
        count(ChainNetwork(genotype, 2), shape)
    assert space.encode(space.decode(space.published)) == space.published


@pytest.mark.parametrize(
    ("name", "side", "strides", "last"),
    [
        # AlexNet halves five times: a stride of 4 and three poolings.
        ("alexnet", 224, [4, 2, 2, 2], 6),
        ("alexnet", 223, [4, 2, 2, 2], 7),  # SAME from here on
        ("alexnet", 113, [4, 2, 2, 2], 4),
        ("alexnet", 112, [2, 2, 2, 2], 7),
        ("alexnet", 64, [2, 2, 2, 2], 4),
        ("alexnet", 56, [1, 2, 2, 2], 7),
        ("alexnet", 32, [1, 2, 2, 2], 4),
        ("alexnet", 28, [1, 1, 2, 2], 7),
        ("alexnet", 8, [1, 1, 1, 2], 4),
        ("alexnet", 7, [1, 1, 1, 1], 7),
        ("alexnet", 1, [1, 1, 1, 1], 1),
        ("vgg16", 32, [1, 1, 2, 2, 2], 4),
        ("vgg16", 28, [1, 1, 1, 2, 2], 7),
        ("lenet5", 32, [2, 2], 5),
        ("lenet5", 28, [2, 2], 7),
        ("lenet5", 16, [1, 2], 8),
        ("lenet5", 8, [1, 1], 8),
    ],
)
def test_small_pictures_leave_out_the_first_halvings(name, side, strides, last):
    space = SettingsSpace(name, (side, side, 1))
    genotype = space.decode(space.published)
    found = [layer.stride_height for layer in genotype.layers[:1] if name == "alexnet"]
    assert found + [layer.pool.stride for layer in genotype.layers if layer.pool] == strides
    *_, shape = count(ChainNetwork(genotype, 10), space.image_shape).endpoints.values()
    assert shape[:2] == (last, last)
    # What the decisions decide is left as it was chosen.
    published = NETWORKS[name].layers
    assert [(a.height, a.filters) for a in genotype.layers] == [(b.height, b.filters) for b in published]
    assert [a.pool and (a.pool.kind, a.pool.size) for a in genotype.layers] == [
        b.pool and (b.pool.kind, b.pool.size) for b in published
    ]


def test_the_shorter_side_decides():
    assert SettingsSpace("vgg16", (28, 300, 3)).decode(VGG.published) == SettingsSpace("vgg16", (28, 28, 1)).decode(
        VGG.published
    )


def test_width():
    space = SettingsSpace("alexnet", (32, 32, 3), width=0.125)
    genotype = space.decode(space.published)
    assert [layer.filters for layer in genotype.layers] == [8, 24, 48, 32, 32]
    assert genotype.dense == (512, 512)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (("resnet18", (32, 32, 3)), "one of lenet5, alexnet, vgg16, got 'resnet18'"),
        (("alexnet", (0, 32, 3)), r"three sizes of 1 or more, got \(0, 32, 3\)"),
        (("alexnet", (32, 32, 3), 0), "free must be 1 to 13, for alexnet has 13 settings, got 0"),
        (("alexnet", (32, 32, 3), 14), "got 14"),
        (("lenet5", (32, 32, 3), None, 0.0), "width must be above 0, got 0.0"),
        (("lenet5", (32, 32, 3), None, math.nan), "got nan"),
        (("lenet5", (32, 32, 3), None, 0.2), "around the 6 of layer 0; it leaves 1, 1, 2, got 0.2"),
    ],
)
def test_spaces_that_cannot_be(values, words):
    with pytest.raises(ValueError, match=words):
        SettingsSpace(*values)


def test_what_is_outside_is_refused():
    lenet = LENET.decode(LENET.published)
    first, second = lenet.layers

    def changed(**change):
        return dataclasses.replace(lenet, layers=(dataclasses.replace(first, **change), second))

    for genotype, words in (
        (ChainGenotype((first,)), "lenet5 has 2 layers, the chain has 1"),
        (changed(height=9), r"size 9 of layer 0 .* expected one of \(3, 5, 7\)"),
        (changed(filters=7), r"filters 7 of layer 0 .* \(3, 6, 9\)"),
        (changed(pool=None), "pool None of layer 0"),
        (changed(width=3), "differs from lenet5 in what is no decision"),
        (dataclasses.replace(lenet, dense=(120,)), "differs from lenet5"),
    ):
        with pytest.raises(ValueError, match=words):
            LENET.encode(genotype)
    with pytest.raises(ValueError, match="6 decisions, got 5"):
        LENET.decode((0,) * 5)
    with pytest.raises(ValueError, match=r"layer_1\.pool.*got 3"):
        LENET.decode((0, 0, 0, 0, 0, 3))


@pytest.mark.parametrize(("network", "window"), [("lenet5", 2), ("alexnet", 3), ("vgg16", 2)])
def test_an_average_is_of_the_published_window(network, window):
    space = SettingsSpace(network, ({"lenet5": 32}.get(network, 224),) * 2 + (3,))
    pools = [layer.pool for layer in space.decode((2,) * len(space.decisions)).layers if layer.pool is not None]
    assert {(pool.kind, pool.size, pool.stride) for pool in pools} == {("average", window, 2)}
