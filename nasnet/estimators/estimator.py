"""How good is an architecture? What an answer is, and what gives one. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from nasnet.networks.saved import load_weights, save_weights
from nasnet.runtime.files import read_json

MEASURE = 2
"""What a reward is a measure of: another number, another training of the children, and their rewards do not compare.

1 was trained by Keras' form of momentum, and drew cutout's places otherwise.
"""


@dataclasses.dataclass(frozen=True)
class TrainedChild:
    """A child after its training: `NetworkSpec.to_json()`, and its weights by name (`keras_model.named_weights`)."""

    spec: Mapping[str, Any]
    weights: Mapping[str, np.ndarray]

    def save(self, folder: Path) -> None:
        """Writes it into a folder, as `nasnet.networks.saved.save_weights` does."""
        save_weights(folder, self.spec, self.weights)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote, to the bit. Raises UserError for a file that is missing or damaged."""
        return cls(read_json(folder / "genotype.json"), load_weights(folder))


@dataclasses.dataclass(frozen=True)
class Timing:
    """Where the seconds of a child went, or those of many: its graph, its steps, its scores, and all else."""

    tracing: float = 0.0
    steps: float = 0.0
    scoring: float = 0.0
    other: float = 0.0

    @property
    def seconds(self) -> float:
        """All of them."""
        return self.tracing + self.steps + self.scoring + self.other

    def __add__(self, more: Timing) -> Timing:
        return Timing(
            self.tracing + more.tracing,
            self.steps + more.steps,
            self.scoring + more.scoring,
            self.other + more.other,
        )


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A reward, higher is better; where its seconds went; the child, where there is one to keep; what else it tells."""

    reward: float
    timing: Timing = Timing()
    child: TrainedChild | None = None
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)


Scored = TypeVar("Scored", contravariant=True)


class Estimator(Protocol[Scored]):
    """Scores what it asks for: genotypes, of whatever space; or whole networks, or trained children.

    One that was made for a single network asks for None.
    """

    def estimate(self, scored: Scored, name: str, /) -> Estimate:
        """Scores it. The same arguments give the same reward.

        Args:
            scored: a genotype, or the other thing that it asks for.
            name: of this estimate, and nothing is read from it: random numbers are seeded by it. A trial's number is
                too little, because a finalist is estimated from several fresh starts.

        Raises:
            DivergedError: if the training's loss is no longer finite.
        """
        ...
