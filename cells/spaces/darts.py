"""The space of DARTS (2019): three decisions a block."""

from __future__ import annotations

import dataclasses
import functools
import itertools

from cells.architecture import BadField
from cells.genotype.cell import Block, Cell, CellGenotype
from cells.genotype.genotype import Genotype
from cells.spaces.space import Decision, Tokens, check_operations, check_tokens

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


@functools.cache
def _darts_decisions(blocks: int, operations: int) -> tuple[Decision, ...]:
    return tuple(
        Decision(f"{cell}.block_{block}.{name}", size)
        for cell in ("normal", "reduction")
        for block in range(blocks)
        for name, size in (
            ("states", len(_pairs(block))),
            ("left_op", operations),
            ("right_op", operations),
        )
    )


@dataclasses.dataclass(frozen=True)
class DARTSSpace:
    """The cells that DARTS (arXiv 1806.09055, section 2) chooses among, for any strategy to search.

    A block adds up what two operations make of two different states, and all blocks are concatenated: the states, the
    operation on the lower-numbered one, the operation on the other. The blocks of the Normal Cell come first: 24
    decisions of four blocks, 10^18 pairs of cells. State 0 is the newest input, state 1 the one before. Networks are
    put together by DARTS' rules (`cells.walks.rules`).

    `operations` are those to choose from, by their names in `cells.operations.OPERATIONS`: DARTS' seven.
    """

    blocks: int = 4
    operations: tuple[str, ...] = DARTS_OPERATIONS

    def __post_init__(self) -> None:
        if self.blocks < 1:
            raise BadField("blocks", self.blocks, "must be 1 or more")
        check_operations(self.operations)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """`2 * 3 * blocks` decisions. What the first block reads is one with a single option."""
        return _darts_decisions(self.blocks, len(self.operations))

    def length(self, trial_id: int) -> int:  # noqa: ARG002 - it does not grow
        """See `Space.length`."""
        return len(self.decisions)

    def decode(self, tokens: Tokens) -> CellGenotype:
        """See `Space.decode`. The cells' outputs are all of their blocks."""
        check_tokens(self.decisions, tokens)
        half = 3 * self.blocks
        return CellGenotype(self._cell(tokens[:half]), self._cell(tokens[half:]), "darts")

    def encode(self, genotype: Genotype) -> Tokens:
        """See `Space.encode`. Which side of a block is left makes no difference."""
        if not isinstance(genotype, CellGenotype):
            raise ValueError(f"the space holds cells, got a genotype of kind {genotype.kind!r}")
        if genotype.rules != "darts":
            raise ValueError(f"the space's cells are put together by DARTS' rules, these by those of {genotype.rules}")
        return self._tokens("normal", genotype.normal) + self._tokens("reduction", genotype.reduction)

    def features(self, tokens: Tokens) -> tuple[float, ...]:
        """Of each cell: how often each operation is used, and states 0 and 1 and another block are read."""
        found: list[float] = []
        for cell in (tokens[: 3 * self.blocks], tokens[3 * self.blocks :]):
            operations, reads = [0.0] * len(self.operations), [0.0, 0.0, 0.0]
            for block in range(self.blocks):
                pair, *chosen = cell[3 * block : 3 * block + 3]
                for state, operation in zip(_pairs(block)[pair], chosen, strict=True):
                    operations[operation] += 1
                    reads[min(state, 2)] += 1
            found += [*operations, *reads]
        return tuple(found)

    def _cell(self, tokens: Tokens) -> Cell:
        blocks: list[Block] = []
        for index in range(self.blocks):
            pair, left_op, right_op = tokens[3 * index : 3 * index + 3]
            left, right = _pairs(index)[pair]
            blocks.append(Block(left, right, self.operations[left_op], self.operations[right_op]))
        return Cell(tuple(blocks), self._outputs)

    @property
    def _outputs(self) -> tuple[int, ...]:
        return tuple(range(2, self.blocks + 2))

    def _tokens(self, name: str, cell: Cell) -> Tokens:
        if len(cell.blocks) != self.blocks:
            raise ValueError(f"the space has {self.blocks} blocks a cell, the {name} cell has {len(cell.blocks)}")
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
            for _, op in block.sides:
                if op not in self.operations:
                    raise ValueError(f"operation {op!r} of the {name} cell is not in the space")
            (left, left_op), (right, right_op) = sorted(block.sides)
            chosen = self.operations.index(left_op), self.operations.index(right_op)
            tokens += [_pairs(index).index((left, right)), *chosen]
        return tuple(tokens)
