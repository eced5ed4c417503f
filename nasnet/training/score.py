"""How a network does on a split, as a value. No TensorFlow."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Score:
    """How a network does on a split: share of pictures classified right, mean cross-entropy in nats."""

    accuracy: float
    loss: float
    pictures: int
