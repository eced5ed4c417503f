"""What a report calls an option is what the space makes of its token."""

from __future__ import annotations

import numpy as np
import pytest

from cells.drawing.cell import label
from cells.genotype.cell import CellGenotype
from cells.genotype.chain import ChainGenotype
from cells.genotype.genotype import Genotype
from cells.spaces.chain import ChainSpace
from cells.spaces.darts import DARTSSpace
from cells.spaces.nasnet import NASNetSpace
from cells.spaces.settings import SettingsSpace
from cells.spaces.space import Decision, Space, Tokens
from nasnet.estimators.table import Choices, Known, Table
from nasnet.reports.page.options import Choice, choices_of


def said(space: Space, seed: int) -> tuple[dict[int, tuple[Choice, str]], tuple[int, ...]]:
    """By place among the decisions, the choice that it is of and the option that was drawn; and the tokens."""
    rng = np.random.default_rng(seed)
    tokens = tuple(int(rng.integers(decision.size)) for decision in space.decisions)
    choices = choices_of(space)
    places = [place for choice in choices for place in choice.places]
    assert len(set(places)) == len(places)
    for choice in choices:
        assert {space.decisions[place].size for place in choice.places} == {len(choice.options)}
    return {place: (choice, choice.options[tokens[place]]) for choice in choices for place in choice.places}, tokens


@pytest.mark.parametrize("space", [NASNetSpace(3), DARTSSpace(3)])
def test_of_cells_they_are_their_operations(space):
    found, tokens = said(space, 0)
    genotype = space.decode(tokens)
    assert isinstance(genotype, CellGenotype)
    operations = {
        f"{kind}.block_{block}.{side}": (f"{kind.title()} Cell", label(getattr(of, side)))
        for kind in ("normal", "reduction")
        for block, of in enumerate(getattr(genotype, kind).blocks)
        for side in ("left_op", "right_op")
    }
    assert {
        space.decisions[place].name: (choice.name, option) for place, (choice, option) in found.items()
    } == operations


@pytest.mark.parametrize(
    ("space", "names"),
    [
        (
            ChainSpace(layers=4, strides=True, scale=0.5),
            ("height", "width", "stride_height", "stride_width", "filters", "skip"),
        ),
        (ChainSpace(layers=4, skips=False), ("height", "width", "filters")),
        (ChainSpace(layers=1, skips=True), ("height", "width", "filters")),
    ],
)
def test_of_a_chain_they_are_its_layers(space, names):
    found, tokens = said(space, 1)
    genotype = space.decode(tokens)
    assert len(found) == len(tokens)
    called = {"filters": "number of filters", "skip": "skip connections"}
    wanted = {called.get(name, f"filter {name}".replace("_", " ")) for name in names}
    assert {choice.name for choice in choices_of(space)} == wanted
    for place, (choice, option) in found.items():
        layer, _, setting = space.decisions[place].name.removeprefix("layer_").partition(".")
        of = genotype.layers[int(layer)]
        if setting.startswith("skip_"):
            assert option == ("yes" if int(setting.removeprefix("skip_")) in of.inputs else "no")
            assert choice.name == "skip connections"
        else:
            assert option == str(getattr(of, setting))
            assert choice.name == called.get(setting, f"filter {setting}".replace("_", " "))


@pytest.mark.parametrize("network", ["lenet5", "alexnet", "vgg16"])
def test_of_a_known_network_they_are_its_settings(network):
    space = SettingsSpace(network, (32, 32, 3), width=0.5)
    found, tokens = said(space, 2)
    genotype = space.decode(tokens)
    assert isinstance(genotype, ChainGenotype)
    assert len(found) == len(tokens)
    for place, (choice, option) in found.items():
        layer, setting = space.decisions[place].name.removeprefix("layer_").split(".")
        of = genotype.layers[int(layer)]
        expected = {"size": f"{of.height}x{of.width}", "filters": str(of.filters)}
        if of.pool is not None:
            expected["pool"] = f"{of.pool.kind} {of.pool.size}x{of.pool.size}"
        assert (choice.name, option) == (f"layer {layer}, {setting}", expected[setting])


def test_of_a_table_they_are_its_own_words():
    rows = {(op, width): Known(0.5) for op in ("pool", "conv") for width in ("8", "16", "2")}
    space = Table.of(["op", "width"], rows)
    found, tokens = said(space, 3)
    assert space.decode(tokens) == Choices(tuple((choice.name, option) for choice, option in found.values()))
    assert choices_of(space)[1] == Choice("width", ("2", "8", "16"), (1,))


class Own:
    """A space of a program's own: its tokens stand for what it alone knows."""

    decisions = (Decision("depth", 3), Decision("rate", 2))

    def length(self, trial_id: int) -> int:
        raise NotImplementedError

    def decode(self, tokens: Tokens) -> Genotype:
        raise NotImplementedError

    def encode(self, genotype: Genotype) -> Tokens:
        raise NotImplementedError


def test_of_a_program_s_own_space_they_are_the_tokens():
    assert choices_of(Own()) == [Choice("depth", ("0", "1", "2"), (0,)), Choice("rate", ("0", "1"), (1,))]
