"""The numbers behind a report's pictures, against the same reckoned one by one."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from controller.strategy import Outcome, Proposal, Trial
from nasnet.reports.page import curves


def trial(number: int, reward: float | None, *earlier: float) -> Trial:
    outcome = Outcome.NAN if reward is None else Outcome.OK
    return Trial(Proposal.chosen(number, (0,)), outcome, reward, 1.0, earlier=earlier)


def drawn(number: int, *probabilities: float) -> Proposal:
    return Proposal(number, (0,) * len(probabilities), tuple(map(math.log, probabilities)))


def test_a_failure_is_no_number_and_in_no_best():
    trials = [trial(0, None), trial(1, 0.0), trial(2, -0.5), trial(3, None), trial(4, 0.25)]
    np.testing.assert_array_equal(curves.rewards_of(trials), [np.nan, 0.0, -0.5, np.nan, 0.25])
    np.testing.assert_array_equal(curves.best_so_far(trials), [np.nan, 0.0, 0.0, 0.0, 0.25])


def test_the_best_of_rungs_is_of_the_highest_and_may_fall():
    trials = [trial(0, 0.5), trial(1, 0.4, 0.6), trial(2, 0.9), trial(3, 0.3, 0.7), trial(4, 0.1, 0.2, 0.8)]
    np.testing.assert_array_equal(curves.best_so_far(trials), [0.5, 0.4, 0.4, 0.4, 0.1])


@pytest.mark.parametrize(
    ("trials", "window"), [(0, 5), (119, 5), (120, 6), (2000, 100), (2020, 101), (4000, 200), (20_000, 200)]
)
def test_the_window_is_a_twentieth_between_5_and_200(trials, window):
    assert curves.window_of(trials) == window


@pytest.mark.parametrize("window", [1, 2, 5, 100])
def test_a_moving_mean_is_of_the_successes_among_the_last(window):
    rng = np.random.default_rng(window)
    rewards = np.where(rng.uniform(size=40) < 0.4, np.nan, rng.uniform(-1, 1, 40))
    for place, found in enumerate(curves.moving_mean(rewards, window)):
        good = [reward for reward in rewards[max(0, place - window + 1) : place + 1] if not math.isnan(reward)]
        assert found == pytest.approx(sum(good) / len(good) if good else math.nan, nan_ok=True)


def test_entropy_is_of_what_a_policy_drew_wave_by_wave():
    """Known networks among them, a wave of nothing else, a wave of one; longer ones in a space that grows."""
    sizes = (2, 4, 8)
    proposals = [
        *(Proposal.chosen(0, (0, 0)), drawn(1, 0.5, 0.5), drawn(2, 0.25, 0.5), drawn(3, 0.5, 0.5, 0.125)),
        *(Proposal.chosen(number, (0, 0)) for number in range(4, 8)),
        drawn(8, 0.5, 0.25),
    ]
    first, second = curves.entropies(proposals, sizes, 4)
    nats = math.log(2) * np.array([2, 3, 5])  # minus the sums of the log-probabilities
    assert (first.first, first.end, second.first, second.end) == (0, 4, 8, 9)
    assert first.entropy == pytest.approx(nats.mean())
    error = math.sqrt(sum((nats - nats.mean()) ** 2) / 2 / 3)
    assert first.half == pytest.approx(4.302653 * error)  # t(0.975, 2)
    assert first.most == pytest.approx(math.log(2) * (3 + 3 + 6) / 3)
    assert (second.entropy, second.half, second.most) == (pytest.approx(math.log(8)), None, pytest.approx(math.log(8)))
    assert curves.entropies(proposals[4:8], sizes, 4) == []


def test_shares_are_counted_of_the_decisions_that_were_taken():
    rng = np.random.default_rng(0)
    proposals = [
        Proposal.chosen(number, tuple(map(int, rng.integers(3, size=2 if number < 8 else 4)))) for number in range(20)
    ]
    table = curves.token_table(proposals, 5)
    assert table.shape == (20, 5)
    for row, proposal in zip(table, proposals, strict=True):
        assert row.tolist() == [*proposal.tokens, *[-1] * (5 - len(proposal.tokens))]
    bins = [(0, 8), (8, 15), (15, 20)]
    for columns in ((0, 1), (1, 3), (3, 2), (4,)):
        found = curves.shares(table, columns, 3, bins)
        assert found.shape == (3, 3)
        for place, (start, end) in enumerate(bins):
            of = Counter(p.tokens[c] for p in proposals[start:end] for c in columns if c < len(p.tokens))
            expected = [of[option] / of.total() if of else math.nan for option in range(3)]
            assert found[:, place].tolist() == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("proposals", "most", "bins"),
    [
        (5, 40, [(0, 5)]),
        (20, 40, [(0, 20)]),
        (21, 40, [(0, 21)]),
        (30, 40, [(0, 20), (20, 30)]),  # half of one
        (60, 40, [(0, 20), (20, 40), (40, 60)]),
        (69, 40, [(0, 20), (20, 40), (40, 69)]),
        (60, 3, [(0, 20), (20, 40), (40, 60)]),
        (61, 3, [(0, 40), (40, 61)]),
        (80, 3, [(0, 40), (40, 80)]),
        (99, 2, [(0, 60), (60, 99)]),
    ],
)
def test_bins_are_whole_waves_and_what_is_left(proposals, most, bins):
    assert curves.bins_of(proposals, 20, most) == bins


def test_rows_that_are_printed_have_the_ends_and_every_new_best():
    assert curves.evenly(0, 5) == []
    assert curves.evenly(3, 5) == [0, 1, 2]
    assert curves.evenly(5, 5) == [0, 1, 2, 3, 4]
    found = curves.evenly(1001, 5)
    assert found == [0, 250, 500, 750, 1000]
    best = np.full(1001, np.nan)
    best[7:], best[8:], best[999:] = 0.5, 0.75, 0.25
    assert curves.some_rows(best, 5) == [0, 7, 8, 250, 500, 750, 999, 1000]
