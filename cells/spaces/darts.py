"""The space of DARTS (2019): three decisions a block."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import ClassVar

from cells.genotype.cell import Block, Cell, Publication
from cells.spaces.cells import CellSpace
from cells.spaces.space import Tokens

DARTS_OPERATIONS = (
    "3x3 max pooling",
    "3x3 average pooling",
    "skip connection",
    "3x3 depthwise-separable conv",
    "5x5 depthwise-separable conv",
    "3x3 dilated separable conv",
    "5x5 dilated separable conv",
)
"""Token -> operation, in the order of quark0/darts, `cnn/genotypes.py`; its "none" never ends up in a cell."""


@functools.cache
def _pairs(block: int) -> tuple[tuple[int, int], ...]:
    """What a block can read: two different states."""
    return tuple(itertools.combinations(range(block + 2), 2))


@dataclasses.dataclass(frozen=True)
class DARTSSpace(CellSpace):
    """The cells that DARTS (arXiv 1806.09055, section 2) chooses among, for any strategy to search.

    A block adds up what two operations make of two different states, and all blocks are concatenated: the states, the
    operation on the lower-numbered one, the operation on the other. What the first block reads is a decision with one
    option. The blocks of the Normal Cell come first: 24 decisions of four blocks, 10^18 pairs of cells. State 0 is the
    newest input, state 1 the one before.

    `operations` are those to choose from, by their names in `cells.operations.OPERATIONS`: DARTS' seven.
    """

    rules: ClassVar[Publication] = "darts"
    title: ClassVar[str] = "DARTS'"

    blocks: int = 4
    operations: tuple[str, ...] = DARTS_OPERATIONS

    def of_block(self, block: int) -> tuple[tuple[str, int], ...]:
        """See `CellSpace.of_block`."""
        operations = len(self.operations)
        return ("states", len(_pairs(block))), ("left_op", operations), ("right_op", operations)

    def cell(self, tokens: Tokens) -> Cell:
        """See `CellSpace.cell`."""
        blocks = (
            Block(left, right, self.operations[left_op], self.operations[right_op])
            for (left, right), left_op, right_op in self._read(tokens)
        )
        return Cell(tuple(blocks), self._outputs)

    def tokens(self, name: str, cell: Cell) -> Tokens:
        """See `CellSpace.tokens`. Which side of a block is left makes no difference."""
        if tuple(sorted(cell.outputs)) != self._outputs:
            raise ValueError(
                f"the space holds cells whose outputs are all of their blocks {self._outputs}, "
                f"the {name} cell has outputs {cell.outputs}"
            )
        tokens: list[int] = []
        for index, block in enumerate(cell.blocks):
            if block.combine != "add":
                raise ValueError(f"the space's blocks add, block {index} of the {name} cell has {block.combine!r}")
            if block.left == block.right:
                raise ValueError(
                    f"the space's blocks read two different states, block {index} of the {name} cell "
                    f"reads state {block.left} twice"
                )
            (left, left_op), (right, right_op) = sorted(block.sides)
            chosen = self.operations.index(left_op), self.operations.index(right_op)
            tokens += [_pairs(index).index((left, right)), *chosen]
        return tuple(tokens)

    def cell_features(self, tokens: Tokens) -> tuple[float, ...]:
        """How often each operation is used, and states 0 and 1 and another block are read."""
        sides = (side for states, *chosen in self._read(tokens) for side in zip(states, chosen, strict=True))
        return tuple(self.used(sides))

    def _read(self, tokens: Tokens) -> list[tuple[tuple[int, int], int, int]]:
        """Block by block the states that it reads, and which operation is on each."""
        blocks = (tokens[start : start + 3] for start in range(0, len(tokens), 3))
        return [(_pairs(index)[pair], left_op, right_op) for index, (pair, left_op, right_op) in enumerate(blocks)]

    @property
    def _outputs(self) -> tuple[int, ...]:
        return tuple(range(2, self.blocks + 2))
