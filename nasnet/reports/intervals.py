"""Intervals of accuracies and of their differences, over other seeds and other pictures. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from nasnet.reports.comparison import CONFIDENCE


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean and half the width of its 95% interval, in shares; no `half` where too little is known, and `why`."""

    mean: float
    half: float | None
    why: str = ""

    @property
    def shows(self) -> bool:
        """Whether 0 is outside of it."""
        return self.half is not None and abs(self.mean) > self.half


def paired_difference(first: Mapping[int, np.ndarray], other: Mapping[int, np.ndarray]) -> Interval | None:
    """How much more of the same pictures one network gets right than another, each trained from several seeds.

    Of the S seeds that both have, and P pictures, `d[s, p]` is 1 where the first alone is right and -1 where the other
    alone is. With `a` the variance of d's means over pictures, divided by S, and `b` that of its means over seeds,
    divided by P, the interval is `mean +- t(0.975, df) sqrt(a + b)`, df = (a + b)^2 / (a^2 / (S - 1) + b^2 / (P - 1))
    (Satterthwaite). So it speaks of other seeds and of other pictures; what both share is counted twice, which makes
    it wider than it had to be. Where the seeds' part is the larger one its df is little sure of: at worst 92% of such
    intervals hold with three seeds, 87% with two.

    Args:
        first, other: seed -> bool `[P]`, whether a picture is right.

    Returns:
        None where no seed is in both; no interval of one seed, which says nothing of others, of one picture, or where
        nothing varies: that so many pictures show no difference does not mean that others would show none.
    """
    seeds = [seed for seed in first if seed in other]
    if not seeds:
        return None
    found = np.array([first[seed].astype(float) - other[seed].astype(float) for seed in seeds])
    if min(found.shape) < 2:
        return Interval(float(found.mean()), None, "one seed" if len(seeds) < 2 else "one picture")
    over_seeds, over_pictures = found.mean(1), found.mean(0)
    if not np.ptp(over_seeds) and not np.ptp(over_pictures):
        return Interval(float(found.mean()), None, "nothing varies")
    parts = [(float(values.var(ddof=1)) / len(values), len(values) - 1) for values in (over_seeds, over_pictures)]
    return Interval(float(found.mean()), half_width(parts))


def accuracy(shares: Sequence[float], pictures: int) -> tuple[Interval, list[tuple[float, int]]]:
    """The mean of accuracies from several starts on the same pictures, and its variances, as `half_width` takes them.

    One is between the starts; the other that of a share of so many pictures, `p (1 - p) / pictures`, which is all that
    is known of one start.
    """
    values = np.array(shares, float)
    mean = float(np.clip(values.mean(), 0.0, 1.0))
    parts = [(mean * (1 - mean) / pictures, max(1, pictures - 1))]
    if len(values) > 1:
        parts.append((float(values.var(ddof=1)) / len(values), len(values) - 1))
    return Interval(float(values.mean()), half_width(parts)), parts


def half_width(parts: Sequence[tuple[float, int]]) -> float:
    """Half of the 95% t-interval of a sum of variances, each with its degrees of freedom (Satterthwaite's for all)."""
    from scipy.stats import t

    variance = sum(part for part, _ in parts)
    if not variance:
        return 0.0
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    return float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * variance**0.5
