"""Draws of tokens that several strategies share: rows of `[n, T]` whole numbers."""

from __future__ import annotations

import numpy as np

from cells.spaces.space import Decision, Tokens


def sizes_of(decisions: tuple[Decision, ...]) -> np.ndarray:
    """How many options each decision has: `[T]`."""
    return np.array([decision.size for decision in decisions], int)


def uniform(sizes: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """`[number, T]`: each decision uniformly and independently."""
    return rng.integers(sizes, size=(number, len(sizes)))


def mutants(sizes: np.ndarray, parents: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each row of `parents` `[n, T]` with one decision changed.

    Which one, among those with a choice, and to what, is drawn uniformly.
    """
    free, rows, children = np.flatnonzero(sizes > 1), np.arange(len(parents)), parents.copy()
    if len(free):
        places = free[rng.integers(len(free), size=len(parents))]
        others = rng.integers(sizes[places] - 1)
        children[rows, places] = others + (others >= parents[rows, places])
    return children


def neighbours(sizes: np.ndarray, tokens: Tokens) -> list[Tokens]:
    """All that differ in exactly one decision."""
    return [
        (*tokens[:place], value, *tokens[place + 1 :])
        for place, size in enumerate(sizes.tolist())
        for value in range(size)
        if value != tokens[place]
    ]


def as_tokens(row: np.ndarray) -> Tokens:
    """One row as tokens."""
    return tuple(row.tolist())
