"""LeNet-5 and AlexNet, counted: published sizes, widths, JSON, what they refuse. No TensorFlow."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter

import pytest

from cells.count import count
from cells.zoo import alexnet, lenet
from cells.zoo.alexnet import AlexNet, AlexNetOf2012
from cells.zoo.lenet import READ_BY_C3, LeNet5, LeNet5Of1998, codes
from cells.zoo.networks import hand_made_from_json

NETWORKS = {**lenet.NETWORKS, **alexnet.NETWORKS}
LEAST = {"lenet5": 16, "lenet5_1998": 16, "alexnet": 63, "alexnet_2012": 67}


def published(name):
    network = NETWORKS[name](NETWORKS[name](2).published_classes)
    return network, count(network, network.image_shape)


def by_part(counts, value):
    found = Counter()
    for weight in counts.weights:
        found[weight.name.split(".")[0].split("/")[0]] += value(weight)
    return dict(found)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("lenet5", 61_706), ("lenet5_1998", 60_000), ("alexnet", 61_100_840), ("alexnet_2012", 60_965_224)],
)
def test_published_parameters(name, parameters):
    network, counts = published(name)
    assert counts.parameters == parameters
    assert all(weight.trainable for weight in counts.weights)
    assert network.kind == name
    assert len({weight.name for weight in counts.weights}) == len(counts.weights)
    assert tuple(by_part(counts, lambda weight: weight.size)) == network.parts


def test_each_layer_of_1998():
    """Free parameters and connections as section II.B has them; a bias is a connection at each place."""
    counts = published("lenet5_1998")[1]
    assert by_part(counts, lambda weight: weight.size) == {
        "c1": 156,
        "s2": 12,
        "c3": 1516,
        "s4": 32,
        "c5": 48_120,
        "head": 10_164,
    }
    places = {"c1": 28 * 28, "c3": 10 * 10, "c5": 1, "head": 1}
    connections = by_part(counts, lambda weight: weight.size * places.get(weight.name.split(".")[0], 0))
    assert connections == {"c1": 122_304, "s2": 0, "c3": 151_600, "s4": 0, "c5": 48_120, "head": 10_164}


def test_table_i_of_1998():
    """Contiguous threes, contiguous fours, discontinuous fours, all six; each map of S2 is read ten times."""
    around = [tuple(sorted((first + step) % 6 for step in range(size))) for size in (3, 4) for first in range(6)]
    assert list(READ_BY_C3[:12]) == around
    opposite = {tuple(sorted({0, 1, 2, 3, 4, 5} - {gap, gap + 3})) for gap in range(3)}
    assert set(READ_BY_C3[12:15]) == opposite
    assert READ_BY_C3[15] == (0, 1, 2, 3, 4, 5)
    assert set(Counter(itertools.chain(*READ_BY_C3)).values()) == {10}


def test_published_mult_adds():
    """torchvision's `_ops`, 0.714 GFLOPS, and the ISSCC paper on Eyeriss: 666M of the convolutions, 2.3M weights."""
    assert round(published("alexnet")[1].mult_adds / 1e9, 3) == 0.714
    counts = published("alexnet_2012")[1]
    dense = sum(weight.size for weight in counts.weights if len(weight.shape) == 2)
    assert round((counts.mult_adds - dense) / 1e6) == 666
    assert round(sum(weight.size for weight in counts.weights if len(weight.shape) == 4) / 1e6, 1) == 2.3


def test_end_points():
    ends = published("alexnet_2012")[1].endpoints  # the paper's figure 2, behind the poolings
    assert list(ends.values()) == [(27, 27, 96), (13, 13, 256), (13, 13, 384), (13, 13, 384), (6, 6, 256)]
    ends = published("alexnet")[1].endpoints
    assert list(ends.values()) == [(27, 27, 64), (13, 13, 192), (13, 13, 384), (13, 13, 256), (6, 6, 256)]
    assert published("lenet5_1998")[1].endpoints == {"s2": (14, 14, 6), "s4": (5, 5, 16)}
    assert list(published("lenet5")[1].endpoints.values()) == [(14, 14, 6), (5, 5, 16)]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("width", [0.001, 0.01, 0.3, 1.5, 2.0, 3.7])
def test_a_width_scales_every_hidden_layer(name, width):
    size = (LEAST[name] + 2, LEAST[name], 3)
    whole, scaled = (count(made, size) for made in (NETWORKS[name](7), NETWORKS[name](7, width)))
    assert [w.name for w in whole.weights] == [w.name for w in scaled.weights]
    of = lambda channels: max(1, round(width * channels))  # noqa: E731
    if name == "lenet5_1998":
        sizes = by_part(scaled, lambda weight: weight.size if weight.role == "bias" else 0)
        c3 = max(16, of(16))
        assert sizes == {"c1": of(6), "s2": of(6), "c3": c3, "s4": c3, "c5": of(120), "head": max(3, of(84))}
        return
    for before, after in zip(whole.weights, scaled.weights, strict=True):
        if before.role == "bias":
            assert after.shape == ((7,) if before.primitive == "head.dense" else (of(before.shape[0]),))


def test_each_map_of_c3_reads_its_share_of_s2_at_every_width():
    """Of twelve maps every six pairs are one map of table I; below six, neighbours share one."""
    network, size = LeNet5Of1998(10, 2.0), (32, 32, 1)
    weights = {weight.name: weight.shape for weight in count(network, size).weights}
    assert [weights[f"c3.map_{i}/kernel"][2:] for i in range(16)] == [(2 * len(read), 2) for read in READ_BY_C3]
    weights = {weight.name: weight.shape for weight in count(LeNet5Of1998(10, 0.5), size).weights}
    assert weights["c1.conv/bias"] == (3,)
    assert [weights[f"c3.map_{i}/kernel"][2] for i in range(6)] == [2, 2, 2, 2, 2, 2]
    assert weights["c3.map_15/kernel"] == (5, 5, 3, 1)


@pytest.mark.parametrize(("classes", "bits"), [(10, 84), (1000, 84), (7, 3), (8, 3), (2, 1)])
def test_no_two_classes_have_one_code(classes, bits):
    found = codes(classes, bits)
    assert len(set(found)) == classes
    assert {len(code) for code in found} == {bits}
    assert set(itertools.chain(*found)) == {-1, 1}
    assert codes(max(2, classes // 2), bits) == found[: max(2, classes // 2)]
    pairs = itertools.combinations(found[:100], 2)
    nearest = min(sum(a != b for a, b in zip(*pair, strict=True)) for pair in pairs)
    assert bits < 84 or nearest > 15


@pytest.mark.parametrize("name", NETWORKS)
def test_json_round_trip(name):
    network = NETWORKS[name](12, 0.25)
    assert hand_made_from_json(network.to_json(), 12) == network
    assert network.to_json() == {"version": 1, "kind": name, "network": {"width": 0.25}}
    assert network.describe() == f"{name} width=0.25"


@pytest.mark.parametrize("name", NETWORKS)
def test_the_least_pictures(name):
    least = LEAST[name]
    for shape in ((least, least, 1), (least + 9, least, 3), (least, least + 1, 3)):
        ends = count(NETWORKS[name](10), shape).endpoints
        assert min(math.prod(end[:2]) for end in ends.values()) >= 1
    for shape in ((least - 1, least + 5, 3), (least + 5, least - 1, 3), (1, 1, 1)):
        words = rf"^{name}, whose .* needs pictures of {least}x{least} or more, got {shape[0]}x{shape[1]}$"
        with pytest.raises(ValueError, match=words):
            count(NETWORKS[name](10), shape)


@pytest.mark.parametrize("make", [LeNet5, LeNet5Of1998, AlexNet, AlexNetOf2012])
def test_what_makes_no_sense_is_told(make):
    for arguments, words in (
        ((1,), "classes must be 2 or more, got 1"),
        ((10, -1.0), "width must be a number above 0, got -1.0"),
        ((10, math.nan), "width must be a number above 0, got nan"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            make(*arguments)
    with pytest.raises(ValueError, match="has no auxiliary head"):
        count(make(10), (96, 96, 3), auxiliary=True)
