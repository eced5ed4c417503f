"""VGG, GoogLeNet and residual networks, counted: published sizes, widths, JSON, what they refuse. No TensorFlow."""

from __future__ import annotations

import dataclasses

import pytest

from cells.count import count
from cells.zoo import googlenet, resnet, vgg
from cells.zoo.googlenet import GoogLeNet
from cells.zoo.hand_made import HandMade
from cells.zoo.networks import hand_made_from_json
from cells.zoo.resnet import CifarResNet, ResNet
from cells.zoo.vgg import VGG16
from tests.support.numbers import Numbers, draw

NETWORKS = {**vgg.NETWORKS, **googlenet.NETWORKS, **resnet.NETWORKS}


def published(name):
    network = NETWORKS[name](NETWORKS[name](2).published_classes)
    return network, count(network, network.image_shape)


# torchvision's `num_params`; He et al. print 0.27M, 0.46M, 0.66M, 0.85M and 1.7M (table 6).
PARAMETERS = {
    "vgg16": 138_357_544,
    "googlenet": 6_998_552,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnet50_2015": 25_557_032,
    "resnet101_2015": 44_549_160,
    "resnet152_2015": 60_192_808,
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet44": 658_586,
    "resnet56": 853_018,
    "resnet110": 1_727_962,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_published_parameters(name):
    network, counts = published(name)
    assert counts.parameters == PARAMETERS[name]
    assert network.kind == name
    assert len({weight.name for weight in counts.weights}) == len(counts.weights)
    weighted = dict.fromkeys(weight.name.split(".")[0] for weight in counts.weights)
    assert tuple(weighted) == network.parts


def test_googlenets_heads():
    """13,378,280 with both: by table 1 of the paper and section 5, 128 1x1 filters on 4x4, 1024 units, 1000 classes."""
    counts = count(GoogLeNet(1000), (224, 224, 3), auxiliary=True)
    assert counts.parameters == 13_378_280
    for module, channels in (("4a", 512), ("4d", 528)):
        sizes = [weight.size for weight in counts.weights if weight.name.startswith(f"auxiliary.{module}.")]
        assert sizes == [channels * 128, 128, 16 * 128 * 1024, 1024, 1024 * 1000, 1000]


def test_the_largest_residual_network_of_the_paper():
    # 19.4M in its table 6; 1202 = 6 * 200 + 2.
    assert count(CifarResNet(10, depth=1202), (32, 32, 3)).parameters == 19_421_274


@pytest.mark.parametrize(
    ("name", "digits", "printed"),
    [
        # torchvision's `_ops` in GFLOPs, which by its rule are multiply-adds of convolutions and dense layers, as ours.
        ("vgg16", 2, 15.47),
        ("resnet18", 3, 1.814),
        ("resnet34", 3, 3.664),
        ("resnet50", 3, 4.089),
        ("resnet101", 3, 7.801),
        ("resnet152", 3, 11.514),
        # The tables of those who prune (HRank, arXiv 2002.10179): 125.49M and 252.89M.
        ("resnet56", 5, 0.12549),
        ("resnet110", 5, 0.25289),
        # He et al., table 1, whose stride is on the first 1x1; it prints 3.8 for ResNet-50.
        ("resnet50_2015", 2, 3.86),
        ("resnet101_2015", 1, 7.6),
        ("resnet152_2015", 1, 11.3),
        ("googlenet", 2, 1.58),  # the abstract of the paper: a budget of 1.5 billion
    ],
)
def test_published_mult_adds(name, digits, printed):
    assert round(published(name)[1].mult_adds / 1e9, digits) == printed


def test_googlenets_mult_adds_are_torchvisions_but_for_the_5x5():
    """1.498 there, where what the paper draws 5x5 is 3x3."""
    _, counts = published("googlenet")
    least = counts.mult_adds
    for weight in counts.weights:
        if weight.primitive.endswith("conv_5x5") and weight.role == "kernel":
            height, width, _ = counts.endpoints[weight.primitive.split(".")[0]]
            least -= height * width * weight.size * 16 // 25
    assert round(least / 1e9, 3) == 1.498


@pytest.mark.parametrize(
    ("name", "expected"),
    [  # the papers' tables: VGG 1, GoogLeNet 1, ResNet 1 and section 4.2
        ("vgg16", {"block_1": (112, 112, 64), "block_3": (28, 28, 256), "block_5": (7, 7, 512)}),
        (
            "googlenet",
            {"stem": (28, 28, 192), "inception_3a": (28, 28, 256), "inception_3b": (28, 28, 480)}
            | {"inception_4a": (14, 14, 512), "inception_4d": (14, 14, 528), "inception_4e": (14, 14, 832)}
            | {"inception_5a": (7, 7, 832), "inception_5b": (7, 7, 1024)},
        ),
        (
            "resnet34",
            {"stem": (56, 56, 64), "block_3": (56, 56, 64), "block_4": (28, 28, 128), "block_16": (7, 7, 512)},
        ),
        ("resnet50", {"block_3": (56, 56, 256), "block_7": (28, 28, 512), "block_13": (14, 14, 1024)}),
        ("resnet56", {"stem": (32, 32, 16), "block_9": (32, 32, 16), "block_18": (16, 16, 32), "block_27": (8, 8, 64)}),
    ],
)
def test_end_points(name, expected):
    endpoints = published(name)[1].endpoints
    assert {part: endpoints[part] for part in expected} == expected


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("width", [0.01, 0.3, 1.5])
def test_a_width_scales_every_hidden_layer(name, width):
    network = NETWORKS[name](7, width)
    whole, scaled = (count(made, (48, 40, 1)) for made in (NETWORKS[name](7), network))
    assert [w.name for w in whole.weights] == [w.name for w in scaled.weights]
    of = lambda channels: max(1, round(width * channels))  # noqa: E731
    for before, after in zip(whole.weights, scaled.weights, strict=True):
        if before.role == "bias" and "head" in before.name:
            assert after.shape == (7,)
        elif before.role == "bias":
            assert after.shape == (of(before.shape[0]),)
        elif before.role == "gamma":
            wide = before.primitive.endswith(("bn_3", "shortcut.bn")) and network.depth >= 50
            assert after.shape == ((4 * of(before.shape[0] // 4),) if wide else (of(before.shape[0]),))


@pytest.mark.parametrize("name", NETWORKS)
def test_json_round_trip(name):
    network = NETWORKS[name](12, 0.25)
    assert hand_made_from_json(network.to_json(), 12) == network
    assert network.to_json() == {"version": 1, "kind": name, "network": {"width": 0.25}}
    assert network.describe() == f"{name} width=0.25"
    assert dataclasses.replace(network, width=1.0).describe() == name


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: VGG16(1), "classes must be 2 or more, got 1"),
        (lambda: VGG16(10, 0.0), "width must be a number above 0, got 0.0"),
        (lambda: GoogLeNet(10, float("inf")), "width must be a number above 0, got inf"),
        (lambda: ResNet(10, float("nan")), "width must be a number above 0, got nan"),
        (lambda: ResNet(10, depth=20), "depth must be one of 18, 34, 50, 101, 152, got 20"),
        (lambda: ResNet(10, depth=18, stride_on="1x1"), 'stride_on must be "3x3" without bottlenecks'),
        (lambda: ResNet(10, stride_on="5x5"), 'stride_on must be "3x3" or "1x1", got \'5x5\''),
        (lambda: CifarResNet(10, depth=50 + 1), r"depth must be 6n \+ 2 \(8, 14, 20, ...\), got 51"),
        (lambda: CifarResNet(10, depth=2), "got 2"),
        (lambda: count(VGG16(10), (20, 20, 3)), "vgg16 needs pictures of 32x32 or more, got 20x20"),
        (lambda: count(VGG16(10), (64, 31, 3)), "vgg16 needs pictures of 32x32 or more, got 64x31"),
        (
            lambda: count(GoogLeNet(10), (64, 80, 3), auxiliary=True),
            "googlenet's auxiliary heads need pictures of 65x65 or more, got 64x80",
        ),
        (lambda: count(VGG16(10), (32, 32, 3), auxiliary=True), "vgg16 has no auxiliary head"),
        (lambda: count(ResNet(10), (32, 32, 3), auxiliary=True), "resnet50 has no auxiliary head"),
        (lambda: count(CifarResNet(10), (32, 32, 3), auxiliary=True), "resnet20 has no auxiliary head"),
    ],
)
def test_what_makes_no_sense_is_told(make, words):
    with pytest.raises(ValueError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_the_least_pictures():
    for size in (32, 33, 63):
        assert count(VGG16(10), (size, 95 - size, 3)).endpoints["block_5"] == (1, 1, 512)
    # A VALID window of 5x5 fits what four halvings leave of 65 pixels, and no less.
    counts = count(GoogLeNet(10), (65, 65, 1), auxiliary=True)
    assert counts.endpoints["inception_4d"][:2] == (5, 5)
    for name in ("googlenet", "resnet18", "resnet50", "resnet50_2015", "resnet20"):
        for shape in ((1, 1, 1), (8, 8, 1), (28, 28, 1), (7, 31, 3)):
            ends = count(NETWORKS[name](10), shape).endpoints
            assert min(min(end[:2]) for end in ends.values()) >= 1


@pytest.mark.parametrize("name", ["googlenet", "resnet18", "resnet50", "resnet20"])
def test_weights_are_the_same_at_every_resolution(name):
    first, *others = (count(NETWORKS[name](10), (size, size, 3)).weights for size in (32, 33, 48, 224))
    assert all(other == first for other in others)


@pytest.mark.parametrize(
    ("network", "blocks"), [(resnet.CifarResNet(3, depth=14), 6), (resnet.ResNet(3, 0.05, depth=18), 8)]
)
def test_the_last_block_s_path_is_dropped_at_the_full_rate(network, blocks):
    reading = Numbers()
    network.walk(reading, draw("image", (8, 8, 3)))
    shares = [float(line.split()[-1]) for line in reading.log if "drop_path" in line]
    assert shares == pytest.approx([number / blocks for number in range(1, blocks + 1)], abs=1e-3)


def test_a_network_that_leaves_out_what_is_its_own_cannot_be_made():
    class Unfinished(HandMade):
        @property
        def kind(self) -> str:
            return "unfinished"

        @property
        def parts(self) -> tuple[str, ...]:
            return ("head",)

    made: type = Unfinished
    with pytest.raises(TypeError, match=r"abstract method '?walk"):
        made(10)
