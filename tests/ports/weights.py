"""Weights to hold a port and a reading equal with."""

from __future__ import annotations

from typing import Any

import numpy as np

from cells.count import Counts


def drawn_weights(counts: Counts, seed: int) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Nothing at its start value, where a mix-up would not show; signals neither die nor grow."""
    rng = np.random.default_rng(seed)
    positive = {"gamma", "moving_variance"}
    return {
        weight.name: rng.uniform(0.5, 1.5, weight.shape)
        if weight.role in positive
        else rng.normal(0, np.sqrt(1 / max(1, np.prod(weight.shape[:-1]))), weight.shape)
        for weight in counts.weights
    }
