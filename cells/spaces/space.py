"""Search spaces as tuples of decisions: all that a strategy sees."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from cells.genotype.genotype import Genotype

Tokens = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Decision:
    """One choice among `size` options, numbered 0 to `size - 1`.

    Attributes:
        anchor: what a skip decision looks at: the place, in the space's decisions, of the decision that stands for the
            earlier layer (Zoph & Le 2017, section 3.3). Decisions with an anchor that follow one another belong to one
            layer, the first of them stands for it, and they are drawn independently of one another: 0 no, 1 yes.
    """

    name: str
    size: int
    anchor: int | None = None

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"decision {self.name!r} needs at least one option, got size {self.size}")


class Space(Protocol):
    """A set of genotypes, each named by one token for each decision."""

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The choices, in the order in which a strategy takes them: all that any trial has."""
        ...

    def length(self, trial_id: int) -> int:
        """How many of the decisions, from the first, trial `trial_id` takes: all, but in a space that grows."""
        ...

    def decode(self, tokens: Tokens) -> Genotype:
        """The genotype that these tokens name. Raises ValueError for tokens outside the space."""
        ...

    def encode(self, genotype: Genotype) -> Tokens:
        """The tokens that name this genotype. Raises ValueError for a genotype outside the space."""
        ...


def check_tokens(decisions: tuple[Decision, ...], tokens: Tokens) -> None:
    """Raises ValueError unless there is one token for each decision, inside its size."""
    if len(tokens) != len(decisions):
        raise ValueError(f"the space has {len(decisions)} decisions, got {len(tokens)} tokens")
    for decision, token in zip(decisions, tokens, strict=True):
        if not 0 <= token < decision.size:
            raise ValueError(f"decision {decision.name!r} takes 0 to {decision.size - 1}, got {token}")


LENGTH = "decisions"
"""The hyperparameter that says how many decisions a trial of a growing space has."""


class Hyperparameters(Protocol):
    """The part of `keras_tuner.HyperParameters` that `ask` needs."""

    def Choice(self, name: str, values: list[int], *, default: int | None = None) -> int | None:
        """The value that it has under this name, which it takes note of; None where its condition does not hold."""
        ...

    def conditional_scope(self, parent_name: str, parent_values: list[int]) -> AbstractContextManager[object]:
        """Names within it are there where the parent has one of these values."""
        ...


def lengths(decisions: tuple[Decision, ...], length: Callable[[int], int]) -> tuple[int, ...]:
    """The numbers of decisions that trials take (`Space.length`), in the order in which a search comes to them."""
    found, trial_id = [length(0)], 0
    while found[-1] < len(decisions):
        step = 1
        while length(trial_id + step) == found[-1]:
            step *= 2
            if step > _NEVER:
                return tuple(found)
        low, high = trial_id + step // 2, trial_id + step  # the first one that takes more is above low, at most high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if length(middle) == found[-1] else (low, middle)
        trial_id = high
        found.append(length(high))
    return tuple(found)


def ask(hp: Hyperparameters, decisions: tuple[Decision, ...], lengths: tuple[int, ...]) -> Tokens:
    """The tokens that KerasTuner's hyperparameters hold: a `Choice` for each decision, of its name, of 0 to size - 1.

    What `hp` does not hold yet it takes note of, as 0. Where trials take several `lengths`, one of these is a `Choice`
    called `LENGTH`, the last unless it says otherwise, and a decision is there where the length comes to it.
    """
    length = lengths[-1]
    if len(lengths) > 1:
        length = hp.Choice(LENGTH, list(lengths), default=length) or length
    tokens: list[int | None] = []
    bounds = (0, *lengths)
    for start, end in itertools.pairwise(bounds):
        scope = hp.conditional_scope(LENGTH, [one for one in lengths if one >= end]) if start else nullcontext()
        with scope:
            tokens += [hp.Choice(decision.name, list(range(decision.size))) for decision in decisions[start:end]]
    return tuple(token for token in tokens[:length] if token is not None)


def hyperparameter_values(decisions: tuple[Decision, ...], lengths: tuple[int, ...], tokens: Tokens) -> dict[str, int]:
    """The values under which `ask` finds these tokens."""
    values = {decision.name: token for decision, token in zip(decisions, tokens, strict=False)}
    return {LENGTH: len(tokens), **values} if len(lengths) > 1 else values


_NEVER = 1 << 62
"""Trials that no search comes to."""
