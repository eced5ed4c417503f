"""The numbers behind a report's pictures, from a search's trials in the order in which they ended. No TensorFlow."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from controller.strategy import Proposal, Trial
from nasnet.reports.intervals import half_width


def rewards_of(trials: Sequence[Trial]) -> np.ndarray:
    """Float `[trials]`, NaN for those that failed."""
    return np.array([np.nan if trial.reward is None else trial.reward for trial in trials], float)


def best_so_far(trials: Sequence[Trial]) -> np.ndarray:
    """The reward of the best trial up to each, itself among them; NaN before the first success.

    That is the highest reward. Where there are rungs the highest rung comes first, as it does for the search, so that
    it may fall: a trial of another rung was trained longer, and is scored by that.
    """
    best: Trial | None = None
    found = np.full(len(trials), np.nan)
    for place, trial in enumerate(trials):
        if trial.reward is not None and (best is None or trial.rank < best.rank):
            best = trial
        found[place] = np.nan if best is None or best.reward is None else best.reward
    return found


def window_of(trials: int) -> int:
    """Over how many trials a mean moves: a twentieth of them, between 5 and 200."""
    return int(np.clip(trials // 20, 5, 200))


def moving_mean(rewards: np.ndarray, window: int) -> np.ndarray:
    """The mean of the successes among the last `window` trials, fewer at the beginning; NaN where there is none."""
    found = np.isfinite(rewards)
    sums = np.concatenate([[0.0], np.cumsum(np.where(found, rewards, 0.0))])
    counts = np.concatenate([[0], np.cumsum(found)])
    ends = np.arange(1, len(rewards) + 1)
    starts = np.maximum(ends - window, 0)
    many = counts[ends] - counts[starts]
    return np.divide(sums[ends] - sums[starts], many, out=np.full(len(rewards), np.nan), where=many > 0)


@dataclasses.dataclass(frozen=True)
class Wave:
    """Proposals that follow one another: the first, one past the last, and what is known of the controller in them.

    `entropy` is the mean of minus the log-probability of what was drawn, in nats a trial: an estimate, without bias, of
    the entropy of the policy that drew it. `half` is half of its 95% t-interval (None of one proposal). `most` is that
    of uniform choices among the same decisions: `most - entropy` estimates the policy's KL divergence from those.
    """

    first: int
    end: int
    entropy: float
    half: float | None
    most: float


def entropies(proposals: Sequence[Proposal], sizes: Sequence[int], wave: int) -> list[Wave]:
    """What the log-probabilities of each wave's proposals tell; nothing of a wave none of which a policy drew.

    Args:
        proposals: in the order of their numbers.
        sizes: options of each of the space's decisions.
        wave: proposals of a wave.
    """
    uniform = np.concatenate([[0.0], np.cumsum(np.log(sizes))])
    found: list[Wave] = []
    for first in range(0, len(proposals), wave):
        drawn = [proposal for proposal in proposals[first : first + wave] if proposal.was_drawn]
        if not drawn:
            continue
        surprise = -np.array([sum(proposal.log_probs) for proposal in drawn])
        most = float(np.mean([uniform[len(proposal.tokens)] for proposal in drawn]))
        part = (float(surprise.var(ddof=1)) / len(drawn), len(drawn) - 1) if len(drawn) > 1 else None
        half = None if part is None else half_width([part])
        found.append(Wave(first, min(first + wave, len(proposals)), float(surprise.mean()), half, most))
    return found


def token_table(proposals: Sequence[Proposal], decisions: int) -> np.ndarray:
    """Int `[proposals, decisions]`: their tokens, -1 for decisions that a proposal does not take."""
    table = np.full((len(proposals), decisions), -1, np.int32)
    lengths = {len(proposal.tokens) for proposal in proposals}
    for length in lengths:
        rows = [row for row, proposal in enumerate(proposals) if len(proposal.tokens) == length]
        table[rows, :length] = [proposals[row].tokens for row in rows]
    return table


def shares(table: np.ndarray, columns: Sequence[int], options: int, bins: Sequence[tuple[int, int]]) -> np.ndarray:
    """Float `[options, bins]`: which share of the decisions in `columns` fell to each option, among a bin's proposals.

    NaN where none of these decisions was taken.
    """
    chosen = table[:, list(columns)]
    counts = np.array([np.bincount(chosen[a:b][chosen[a:b] >= 0], minlength=options)[:options] for a, b in bins], float)
    totals = counts.sum(1, keepdims=True)
    return np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0).T


def bins_of(proposals: int, wave: int, most: int) -> list[tuple[int, int]]:
    """Whole waves, several together where there are more than `most`: the first and one past the last of each bin.

    What is left at the end is a bin of its own if it is half of one or more.
    """
    waves = -(-proposals // wave)
    together = max(1, -(-waves // most)) * wave
    edges = [*range(0, proposals, together), proposals]
    if len(edges) > 2 and 2 * (edges[-1] - edges[-2]) < together:
        del edges[-2]
    return list(itertools.pairwise(edges))


def evenly(length: int, most: int) -> list[int]:
    """At most so many places of a row, the first and the last among them."""
    return [*map(int, np.unique(np.linspace(0, length - 1, most).astype(int)))] if length else []


def some_rows(best: np.ndarray, most: int) -> list[int]:
    """Places of trials to print: each from which the best so far is another, and at most so many others, evenly."""
    other = np.flatnonzero(np.isfinite(best) & ~(best == np.concatenate([[np.nan], best[:-1]])))
    return sorted({*map(int, other), *evenly(len(best), most)})
