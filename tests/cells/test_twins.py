"""The canonical form of a cell: equal for all twins, and for no two that are none."""

from __future__ import annotations

import dataclasses
import itertools
import random
import re
from collections import Counter

import numpy as np
import pytest

from cells.count import count
from cells.genotype.cell import Block, Cell, CellGenotype, loose_ends
from cells.operations import COMBINERS, NASNET_OPERATIONS
from cells.walks.stack import CellNetwork
from cells.zoo.cells import ZOO
from tests.support import numbers
from tests.support.slow import some_now
from tests.support.twins import turned_sides, twin_of


def drawn_cell(rng: random.Random, most_blocks: int = 8) -> Cell:
    """Few operations make many blocks alike, which are the hard ones to tell apart."""
    known = rng.sample(NASNET_OPERATIONS, rng.choice([1, 2, 13]))
    blocks = tuple(
        Block(*(rng.randrange(b + 2) for _ in range(2)), *(rng.choice(known) for _ in range(2)), rng.choice(COMBINERS))
        for b in range(rng.randint(1, most_blocks))
    )
    published = tuple(rng.sample(range(len(blocks) + 2), rng.randint(1, len(blocks))))
    return Cell(blocks, rng.choice([loose_ends(blocks), published]))


def test_twins_have_one_canonical_form_which_is_a_twin_itself():
    rng = random.Random(0)
    for _ in range(400):
        cell = drawn_cell(rng)
        form = cell.canonical()
        assert twin_of(cell, rng)[0].canonical() == form == form.canonical()
        assert twin_of(form, rng)[0].canonical() == form
        assert len(form.blocks) == max(1, sum(state >= 2 for state in cell.live))
        before = dataclasses.replace(cell, fitted=False)  # another network where an output is a "concat"
        assert before.canonical() == dataclasses.replace(form, fitted=False) != form


def test_blocks_that_differ_only_by_who_reads_them_are_told_apart():
    """Four alike, read in a ring: which of the others a reader shares with the first is all that tells them apart."""
    alike = [Block(0, 1, "identity", "identity")] * 4
    pairs = [(2, 3), (3, 4), (4, 5), (5, 2)]
    forms = set()
    for renamed in itertools.permutations(range(2, 6)):
        for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
            readers = [Block(*(renamed[s - 2] for s in pairs[i]), "identity", "identity") for i in order]
            forms.add(Cell((*alike, *readers), (6, 7, 8, 9)).canonical())
    assert len(forms) == 1
    two_pairs = [Block(*pair, "identity", "identity") for pair in [(2, 3), (2, 3), (4, 5), (4, 5)]]
    assert Cell((*alike, *two_pairs), (6, 7, 8, 9)).canonical() not in forms


def isomorphic(a: Cell, b: Cell) -> bool:
    """By trying all numberings: whether the live blocks of both are the same."""
    live = [[s for s in sorted(cell.live) if s >= 2] for cell in (a, b)]
    if len(live[0]) != len(live[1]):
        return False

    def content(cell: Cell, states: list[int], number: dict[int, int]) -> tuple[Counter[object], frozenset[int]]:
        blocks = Counter[object](
            (
                number[s],
                cell.blocks[s - 2].combine,
                tuple(sorted((number[r], op) for r, op in cell.blocks[s - 2].sides)),
            )
            for s in states
        )
        return blocks, frozenset(number[s] for s in cell.outputs)

    fixed = {0: 0, 1: 1}
    wanted = content(b, live[1], fixed | {s: s for s in live[1]})
    numberings = (fixed | dict(zip(live[0], p, strict=True)) for p in itertools.permutations(live[1]))
    return any(content(a, live[0], numbering) == wanted for numbering in numberings)


def test_cells_with_one_canonical_form_are_twins_and_others_are_not():
    """All pairs of many small cells of few kinds, against a search through all numberings."""
    rng = random.Random(1)
    cells = []
    for _ in range(130):
        blocks = tuple(
            Block(
                *(rng.randrange(b + 2) for _ in range(2)),
                *rng.choices(NASNET_OPERATIONS[:2], k=2),
                rng.choice(COMBINERS),
            )
            for b in range(rng.choice([1, 2, 3]))
        )
        cells.append(Cell(blocks, loose_ends(blocks)))
    same = 0
    for a, b in itertools.combinations(cells, 2):
        assert (a.canonical() == b.canonical()) == isomorphic(a, b)
        same += isomorphic(a, b)
    assert same > 20


@dataclasses.dataclass(frozen=True)
class Channels:
    """Pixels `[height, width, channels]`, and of each channel what it is: the primitive that made it and its place."""

    values: np.ndarray
    names: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape


class ByChannel:
    """Numbers with weights that belong to channels and not to their places. Names are translated to a twin's."""

    def __init__(self, translate) -> None:
        self.numbers, self.translate = numbers.Numbers(), translate

    def ordered(self, x: Channels) -> tuple[np.ndarray, tuple[str, ...]]:
        order = sorted(range(len(x.names)), key=lambda i: x.names[i])
        return x.values[..., order], tuple(x.names[i] for i in order)

    def made(self, name: str, values: np.ndarray) -> Channels:
        return Channels(values, tuple(f"{self.translate(name)} {i:03d}" for i in range(values.shape[-1])))

    def conv(self, x, filters, kernel, *, name, **options):
        return self.made(
            name, self.numbers.conv(self.ordered(x)[0], filters, kernel, name=self.translate(name), **options)
        )

    def depthwise(self, x, kernel, *, name, stride=1):
        values, names = self.ordered(x)
        return Channels(self.numbers.depthwise(values, kernel, name=self.translate(name), stride=stride), names)

    def batch_norm(self, x, *, name):
        values, names = self.ordered(x)
        return Channels(self.numbers.batch_norm(values, name=self.translate(name)), names)

    def relu(self, x, *, name):
        return Channels(self.numbers.relu(x.values, name=name), x.names)

    def max_pool(self, x, size, *, name, stride=1):
        return Channels(self.numbers.max_pool(x.values, size, name=name, stride=stride), x.names)

    def avg_pool(self, x, size, *, name, stride=1, padding="same"):
        return Channels(self.numbers.avg_pool(x.values, size, name=name, stride=stride, padding=padding), x.names)

    def subsample(self, x, *, name):
        return Channels(self.numbers.subsample(x.values, name=name), x.names)

    def shift(self, x, *, name):
        return Channels(self.numbers.shift(x.values, name=name), x.names)

    def add(self, x, y, *, name):
        return self.made(name, self.numbers.add(x.values, y.values, name=name))

    def concat(self, xs, *, name):
        return Channels(np.concatenate([x.values for x in xs], 2), tuple(n for x in xs for n in x.names))

    def global_avg_pool(self, x, *, name):
        return Channels(x.values.mean((0, 1)), x.names)

    def drop_path(self, x, depth, *, name):
        return x

    def dropout(self, x, *, name):
        return x

    def dense(self, x, units, *, name):
        return self.numbers.dense(self.ordered(x)[0], units, name=name)


def drawn_genotype(rng: random.Random) -> CellGenotype:
    return CellGenotype(drawn_cell(rng, 4), drawn_cell(rng, 4))


@pytest.mark.parametrize("seed", some_now(range(24), slow=range(8, 24)))
def test_twins_are_one_network(seed):
    """As large, as costly, and with the same weights the same function; what the weights are called is all."""
    rng = random.Random(seed)
    genotype = drawn_genotype(rng)
    cells = {"normal": twin_of(genotype.normal, rng), "reduction": twin_of(genotype.reduction, rng)}
    networks = [
        CellNetwork(g, repeats=2, filters=4, classes=3)
        for g in (genotype, CellGenotype(cells["normal"][0], cells["reduction"][0]))
    ]
    sizes = [count(network, (9, 8, 1)) for network in networks]
    assert sizes[0].parameters == sizes[1].parameters
    assert sizes[0].mult_adds == sizes[1].mult_adds
    assert sizes[0].activation_bytes == sizes[1].activation_bytes

    def translate(name: str) -> str:
        found = re.fullmatch(r"(cell_\d+|reduction_\d+)\.(block|output)_(\d+)(\.(left|right))?(.*)", name)
        if not found:
            return name
        cell, kind, number, _, side, rest = found.groups()
        _, states, turned = cells["reduction" if cell.startswith("reduction") else "normal"]
        place = states[int(number) + 2] - 2 if kind == "block" else states[int(number)]
        if side and turned[int(number)]:
            side = {"left": "right", "right": "left"}[side]
        return f"{cell}.{kind}_{place}{f'.{side}' if side else ''}{rest}"

    image = np.random.default_rng(seed).normal(size=(9, 8, 1))
    logits = [
        network.walk(ByChannel(translation), Channels(image, ("0",))).logits
        for network, translation in zip(networks, (str, translate), strict=True)
    ]
    np.testing.assert_allclose(logits[0], logits[1], rtol=1e-9)


def test_the_published_cells_are_no_twins_of_each_other_and_have_twins():
    forms = {name: genotype.canonical() for name, genotype in ZOO.items()}
    assert len(set(forms.values())) == len(ZOO)
    for name, genotype in ZOO.items():
        assert turned_sides(genotype) != genotype
        assert turned_sides(genotype).canonical() == forms[name]
