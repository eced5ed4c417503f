"""Known networks in the layer-wise space: how near to LeNet-5, AlexNet and a ResNet it comes, and where it does not.

What the space (Zoph & Le 2017, section 4.1) cannot say of any of them: filters other than 1, 3, 5, 7 pixels, strides
above 3, numbers of filters outside of four, VALID windows, a bias in place of batch norm, average pooling, hidden
dense layers. A `ChainGenotype` can say all of these: that is how `cells/spaces/settings.py` holds LeNet-5, AlexNet and
VGG-16 exactly. Neither can say what a ResNet is made of: inputs are concatenated and never added, and nothing brings
them to another size or to other channels. A skip over a stride is padded back to the size before it.
"""

from __future__ import annotations

import dataclasses

import pytest

from cells.count import count
from cells.genotype.chain import ChainGenotype, ConvLayer, Pool
from cells.spaces.chain import POOL, ChainSpace
from cells.spaces.settings import SettingsSpace
from cells.walks.chain import ChainNetwork

EXACT = {
    name: space.decode(space.published)
    for name, shape in (("lenet5", (32, 32, 1)), ("alexnet", (224, 224, 3)), ("vgg16", (224, 224, 3)))
    for space in [SettingsSpace(name, shape)]
}


def test_lenet_but_for_its_dense_layers():
    """At a quarter of the filters, 6, 9, 12, 16, its two convolutions and the places of its poolings are there."""
    space = ChainSpace(2, skips=False, scale=0.25, pool_at=(1, 2))
    lenet = ChainGenotype((ConvLayer(5, 5, filters=6, pool=POOL), ConvLayer(5, 5, filters=16, pool=POOL, inputs=(0,))))
    assert space.decode(space.encode(lenet)) == lenet
    counts = count(ChainNetwork(lenet, 10), (32, 32, 1))
    # Where LeNet has a bias, batch norm has two numbers; the head sees 16 averages in place of 84 hidden units.
    assert counts.parameters == (25 * 6 + 2 * 6) + (25 * 6 * 16 + 2 * 16) + 17 * 10
    assert counts.endpoints == {"layer_0": (16, 16, 6), "layer_1": (8, 8, 16)}
    with pytest.raises(ValueError, match="no dense layers"):
        space.encode(EXACT["lenet5"])
    # Step by step what is in the way: VALID, then the average, and then nothing.
    convolutions = ChainGenotype(EXACT["lenet5"].layers)
    with pytest.raises(ValueError, match="padding is same, layer 0 has 0"):
        space.encode(convolutions)
    same = ChainGenotype(tuple(dataclasses.replace(layer, padding="same") for layer in convolutions.layers))
    with pytest.raises(ValueError, match=r"the chain has Pool\(kind='average'"):
        space.encode(same)
    assert ChainGenotype(tuple(dataclasses.replace(layer, pool=POOL) for layer in same.layers)) == lenet


def test_a_net_like_alexnet():
    """Five convolutions, the first large and strided, then 5x5, then 3x3. 11x11, stride 4, 384 filters are not."""
    space = ChainSpace(5, strides=True, skips=False, pool_at=(1, 2, 5))
    layers = [(7, 3, 24), (5, 1, 48), (3, 1, 64), (3, 1, 64), (3, 1, 64)]
    alike = ChainGenotype(
        tuple(
            ConvLayer(
                size, size, stride, stride, filters, POOL if index in (0, 1, 4) else None, tuple(range(index))[-1:]
            )
            for index, (size, stride, filters) in enumerate(layers)
        )
    )
    assert space.decode(space.encode(alike)) == alike
    endpoints = count(ChainNetwork(alike, 1000), (224, 224, 3)).endpoints
    assert [shape[0] for shape in endpoints.values()] == [38, 19, 19, 19, 10]
    exact = tuple(dataclasses.replace(layer, padding="same") for layer in EXACT["alexnet"].layers)
    for layer, words in ((exact[0], r"pool|height 11"), (exact[2], "filters 384")):
        alone = dataclasses.replace(layer, pool=None, inputs=())
        with pytest.raises(ValueError, match=words):
            ChainSpace(1, strides=True).encode(ChainGenotype((alone,)))
    with pytest.raises(ValueError, match="stride_height 4"):
        ChainSpace(1, strides=True).encode(ChainGenotype((ConvLayer(7, 7, 4, 4, 24),)))


def test_a_net_like_a_resnet():
    """Two convolutions and a skip around them, three times, each begun by a stride: joined by depth, not by sum."""
    layers = [ConvLayer(3, 3, filters=24)]
    for stage in range(3):
        before = len(layers) - 1
        stride = 1 if stage == 0 else 2
        layers.append(ConvLayer(3, 3, stride, stride, 24, inputs=(before,)))
        layers.append(ConvLayer(3, 3, filters=24, inputs=(before + 1,)))
        # The sum of a ResNet is a 1x1 convolution over both here: it can be a sum, if its weights are so.
        layers.append(ConvLayer(1, 1, filters=24, inputs=(before + 1, before + 2)))
    space = ChainSpace(10, strides=True)
    alike = ChainGenotype(tuple(layers))
    assert space.decode(space.encode(alike)) == alike
    endpoints = count(ChainNetwork(alike, 10), (32, 32, 3)).endpoints
    assert [shape[0] for shape in endpoints.values()] == [32, 32, 32, 32, 16, 16, 16, 8, 8, 8]
    # A ResNet's skip goes around the stride as well. Here what it skips from is the larger one, and the stride is lost.
    around = dataclasses.replace(layers[6], inputs=(3, 5))
    lost = ChainGenotype((*layers[:6], around, *layers[7:]))
    assert count(ChainNetwork(lost, 10), (32, 32, 3)).endpoints["layer_6"] == (32, 32, 24)


def test_pools_of_the_space_are_published_ones():
    assert Pool("max", 2, 2, "same") == POOL
    assert {layer.pool for layer in EXACT["vgg16"].layers} == {None, POOL}
