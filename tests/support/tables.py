"""Tables of known results that a test draws."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np


def written_table(
    path: Path, sizes: tuple[int, ...], rng: np.random.Generator, missing: int = 0
) -> tuple[Path, dict[tuple[str, ...], tuple[float, float]]]:
    """A CSV file with so many options a decision, its lines in a drawn order, some tuples missing.

    Returns it, and of each tuple of options its reward and its test. No two rewards are the same.
    """
    options = [[f"{chr(97 + place)}{option}" for option in range(size)] for place, size in enumerate(sizes)]
    rows = list(itertools.product(*options))
    rows = [rows[place] for place in rng.permutation(len(rows))]
    rewards = (rng.permutation(len(rows)) / 8).tolist()
    values = {row: (reward, 1 - 2 * reward) for row, reward in zip(rows, rewards, strict=True)}
    for row in rows[:missing]:
        del values[row]
    names = ",".join(f"decision_{place}" for place in range(len(sizes)))
    lines = [f"{','.join(row)},{reward!r},{test!r}" for row, (reward, test) in values.items()]
    path.write_text("\n".join([f"{names},reward,test", *lines]) + "\n")
    return path, values
