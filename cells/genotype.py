"""An architecture as a value: frozen, hashable, JSON in and out."""

from __future__ import annotations

import dataclasses
from typing import Any

from cells.operations import COMBINERS, OPERATIONS

VERSION = 1
KIND = "cells"
"""What the JSON of cells says that it is. Files that have no kind are older, and cells."""


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


def loose_ends(blocks: tuple[Block, ...]) -> tuple[int, ...]:
    """The states made by these blocks that no block reads: a searched cell's outputs (NASNet, section 3)."""
    read = {state for block in blocks for state in (block.left, block.right)}
    return tuple(state for state in range(2, len(blocks) + 2) if state not in read)


@dataclasses.dataclass(frozen=True)
class Cell:
    """Blocks, and the states that are concatenated into the cell's output.

    State 0 is the newest input (the previous cell's output), state 1 the one before; block b makes state b + 2.
    `outputs` is stored, because published cells also concatenate states that a block reads.
    """

    blocks: tuple[Block, ...]
    outputs: tuple[int, ...]

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


@dataclasses.dataclass(frozen=True)
class CellGenotype:
    """A Normal Cell (keeps the size) and a Reduction Cell (halves it)."""

    normal: Cell
    reduction: Cell

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` reads them back."""
        return {
            "version": VERSION,
            "kind": KIND,
            "normal": _cell_to_json(self.normal),
            "reduction": _cell_to_json(self.reduction),
        }

    @classmethod
    def from_json(cls, value: Any) -> CellGenotype:  # noqa: ANN401 - whatever a JSON file held
        """Reads what `to_json` wrote. Other keys beside it are left alone. Raises ValueError for anything else."""
        if (kind := kind_of(value)) != KIND:
            raise ValueError(f'a genotype of "kind": {kind!r}; expected {KIND!r}')
        return cls(_cell_from_json("normal", value), _cell_from_json("reduction", value))


def kind_of(value: Any) -> str:  # noqa: ANN401 - whatever a JSON file held
    """Which kind of architecture a JSON value describes. Raises ValueError unless it is of this version."""
    if not isinstance(value, dict) or value.get("version") != VERSION:
        found = value.get("version") if isinstance(value, dict) else type(value).__name__
        raise ValueError(f'not a genotype of "version": {VERSION}, got {found!r}')
    kind = value.get("kind", KIND)
    if not isinstance(kind, str):
        raise ValueError(f'"kind" is {kind!r}; expected a name, such as {KIND!r}')
    return kind


def _cell_to_json(cell: Cell) -> dict[str, Any]:
    return {"blocks": [dataclasses.asdict(block) for block in cell.blocks], "outputs": list(cell.outputs)}


def _cell_from_json(name: str, value: dict[str, Any]) -> Cell:
    try:
        blocks = tuple(Block(**block) for block in value[name]["blocks"])
        outputs = tuple(value[name]["outputs"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"the genotype's {name} cell is malformed: {error}") from error
    states = [*outputs, *(state for block in blocks for state in (block.left, block.right))]
    for state in states:
        if not isinstance(state, int) or isinstance(state, bool):
            raise ValueError(f"the genotype's {name} cell names a state that is no whole number: {state!r}")
    return Cell(blocks, outputs)
