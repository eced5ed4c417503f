"""What a network goes on with on other pictures."""

from __future__ import annotations

import dataclasses

import pytest

from bench.drawn import drawn_pictures
from cells.walks.stack import CellNetwork
from cells.zoo.cells import NASNET_A
from nasnet.data.dataset import channel_statistics
from nasnet.networks.spec import NetworkSpec, transferred

GREY = NetworkSpec(CellNetwork(NASNET_A, 1, 4, 2), ("a", "b"), (8, 8, 1), (100.0,), (50.0,), bn_momentum=0.5)


@pytest.mark.parametrize(
    ("mean", "std", "channels", "kept"),
    [
        ((1.0, 2.0), (3.0, 4.0), 2, ((1.0, 2.0), (3.0, 4.0))),
        ((1.0,), (3.0,), 3, ((1.0,) * 3, (3.0,) * 3)),
        ((1.0, 1.0, 1.0), (3.0, 3.0, 3.0), 1, ((1.0,), (3.0,))),
        ((1.0, 2.0, 1.0), (3.0, 3.0, 3.0), 1, None),
        ((1.0, 1.0, 1.0), (3.0, 3.0, 4.0), 1, None),
    ],
)
def test_it_whitens_as_before_wherever_that_is_possible(mean, std, channels, kept):
    data = drawn_pictures(8, channels, train=12)
    source = dataclasses.replace(GREY, image_shape=(8, 8, len(mean)), mean=mean, std=std)
    found = transferred(source, data, 0.75)
    assert (found.mean, found.std) == (kept or channel_statistics(data.train))
    assert found.architecture == CellNetwork(NASNET_A, 1, 4, 10)
    assert (found.classes, found.image_shape, found.bn_momentum) == (data.classes, data.image_shape, 0.75)
