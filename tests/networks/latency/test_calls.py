"""What a network asks for, call by call: by hand for a small one, and against the counts of many."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cells.architecture import Outputs
from cells.count import count
from cells.spaces.chain import ChainSpace
from cells.spaces.nasnet import NASNetSpace
from cells.walks.chain import ChainNetwork
from cells.walks.stack import CellNetwork
from cells.zoo.lenet import LeNet5
from controller.random_search import RandomSearch
from nasnet.networks.latency.calls import Call, calls_of


@dataclasses.dataclass(frozen=True)
class Small:
    """A network of one of most things, some of which are there in training alone."""

    classes: int = 3

    def walk(self, p, image, *, auxiliary=False):
        assert not auxiliary
        x = p.conv(image, 4, (3, 3), name="a", stride=(2, 2), dilation=1, padding="same")
        x = p.batch_norm(x, name="a.bn")
        y = p.relu(x, name="b")
        y = p.depthwise(y, 5, name="c", dilation=2)
        y = p.drop_path(y, 0.5, name="d")
        x = p.add(x, y, name="e")
        x = p.batch_norm(x, name="e.bn")
        x = p.concat([x, y, y], name="f")
        assert p.shape(x) == (4, 3, 12)
        x = p.dropout(p.global_avg_pool(x, name="g"), name="h")
        return Outputs(p.dense(x, self.classes, name="i"), (), {})


def test_the_calls_of_a_small_network():
    pixels = (4, 3, 4)
    assert calls_of(Small(), (8, 6, 1)) == (
        Call("conv", ((8, 6, 1),), pixels, (4, (3, 3)), (("stride", (2, 2)),), batch_norm=True),
        Call("relu", (pixels,), pixels),
        Call("depthwise", (pixels,), pixels, (5,), (("dilation", 2),)),
        Call("add", (pixels, pixels), pixels),
        Call("batch_norm", (pixels,), pixels),  # behind a sum: nothing to fold it into
        Call("concat", (pixels, pixels, pixels), (4, 3, 12)),
        Call("global_avg_pool", ((4, 3, 12),), (12,)),
        Call("dense", ((12,),), (3,), (3,)),
    )


def test_kinds_leave_sizes_out_and_work_has_them():
    calls = calls_of(Small(), (8, 6, 1))
    assert [call.kind for call in calls] == [
        "conv 3x3 stride=(2, 2) batch_norm",
        "relu",
        "depthwise 5 dilation=2",
        "add",
        "batch_norm",
        "concat",
        "global_avg_pool",
        "dense",
    ]
    assert calls[0].mult_adds == 4 * 3 * 4 * 9
    assert calls[0].work == 4 * 3 * 4 * 9 + 8 * 6 + 4 * 3 * 4
    assert calls[5].work == 2 * 4 * 3 * 12


@pytest.mark.parametrize("seed", range(3))
def test_the_calls_have_all_the_mult_adds_of_a_network(seed):
    """`cells.count` adds them up by another way: weights by places."""
    cells, chain = NASNetSpace(5), ChainSpace(6, strides=True)
    drawn = [RandomSearch(space.decisions, seed, space.length).propose(seed).tokens for space in (cells, chain)]
    networks = [CellNetwork(cells.decode(drawn[0]), 1, 6, 10), ChainNetwork(chain.decode(drawn[1]), 10)]
    for network, shape in (*((one, (17, 13, 3)) for one in networks), (LeNet5(10), (32, 32, 1))):
        calls = calls_of(network, shape)
        assert sum(call.mult_adds for call in calls) == count(network, shape).mult_adds
        assert calls[-1].output == (10,)


def test_a_picture_that_is_too_small_is_told():
    with pytest.raises(ValueError, match="needs pictures of 16x16"):
        calls_of(LeNet5(10), (3, 3, 1))


def test_equal_networks_have_equal_calls_and_calls_are_keys():
    calls = [calls_of(Small(), (8, 6, 1)) for _ in range(2)]
    assert len(set(calls[0]) | set(calls[1])) == len(calls[0])
    assert np.all([call.work > 0 for call in calls[0]])
