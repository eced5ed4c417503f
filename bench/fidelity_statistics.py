"""What repeated measurements of the same cells say of one another. Arrays in, numbers out; no TensorFlow."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from scipy.stats import kendalltau


@dataclasses.dataclass(frozen=True)
class Spread:
    """Standard deviations of a score between cells and within a cell (from seed to seed), and what follows.

    `reliability` is the share of a single score's variance that is the cell's: 1 repeats exactly, 0 is noise.
    """

    between: float
    within: float
    reliability: float


@dataclasses.dataclass(frozen=True)
class Tau:
    """Kendall's tau with a bootstrap interval of 95%."""

    tau: float
    low: float
    high: float


def spread(scores: np.ndarray) -> Spread:
    """Splits the variance of float `[cells, seeds]`, two or more of each: one-way analysis, ICC(1,1).

    Shrout & Fleiss 1979: within^2 = WMS, between^2 = (BMS - WMS) / seeds, not below 0;
    reliability = between^2 / (between^2 + within^2).
    """
    seeds = scores.shape[1]
    within = scores.var(axis=1, ddof=1).mean()
    between = max(0.0, scores.mean(axis=1).var(ddof=1) - within / seeds)
    total = between + within
    return Spread(math.sqrt(between), math.sqrt(within), between / total if total else 0.0)


def tau(predictor: np.ndarray, truth: np.ndarray, *, resamples: int = 1000, seed: int = 0) -> Tau:
    """How well one run of a predictor orders the cells as the truth does.

    Args:
        predictor: float `[cells, seeds]`. Tau is taken for each seed and averaged: a search sees one seed.
        truth: float `[cells]`.
        resamples: draws of as many cells, with replacement; the interval is the middle 95% of their taus.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(truth), size=(resamples, len(truth)))
    drawn = [_mean_tau(predictor[row], truth[row]) for row in rows]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Tau(_mean_tau(predictor, truth), float(low), float(high))


def _mean_tau(predictor: np.ndarray, truth: np.ndarray) -> float:
    # tau-b leaves out pairs tied in both, so a cell drawn twice is not compared with itself.
    return float(np.mean([kendalltau(column, truth).statistic for column in predictor.T]))


def sampling_error(accuracy: float, pictures: int) -> float:
    """Binomial standard error of an accuracy that was counted on so many pictures."""
    return math.sqrt(accuracy * (1 - accuracy) / pictures)


def chosen(predictor: np.ndarray, truth: np.ndarray) -> float:
    """The truth of the cell that one run of a predictor ranks first: mean over the seeds of `[cells, seeds]`."""
    return float(truth[predictor.argmax(axis=0)].mean())


def regret(predictor: np.ndarray, truth: np.ndarray, top: int = 3) -> float:
    """How far the best of what a predictor ranks first is below the best of all.

    Args:
        predictor: float `[cells, seeds]`; the mean over the seeds.
        truth: float `[cells]`.
        top: how many it may name, of which the best one counts.
    """
    return float(np.mean([truth.max() - truth[np.argsort(-column)[:top]].max() for column in predictor.T]))


def regret_of(number: int, predictor: np.ndarray, truth: np.ndarray, top: int = 3) -> float:
    """As `regret`, where only so many cells are tried: mean over 2,000 draws of them, with replacement."""
    rng = np.random.default_rng(0)
    found: list[float] = []
    for draw in range(2000):
        rows = rng.integers(len(truth), size=number)
        column = predictor[rows, draw % predictor.shape[1]]
        found.append(truth.max() - truth[rows][np.argsort(-column)[:top]].max())
    return float(np.mean(found))
