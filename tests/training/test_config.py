"""What the help of a training's settings claims, held to what is built."""

from __future__ import annotations

import dataclasses

import pytest

from cells.count import count
from cells.walks.stack import CellNetwork
from cells.zoo.cells import NASNET_A
from cells.zoo.googlenet import GoogLeNet
from nasnet.estimators.config import check_child
from nasnet.runtime.errors import SettingError
from nasnet.training.config import TrainingConfig


@pytest.mark.parametrize(
    ("stem", "least", "words"),
    [("cifar", 9, "9 pixels a side"), ("imagenet", 67, "imagenet 67"), ("googlenet", 65, "googlenet 65")],
)
def test_the_auxiliary_head_needs_no_more_pixels_than_its_help_says(stem, least, words):
    [help_text] = [f.metadata["help"] for f in dataclasses.fields(TrainingConfig) if f.name == "auxiliary_weight"]
    assert words in help_text
    network = GoogLeNet(10) if stem == "googlenet" else CellNetwork(NASNET_A, 1, 8, 10, stem=stem)
    for shape in ((least, least, 3), (least, 2 * least, 3)):
        count(network, shape, auxiliary=True)
    for shape in ((least - 1, 2 * least, 3), (2 * least, least - 1, 3)):
        with pytest.raises(ValueError, match=r"window of 5x5 does not fit|heads need pictures of 65x65"):
            count(network, shape, auxiliary=True)


@pytest.mark.parametrize(
    "text", ["0.5,0.5", "0.7,0.2", "0,0.5", "0.5,1", "half", "0.5:0", "0.5:-1", "0.5:inf", "0.5,", "nan"]
)
def test_falls_of_the_rate_that_cannot_be_are_refused(text):
    with pytest.raises(SettingError, match=r"rate_drops=.*: must be ascending shares of all steps"):
        TrainingConfig(rate_drops=text)


def test_inceptions_crops_take_the_place_of_padding_and_are_not_for_children():
    for pad in (None, 0):
        assert TrainingConfig(augment="inception", pad=pad).pad == pad
    with pytest.raises(SettingError, match="pad=4: has no meaning with augment=inception"):
        TrainingConfig(augment="inception", pad=4)
    with pytest.raises(SettingError, match="augment=inception: a child of child=functions has augment pad"):
        check_child(TrainingConfig(augment="inception"))
