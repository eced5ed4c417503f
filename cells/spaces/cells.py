"""What spaces of two cells have in common: decisions block by block, first the Normal Cell's."""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Iterable
from typing import ClassVar

from cells.architecture import BadField
from cells.genotype.cell import Cell, CellGenotype, Publication
from cells.genotype.genotype import Genotype
from cells.operations import OPERATIONS
from cells.spaces.space import Decision, Tokens, check_tokens


@dataclasses.dataclass(frozen=True)
class CellSpace(abc.ABC):
    """A Normal and a Reduction Cell of `blocks` blocks each, as one publication has them.

    `operations` are those to choose from, by their names in `cells.operations.OPERATIONS`.
    """

    rules: ClassVar[Publication]
    """By whose rules its cells are put together."""
    title: ClassVar[str]
    """What messages call them."""

    blocks: int
    operations: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "operations", tuple(self.operations))  # a list has no hash, which its decisions need
        if self.blocks < 1:
            raise BadField("blocks", self.blocks, "must be 1 or more")
        if not self.operations or len(set(self.operations)) < len(self.operations):
            raise BadField("operations", self.operations, "must be one or more different names")
        for name in self.operations:
            if name not in OPERATIONS:
                raise BadField("operations", name, f"must be of {', '.join(OPERATIONS)}")

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """As many for each block."""
        return _decisions(self)

    def length(self, trial_id: int) -> int:  # noqa: ARG002 - it does not grow
        """See `Space.length`."""
        return len(self.decisions)

    def decode(self, tokens: Tokens) -> CellGenotype:
        """See `Space.decode`."""
        check_tokens(self.decisions, tokens)
        half = len(tokens) // 2
        return CellGenotype(self.cell(tokens[:half]), self.cell(tokens[half:]), self.rules)

    def encode(self, genotype: Genotype) -> Tokens:
        """See `Space.encode`."""
        if not isinstance(genotype, CellGenotype):
            raise ValueError(f"the space holds cells, got a genotype of kind {genotype.kind!r}")
        if genotype.rules != self.rules:
            raise ValueError(
                f"the space's cells are put together by {self.title} rules, these by those of {genotype.rules}"
            )
        tokens: Tokens = ()
        for name, cell in (("normal", genotype.normal), ("reduction", genotype.reduction)):
            if len(cell.blocks) != self.blocks:
                raise ValueError(f"the space has {self.blocks} blocks a cell, the {name} cell has {len(cell.blocks)}")
            for op in (op for block in cell.blocks for _, op in block.sides):
                if op not in self.operations:
                    raise ValueError(f"operation {op!r} of the {name} cell is not in the space")
            tokens += self.tokens(name, cell)
        return tokens

    def features(self, tokens: Tokens) -> tuple[float, ...]:
        """What a model of the reward is given of a pair of cells, first the Normal Cell's numbers.

        What predicts a reward is the cell's graph and not its tokens: a linear model on such numbers ranks unseen
        cells after 50 trials better than one on tokens after 200 (docs/results.md).
        """
        half = len(tokens) // 2
        return self.cell_features(tokens[:half]) + self.cell_features(tokens[half:])

    @abc.abstractmethod
    def of_block(self, block: int) -> tuple[tuple[str, int], ...]:
        """The decisions of a block, in order: their names and how many options they have."""

    @abc.abstractmethod
    def cell(self, tokens: Tokens) -> Cell:
        """The cell that these tokens name, one of the two."""

    @abc.abstractmethod
    def tokens(self, name: str, cell: Cell) -> Tokens:
        """The tokens of a cell of as many blocks and known operations. Raises ValueError for one outside the space."""

    @abc.abstractmethod
    def cell_features(self, tokens: Tokens) -> tuple[float, ...]:
        """What is told of one of the two cells."""

    def used(self, sides: Iterable[tuple[int, int]]) -> list[float]:
        """How often each operation is used, and states 0 and 1 and another block are read.

        Args:
            sides: of all blocks of a cell, the state that is read and the place of the operation on it.
        """
        operations, reads = [0.0] * len(self.operations), [0.0, 0.0, 0.0]
        for state, operation in sides:
            operations[operation] += 1
            reads[min(state, 2)] += 1
        return operations + reads


@functools.cache
def _decisions(space: CellSpace) -> tuple[Decision, ...]:
    return tuple(
        Decision(f"{cell}.block_{block}.{name}", size)
        for cell in ("normal", "reduction")
        for block in range(space.blocks)
        for name, size in space.of_block(block)
    )
