"""A pair of cells as a value: frozen, hashable, JSON in and out."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args

from cells.genotype.genotype import KIND, VERSION, kind_of
from cells.operations import COMBINERS, OPERATIONS

Publication = Literal["nasnet", "pnasnet", "enas", "darts"]
"""By whose rules cells are put together (`walks/rules.py`)."""


@dataclasses.dataclass(frozen=True)
class Block:
    """Two states, an operation on each, and the way to combine the results into a new state."""

    left: int
    right: int
    left_op: str
    right_op: str
    combine: str = "add"

    def __post_init__(self) -> None:
        for op in (self.left_op, self.right_op):
            if op not in OPERATIONS:
                raise ValueError(f"unknown operation {op!r}; known: {', '.join(OPERATIONS)}")
        if self.combine not in COMBINERS:
            raise ValueError(f"unknown combiner {self.combine!r}; known: {', '.join(COMBINERS)}")

    @property
    def sides(self) -> tuple[tuple[int, str], tuple[int, str]]:
        """What it reads, and by which operation: left, right."""
        return (self.left, self.left_op), (self.right, self.right_op)


def loose_ends(blocks: tuple[Block, ...]) -> tuple[int, ...]:
    """The states made by these blocks that no block reads: a searched cell's outputs (NASNet, section 3)."""
    read = {state for block in blocks for state in (block.left, block.right)}
    return tuple(state for state in range(2, len(blocks) + 2) if state not in read)


@dataclasses.dataclass(frozen=True)
class Cell:
    """Blocks, and the states that are concatenated into the cell's output.

    State 0 is the newest input (the previous cell's output), state 1 the one before; block b makes state b + 2.
    `outputs` is stored, because published cells also concatenate states that a block reads.

    Attributes:
        fitted: whether an output that a "concat" made is fitted to the cell's channels, as slim fits any output of
            other channels. Not so in networks of before, whose files do not say it.
    """

    blocks: tuple[Block, ...]
    outputs: tuple[int, ...]
    fitted: bool = True

    def __post_init__(self) -> None:
        if not self.blocks:
            raise ValueError("a cell needs at least one block")
        for index, block in enumerate(self.blocks):
            for state in (block.left, block.right):
                if not 0 <= state < index + 2:
                    raise ValueError(f"block {index} can read states 0 to {index + 1}, got {state}")
        if not self.outputs or len(set(self.outputs)) != len(self.outputs):
            raise ValueError(f"a cell's outputs are one or more different states, got {self.outputs}")
        for state in self.outputs:
            if not 0 <= state < len(self.blocks) + 2:
                raise ValueError(f"the cell has states 0 to {len(self.blocks) + 1}, got output {state}")

    @property
    def live(self) -> frozenset[int]:
        """The states that reach an output; only these are built."""
        live = set(self.outputs)
        for index in reversed(range(len(self.blocks))):
            if index + 2 in live:
                live |= {self.blocks[index].left, self.blocks[index].right}
        return frozenset(live)

    def canonical(self) -> Cell:
        """The one of its twins that stands for all of them: two cells are twins if this is the same of both.

        Twins are the same network but for the names and the order of its weights: other numbers for the same blocks,
        the two sides of a block exchanged, blocks that reach no output, another order of the outputs. The sides of a
        "concat" and the outputs may be exchanged too: that moves channels, and whatever reads them has weights of its
        own for each.
        """
        order = _canonical_order(self)
        number = {0: 0, 1: 1} | {state: place + 2 for place, state in enumerate(order)}
        blocks: list[Block] = []
        for block in (self.blocks[state - 2] for state in order):
            (left, left_op), (right, right_op) = sorted((number[state], op) for state, op in block.sides)
            blocks.append(Block(left, right, left_op, right_op, block.combine))
        # Where the outputs are inputs, none is live, and a cell has one.
        dead = (Block(0, 0, "identity", "identity"),)
        return Cell(tuple(blocks) or dead, tuple(sorted(number[state] for state in self.outputs)), self.fitted)


def _canonical_order(cell: Cell) -> list[int]:
    """The live states that blocks make, each after those that it reads, in an order that is the same for all twins.

    The lowest rank that is ready comes next, and the rest is ranked anew. Of equal ranks any may be taken: such states
    can change places.
    """
    made = [state for state in sorted(cell.live) if state >= 2]
    order: list[int] = []
    while len(order) < len(made):
        rank = _ranks(cell, made, order)
        done = {0, 1, *order}
        ready = [s for s in made if s not in done and {state for state, _ in cell.blocks[s - 2].sides} <= done]
        order.append(min(ready, key=lambda state: rank[state]))
    return order


def _ranks(cell: Cell, made: list[int], order: list[int]) -> dict[int, int]:
    """A rank for each state, the same for all twins; the places of those in `order` are given.

    It is refined by what a state is made of and who reads it until nothing more can be told apart (Weisfeiler, Leman).
    """
    readers: dict[int, list[tuple[int, str]]] = {state: [] for state in (0, 1, *made)}
    for state in made:
        for read, op in cell.blocks[state - 2].sides:
            readers[read].append((state, op))
    rank = {0: 0, 1: 1} | dict.fromkeys(made, len(made) + 2) | {state: place + 2 for place, state in enumerate(order)}
    for _ in made:
        seen = {
            state: (
                rank[state],
                cell.blocks[state - 2].combine,
                sorted((rank[read], op) for read, op in cell.blocks[state - 2].sides),
                sorted((rank[reader], op) for reader, op in readers[state]),
                state in cell.outputs,
            )
            for state in made
        }
        distinct, before = sorted(seen.values()), len(set(rank.values()))
        rank = {0: 0, 1: 1} | {state: 2 + distinct.index(value) for state, value in seen.items()}
        if len(set(rank.values())) == before:
            break
    return rank


@dataclasses.dataclass(frozen=True)
class CellGenotype:
    """A Normal Cell (keeps the size) and a Reduction Cell (halves it).

    Attributes:
        rules: by whose rules they are put together: how their inputs are fitted, where reductions stand, the stem.
    """

    normal: Cell
    reduction: Cell
    rules: Publication = "nasnet"

    def __post_init__(self) -> None:
        if self.rules not in get_args(Publication):
            raise ValueError(f"unknown rules {self.rules!r}; known: {', '.join(get_args(Publication))}")

    @property
    def kind(self) -> str:
        """See `Genotype.kind`."""
        return KIND

    def canonical(self) -> CellGenotype:
        """The one that stands for all of its twins: see `Cell.canonical`."""
        return CellGenotype(self.normal.canonical(), self.reduction.canonical(), self.rules)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` reads them back."""
        # NASNet's rules go without saying: files that say none are older, and runs that go on compare hashes of them.
        rules = {} if self.rules == "nasnet" else {"rules": self.rules}
        cells = {"normal": _cell_to_json(self.normal), "reduction": _cell_to_json(self.reduction)}
        return {"version": VERSION, "kind": KIND, **rules, **cells}

    @classmethod
    def from_json(cls, value: Any) -> CellGenotype:  # noqa: ANN401 - whatever a JSON file held
        """Reads what `to_json` wrote. Other keys beside it are left alone. Raises ValueError for anything else."""
        if (kind := kind_of(value)) != KIND:
            raise ValueError(f'a genotype of "kind": {kind!r}; expected {KIND!r}')
        cells = _cell_from_json("normal", value), _cell_from_json("reduction", value)
        return cls(*cells, value.get("rules", "nasnet"))


def _cell_to_json(cell: Cell) -> dict[str, Any]:
    blocks = [dataclasses.asdict(block) for block in cell.blocks]
    return {"blocks": blocks, "outputs": list(cell.outputs), "fitted": cell.fitted}


def _cell_from_json(name: str, value: dict[str, Any]) -> Cell:
    try:
        blocks = tuple(Block(**block) for block in value[name]["blocks"])
        outputs = tuple(value[name]["outputs"])
        concatenated = any(state >= 2 and blocks[state - 2].combine == "concat" for state in outputs)
        fitted = value[name].get("fitted", not concatenated)
        unknown = sorted(set(value[name]) - {"blocks", "outputs", "fitted"})
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"the genotype's {name} cell is malformed: {error}") from error
    if unknown:  # to pass over it could make another network, as "fitted" would
        raise ValueError(f"the genotype's {name} cell says {unknown[0]!r}; expected blocks, outputs, fitted")
    if not isinstance(fitted, bool):
        raise ValueError(f"the genotype's {name} cell has fitted {fitted!r}; expected true or false")
    states = [*outputs, *(state for block in blocks for state in (block.left, block.right))]
    for state in states:
        if not isinstance(state, int) or isinstance(state, bool):
            raise ValueError(f"the genotype's {name} cell names a state that is no whole number: {state!r}")
    return Cell(blocks, outputs, fitted)
