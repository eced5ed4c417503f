"""Which steps of the LSTM take which decisions. No TensorFlow."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from cells.spaces.space import Decision


@dataclasses.dataclass(frozen=True)
class Layout:
    """The decisions of a space, step by step: one a step, but all neighbours that have an anchor in one.

    Those are a layer's skip decisions (Zoph & Le 2017, section 3.3): drawn independently of one another, given the
    LSTM's state at their step, the layer's anchor point. Step numbers, decision numbers and slots (a decision's place
    in its step) count from 0. T decisions, S steps, G decisions of the largest step.

    Raises:
        ValueError: for an anchor that is not a decision of an earlier step, or a decision with one whose size is not 2.
    """

    decisions: tuple[Decision, ...]

    def __post_init__(self) -> None:
        if not self.decisions:
            raise ValueError("a space has at least 1 decision, got none")
        for place, decision in enumerate(self.decisions):
            if decision.anchor is None:
                continue
            if decision.size != 2:
                raise ValueError(f"decision {decision.name!r} has an anchor and so 2 options, got {decision.size}")
            if not (0 <= decision.anchor < place and self.step_of[decision.anchor] < self.step_of[place]):
                raise ValueError(f"decision {decision.name!r} has anchor {decision.anchor}, which is no earlier step's")

    @functools.cached_property
    def skips(self) -> np.ndarray:
        """`[T]` bool: which decisions have an anchor."""
        return np.array([decision.anchor is not None for decision in self.decisions])

    @functools.cached_property
    def step_of(self) -> np.ndarray:
        """`[T]`: the step of each decision."""
        begins = ~(self.skips & np.concatenate([[False], self.skips[:-1]]))
        return np.cumsum(begins) - 1

    @functools.cached_property
    def anchor_step(self) -> np.ndarray:
        """`[T]`: the step of each decision's anchor; 0 where it has none."""
        return np.array([self.step_of[decision.anchor or 0] for decision in self.decisions])

    @property
    def steps(self) -> int:
        """S."""
        return int(self.step_of[-1]) + 1

    @functools.cached_property
    def slots(self) -> np.ndarray:
        """`[S, G]`: the decisions of each step, -1 where it has fewer than G."""
        members = [np.flatnonzero(self.step_of == step) for step in range(self.steps)]
        slots = np.full((self.steps, max(map(len, members))), -1)
        for step, those in enumerate(members):
            slots[step, : len(those)] = those
        return slots

    def steps_of(self, length: int) -> int:
        """How many steps the first `length` decisions take. Raises ValueError where they end within a step."""
        whole = length == len(self.decisions) or (
            0 < length < len(self.decisions) and self.step_of[length] != self.step_of[length - 1]
        )
        if not whole:
            raise ValueError(f"a trial has 1 to {len(self.decisions)} decisions and ends with a step, got {length}")
        return int(self.step_of[length - 1]) + 1
