from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.fidelity_statistics import chosen, regret, regret_of, sampling_error, spread, tau


@settings(deadline=None)
@given(between=st.floats(0.1, 3), within=st.floats(0.1, 3), seed=st.integers(0, 99))
def test_spread_finds_the_deviations_that_scores_were_drawn_with(between, within, seed):
    rng = np.random.default_rng(seed)
    scores = 0.7 + between * rng.standard_normal((4000, 1)) + within * rng.standard_normal((4000, 3))
    found = spread(scores)
    # Six deviations of each estimate: variances of 4,000 means and of 8,000 degrees of freedom.
    assert found.within**2 == pytest.approx(within**2, rel=6 * math.sqrt(2 / 8000))
    means = between**2 + within**2 / 3
    assert found.between**2 == pytest.approx(between**2, abs=6 * means * math.sqrt(2 / 4000) + 0.1 * within**2)
    assert found.reliability == pytest.approx(found.between**2 / (found.between**2 + found.within**2))


@settings(deadline=None)
@given(seed=st.integers(0, 999), cells=st.integers(2, 9), seeds=st.integers(2, 5))
def test_spread_of_cells_that_repeat_exactly_and_of_cells_that_are_all_the_same(seed, cells, seeds):
    scores = np.random.default_rng(seed).random(cells)
    exact = spread(np.repeat(scores[:, None], seeds, axis=1))
    assert (exact.within, exact.reliability) == pytest.approx((0, 1))
    assert exact.between == pytest.approx(scores.std(ddof=1))
    same = spread(np.repeat(np.random.default_rng(seed).random((1, seeds)), cells, axis=0))
    assert (same.between, same.reliability) == pytest.approx((0, 0))


@pytest.mark.parametrize("seed", range(10))
def test_tau_is_minus_one_to_one_counts_pairs_and_ignores_scales(seed):
    rng = np.random.default_rng(seed)
    truth, predictor = rng.permutation(12).astype(float), rng.random((12, 3))
    found = tau(predictor, truth, resamples=20, seed=seed)
    pairs = [
        np.sign(column[i] - column[j]) * np.sign(truth[i] - truth[j])
        for column in predictor.T
        for i in range(12)
        for j in range(i)
    ]
    assert found.tau == pytest.approx(np.mean(pairs))
    assert -1 <= found.low <= found.high <= 1
    assert tau(np.exp(predictor), truth, resamples=20, seed=seed) == found
    assert tau(-predictor, truth, resamples=20, seed=seed).tau == pytest.approx(-found.tau)
    assert tau(truth[:, None], truth, resamples=20).low == pytest.approx(1)


def test_the_interval_holds_the_true_tau_about_as_often_as_it_says():
    rng, held = np.random.default_rng(0), 0
    correlation = 0.7
    true = 2 / math.pi * math.asin(correlation)  # of a bivariate normal
    for draw in range(60):
        truth = rng.standard_normal(25)
        noise = math.sqrt(1 - correlation**2) * rng.standard_normal(25)
        found = tau((correlation * truth + noise)[:, None], truth, resamples=60, seed=draw)
        held += found.low <= true <= found.high
    assert 49 <= held <= 60  # 57 expected; fewer than 49 has a probability of 1e-4


@settings(deadline=None)
@given(accuracy=st.floats(0.05, 0.95), pictures=st.integers(100, 20000), seed=st.integers(0, 99))
def test_sampling_error_is_the_deviation_of_counted_shares(accuracy, pictures, seed):
    counted = np.random.default_rng(seed).binomial(pictures, accuracy, 4000) / pictures
    assert sampling_error(accuracy, pictures) == pytest.approx(counted.std(), rel=0.1)


@settings(deadline=None)
@given(seed=st.integers(0, 999))
def test_chosen_is_what_each_seed_would_have_picked(seed):
    rng = np.random.default_rng(seed)
    predictor, truth = rng.random((7, 3)), rng.random(7)
    picked = [max(range(7), key=lambda cell, column=column: column[cell]) for column in predictor.T]
    assert chosen(predictor, truth) == pytest.approx(np.mean([truth[cell] for cell in picked]))


def test_regret_is_what_the_best_of_the_first_named_falls_short_by():
    truth = np.array([0.9, 0.1, 0.8, 0.3, 0.5])
    first, second = [0.0, 5.0, 1.0, 4.0, 3.0], [9.0, 1.0, 2.0, 3.0, 4.0]  # names 1, 3, 4, and 0, 4, 3
    predictor = np.array([first, second]).T
    assert regret(predictor, truth) == pytest.approx(((0.9 - 0.5) + 0) / 2)
    assert regret(predictor, truth, top=1) == pytest.approx(((0.9 - 0.1) + 0) / 2)
    assert regret(truth[:, None], truth, top=1) == 0


def test_regret_of_few_cells_is_that_of_the_best_drawn_and_falls_with_their_number():
    truth = np.linspace(0, 1, 11)
    of = [regret_of(number, truth[:, None], truth) for number in (1, 2, 10, 1000)]
    assert of[0] == pytest.approx(0.5, abs=0.03)  # of one cell: the mean
    assert of[1] == pytest.approx(np.mean([1 - max(a, b) for a in truth for b in truth]), abs=0.03)
    assert of[1] > of[2] > of[3] == 0
    assert regret_of(1000, -truth[:, None], truth) > 0.9  # the worst are named
