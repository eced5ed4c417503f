"""What the help of a training's settings claims, held to what is built."""

from __future__ import annotations

import dataclasses

import pytest

from cells.count import count
from cells.walks.stack import CellNetwork
from cells.zoo.cells import NASNET_A
from nasnet.training.config import TrainingConfig


@pytest.mark.parametrize(("stem", "least", "words"), [("cifar", 9, "9 pixels a side"), ("imagenet", 67, "imagenet 67")])
def test_the_auxiliary_head_needs_no_more_pixels_than_its_help_says(stem, least, words):
    [help_text] = [f.metadata["help"] for f in dataclasses.fields(TrainingConfig) if f.name == "auxiliary_weight"]
    assert words in help_text
    network = CellNetwork(NASNET_A, 1, 8, 10, stem=stem)
    for shape in ((least, least, 3), (least, 2 * least, 3)):
        count(network, shape, auxiliary=True)
    for shape in ((least - 1, 2 * least, 3), (2 * least, least - 1, 3)):
        with pytest.raises(ValueError, match=r"window of 5x5 does not fit"):
            count(network, shape, auxiliary=True)
