"""How a network does on a split, as a value. No TensorFlow."""

from __future__ import annotations

import dataclasses
import math
from typing import Self

from nasnet.runtime.errors import DivergedError


@dataclasses.dataclass(frozen=True)
class Score:
    """How a network does on a split: share of pictures classified right, mean cross-entropy in nats."""

    accuracy: float
    loss: float
    pictures: int

    def checked(self) -> Self:
        """Itself. Raises DivergedError where its loss is not finite: no answer is one, and the first class would count.

        A training that diverges at its last step has had no loss that said so.
        """
        if not math.isfinite(self.loss):
            raise DivergedError(f"the loss on {self.pictures} pictures was {self.loss} after the last step")
        return self
