"""Each operation as the paper and slim have it, written down a second time: as a list of steps and as a formula.

All readings share one walk, so that they agree says nothing of it. Sources: NASNet, section 3 and A.4; slim's
nasnet_utils.py; for the operations that NASNet-A lacks tensorflow/tpu's amoeba_net/network_utils.py; quark0/darts'
cnn/operations.py; melodyguan/enas' micro_child.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from cells.operations import NASNET_OPERATIONS, OPERATIONS, factorized_reduction, relu_conv_bn
from cells.primitives import Feature
from tests.support.numbers import Numbers, avg_pool, batch_norm, conv, depthwise, draw, max_pool, relu

F = 8
PLACES = {"F/4": 2, "3F/8": 3, "F": F}
IDENTITY, CONV_1X1, CONV_3X3 = "identity", "1x1 convolution", "3x3 convolution"
CONV_1X3, CONV_1X7, DILATED = "1x3 then 3x1 convolution", "1x7 then 7x1 convolution", "3x3 dilated convolution"
SKIP, FACTORIZED = "skip connection", "factorized identity"

FIT = """
    relu: relu
    conv: conv 1x1 -> F, stride SxS
    bn: batch_norm"""
SEPARABLE = """
    relu_1: relu
    depthwise_1: depthwise KxK, stride S
    pointwise_1: conv 1x1 -> F, stride 1x1
    bn_1: batch_norm
    relu_2: relu
    depthwise_2: depthwise KxK, stride 1
    pointwise_2: conv 1x1 -> F, stride 1x1
    bn_2: batch_norm"""
BOTTLENECK = """
    narrow.relu: relu
    narrow.conv: conv 1x1 -> R, stride 1x1
    narrow.bn: batch_norm
    {}
    widen.relu: relu
    widen.conv: conv 1x1 -> F, stride 1x1
    widen.bn: batch_norm"""
ONE_CONV = """
    relu_1: relu
    conv_1: conv {}
    {}
    bn_1: batch_norm"""
TWO_CONVS = """
    relu_1: relu
    conv_1: conv 1xK -> R, stride 1xS
    bn_1: batch_norm
    relu_2: relu
    conv_2: conv Kx1 -> R, stride Sx1
    bn_2: batch_norm"""
DILATED_SEPARABLE = """
    relu: relu
    depthwise: depthwise KxK, stride 1, dilation 2
    subsample: subsample
    pointwise: conv 1x1 -> F, stride 1x1
    bn: batch_norm"""
FACTORIZED_REDUCTION = """
    path_1: conv 1x1 -> 4, stride 2x2
    shift: shift
    path_2: conv 1x1 -> 4, stride 2x2
    join: concat 2
    bn: batch_norm"""
AVG, MAX = "pool: avg_pool KxK, stride S", "pool: max_pool KxK, stride S"
FIT_POOL = """
    conv: conv 1x1 -> F, stride 1x1
    bn: batch_norm"""
# Operation -> K, R, its steps with S for the stride. `steps` leaves out what is not done at every stride or width.
STEPS: dict[str, tuple[int, str, str]] = {
    CONV_1X3: (3, "3F/8", BOTTLENECK.format(TWO_CONVS)),
    CONV_1X7: (7, "F/4", BOTTLENECK.format(TWO_CONVS)),
    DILATED: (
        3,
        "F/4",
        BOTTLENECK.format(ONE_CONV.format("KxK -> R, stride 1x1, dilation 2", "subsample_1: subsample")),
    ),
    "3x3 average pooling": (3, "", AVG + FIT_POOL),
    "3x3 max pooling": (3, "", MAX + FIT_POOL),
    "5x5 max pooling": (5, "", MAX + FIT_POOL),
    "7x7 max pooling": (7, "", MAX + FIT_POOL),
    IDENTITY: (1, "", FIT),
    CONV_1X1: (1, "", FIT),
    CONV_3X3: (3, "F/4", BOTTLENECK.format(ONE_CONV.format("KxK -> R, stride SxS", ""))),
    "3x3 depthwise-separable conv": (3, "", SEPARABLE),
    "5x5 depthwise-separable conv": (5, "", SEPARABLE),
    "7x7 depthwise-separable conv": (7, "", SEPARABLE),
    "2x2 max pooling": (2, "", MAX + FIT_POOL),
    SKIP: (1, "", FIT),
    "3x3 dilated separable conv": (3, "", DILATED_SEPARABLE),
    "5x5 dilated separable conv": (5, "", DILATED_SEPARABLE),
    FACTORIZED: (1, "", FIT),
}


def steps(op, channels, stride):
    size, narrow, text = STEPS[op]
    if "pooling" in op and channels == F:
        text = text.removesuffix(FIT_POOL)
    if op in (IDENTITY, SKIP, FACTORIZED) and channels == F and stride == 1:
        text = ""
    if op in (SKIP, FACTORIZED) and stride == 2:
        text = "relu: relu" * (op == SKIP) + FACTORIZED_REDUCTION
    if stride == 1:
        text = text.replace("subsample_1: subsample", "").replace("subsample: subsample", "")
    lines = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, words = line.split(": ")
        words = words.replace("R", narrow).replace("K", str(size)).replace("S", str(stride))
        for place, number in PLACES.items():
            words = words.replace(f"-> {place},", f"-> {number},")
        lines.append(f"op.{name}: {words}")
    return lines


def fit(x, filters, stride, name):
    return batch_norm(conv(relu(x), filters, (1, 1), f"{name}.conv", (stride, stride)), f"{name}.bn")


def identity(x, s):
    return x if s == 1 and x.shape[2] == F else fit(x, F, s, "op")


def conv_1x1(x, s):
    return fit(x, F, s, "op")


def two_convs(size, narrow):
    def formula(x, s):
        x = batch_norm(conv(relu(x), narrow, (1, 1), "op.narrow.conv"), "op.narrow.bn")
        x = batch_norm(conv(relu(x), narrow, (1, size), "op.conv_1", (1, s)), "op.bn_1")
        x = batch_norm(conv(relu(x), narrow, (size, 1), "op.conv_2", (s, 1)), "op.bn_2")
        return batch_norm(conv(relu(x), F, (1, 1), "op.widen.conv"), "op.widen.bn")

    return formula


def conv_3x3(x, s):
    x = batch_norm(conv(relu(x), F // 4, (1, 1), "op.narrow.conv"), "op.narrow.bn")
    x = batch_norm(conv(relu(x), F // 4, (3, 3), "op.conv_1", (s, s)), "op.bn_1")
    return batch_norm(conv(relu(x), F, (1, 1), "op.widen.conv"), "op.widen.bn")


def dilated(x, s):
    x = batch_norm(conv(relu(x), F // 4, (1, 1), "op.narrow.conv"), "op.narrow.bn")
    x = batch_norm(conv(relu(x), F // 4, (3, 3), "op.conv_1", dilation=2)[::s, ::s], "op.bn_1")
    return batch_norm(conv(relu(x), F, (1, 1), "op.widen.conv"), "op.widen.bn")


def separable(size):
    def formula(x, s):
        x = batch_norm(conv(depthwise(relu(x), size, "op.depthwise_1", s), F, (1, 1), "op.pointwise_1"), "op.bn_1")
        return batch_norm(conv(depthwise(relu(x), size, "op.depthwise_2"), F, (1, 1), "op.pointwise_2"), "op.bn_2")

    return formula


def pool(kind, size):
    def formula(x, s):
        y = kind(x, size, s)
        return y if x.shape[2] == F else batch_norm(conv(y, F, (1, 1), "op.conv"), "op.bn")

    return formula


def skip(before):
    def formula(x, s):
        if s == 1:
            return identity(x, s)
        x = before(x)
        odd = np.zeros((3, 4, x.shape[2]))
        odd[:, :3] = x[1::2, 1::2]
        halves = [conv(x[::2, ::2], F // 2, (1, 1), "op.path_1"), conv(odd, F // 2, (1, 1), "op.path_2")]
        return batch_norm(np.concatenate(halves, 2), "op.bn")

    return formula


def dilated_separable(size):
    def formula(x, s):
        x = depthwise(relu(x), size, "op.depthwise", dilation=2)[::s, ::s]
        return batch_norm(conv(x, F, (1, 1), "op.pointwise"), "op.bn")

    return formula


FORMULAS = {
    IDENTITY: identity,
    CONV_1X3: two_convs(3, 3 * F // 8),
    CONV_1X7: two_convs(7, F // 4),
    DILATED: dilated,
    "3x3 average pooling": pool(avg_pool, 3),
    "3x3 max pooling": pool(max_pool, 3),
    "5x5 max pooling": pool(max_pool, 5),
    "7x7 max pooling": pool(max_pool, 7),
    CONV_1X1: conv_1x1,
    CONV_3X3: conv_3x3,
    "3x3 depthwise-separable conv": separable(3),
    "5x5 depthwise-separable conv": separable(5),
    "7x7 depthwise-separable conv": separable(7),
    "2x2 max pooling": pool(max_pool, 2),
    SKIP: skip(relu),
    "3x3 dilated separable conv": dilated_separable(3),
    "5x5 dilated separable conv": dilated_separable(5),
    FACTORIZED: skip(lambda x: x),
}


def test_the_thirteen_in_the_papers_order_and_others_that_are_not_in_the_space():
    assert tuple(OPERATIONS) == tuple(FORMULAS)
    assert tuple(OPERATIONS)[:13] == NASNET_OPERATIONS
    assert set(OPERATIONS) == set(STEPS)


@pytest.mark.parametrize("channels", [5, F])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("op", OPERATIONS)
def test_each_operation_is_its_steps_and_its_formula(op, stride, channels):
    x = draw("x", (6, 7, channels))
    reading = Numbers()
    y = OPERATIONS[op](reading, Feature(x, channels, 0), F, stride, "op")
    assert reading.log == steps(op, channels, stride)
    assert y.shape == (-(-6 // stride), -(-7 // stride), F)
    np.testing.assert_allclose(y, FORMULAS[op](x, stride), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("op", "filters", "narrow"),
    [(CONV_1X3, 2, 1), (CONV_1X3, 10, 3), (CONV_1X3, 11, 4), (CONV_3X3, 3, 1), (CONV_1X7, 7, 1), (DILATED, 12, 3)],
)
def test_the_bottleneck_is_rounded_down_to_no_less_than_one(op, filters, narrow):
    reading = Numbers()
    OPERATIONS[op](reading, Feature(draw("x", (3, 3, 2)), 2, 0), filters, 1, "op")
    assert f"op.narrow.conv: conv 1x1 -> {narrow}, stride 1x1" in reading.log


@pytest.mark.parametrize(("filters", "first", "second"), [(6, 3, 3), (5, 3, 2)])
def test_factorized_reduction_keeps_the_pixels_at_even_and_at_odd_places(filters, first, second):
    x = draw("x", (6, 7, 3))
    reading = Numbers()
    y = factorized_reduction(reading, x, filters, "f")
    odd = np.zeros((3, 4, 3))
    odd[:, :3] = x[1::2, 1::2]
    halves = [conv(x[::2, ::2], first, (1, 1), "f.path_1"), conv(odd, second, (1, 1), "f.path_2")]
    np.testing.assert_allclose(y, batch_norm(np.concatenate(halves, 2), "f.bn"), rtol=0, atol=1e-12)
    assert reading.log == [
        f"f.path_1: conv 1x1 -> {first}, stride 2x2",
        "f.shift: shift",
        f"f.path_2: conv 1x1 -> {second}, stride 2x2",
        "f.join: concat 2",
        "f.bn: batch_norm",
    ]


def test_a_fit_is_relu_then_convolution_then_batch_norm():
    x = draw("x", (6, 7, 3))
    y = relu_conv_bn(Numbers(), x, 4, 2, "f")
    kernel = draw("f.conv/kernel", (1, 1, 3, 4))[0, 0]
    np.testing.assert_allclose(y, batch_norm(np.maximum(x, 0)[::2, ::2] @ kernel, "f.bn"), rtol=0, atol=1e-12)


def test_the_numbers_themselves_by_hand():
    x = np.arange(12.0).reshape(3, 4, 1) - 5  # -5 to -2, -1 to 2, 3 to 6
    assert avg_pool(x, 3, 2)[..., 0].tolist() == [[-2, -0.5], [2, 3.5]]  # three columns and two: the odd pad is right
    assert max_pool(x, 3, 2)[..., 0].tolist() == [[1, 2], [5, 6]]
    left, middle, right = draw("c/kernel", (1, 3, 1, 1))[0, :, 0, 0]
    expected = [middle * -1 + right * 1, right * 2, left * -1 + middle * 1, middle * 2]  # of the row -1, 0, 1, 2
    np.testing.assert_allclose(conv(x, 1, (1, 3), "c", dilation=2)[1, :, 0], expected, rtol=0, atol=1e-12)
