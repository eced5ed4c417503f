"""Intervals over seeds and pictures, against SciPy where one of the two does not vary, and on drawn searches."""

import numpy as np
import pytest
from scipy.stats import norm, t, ttest_rel

from nasnet.reports.intervals import accuracy, half_width, paired_difference


def by_seed(rows) -> dict[int, np.ndarray]:
    return {seed + 3: np.array(row, bool) for seed, row in enumerate(rows)}


def test_where_seeds_agree_it_is_the_paired_interval_over_pictures():
    rng = np.random.default_rng(0)
    one, two = rng.uniform(size=(2, 300)) < [[0.9], [0.7]]
    found = paired_difference(by_seed([one] * 4), by_seed([two] * 4))
    expected = ttest_rel(one.astype(float), two.astype(float)).confidence_interval(0.95)
    assert found is not None
    assert found.half is not None
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx(tuple(expected))
    assert found.shows


def test_where_pictures_agree_it_is_the_paired_interval_over_seeds():
    """All pictures of a seed are right or wrong: their means over seeds are the same."""
    one = np.repeat([[1], [1], [0], [1], [1]], 50, axis=1)
    two = np.repeat([[1], [0], [1], [0], [0]], 50, axis=1)
    found = paired_difference(by_seed(one), by_seed(two))
    expected = ttest_rel(one.mean(1), two.mean(1)).confidence_interval(0.95)
    assert found is not None
    assert found.half is not None
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx(tuple(expected))
    assert not found.shows


def test_only_seeds_that_both_have_count_and_one_gives_no_interval():
    right = by_seed(np.eye(3, 40))
    assert paired_difference(right, {9: right[3]}) is None
    one = paired_difference(right, {4: ~right[4]})
    assert one is not None
    assert (one.mean, one.half, one.shows) == (pytest.approx(2 / 40 - 1), None, False)
    same = paired_difference(right, right)
    assert same is not None
    assert (same.mean, same.half, same.shows, same.why) == (0, None, False, "nothing varies")
    picture = paired_difference(by_seed([[1], [0]]), by_seed([[0], [0]]))
    assert picture is not None
    assert (picture.mean, picture.half, picture.why, one.why) == (0.5, None, "one picture", "one seed")


@pytest.mark.parametrize(
    ("seeds", "of_pictures", "of_seeds", "least"),
    [(3, 1.5, 0.05, 0.93), (3, 1.5, 0.5, 0.93), (3, 0.2, 0.5, 0.93), (3, 1.0, 0.25, 0.91), (2, 1.0, 0.25, 0.86)],
)
def test_it_covers_the_true_difference_of_other_pictures_and_other_seeds(seeds, of_pictures, of_seeds, least):
    """Networks of equal merit; a picture is right where its own part, a seed's and chance together are above 0."""
    rng = np.random.default_rng(1)
    pictures, draws, covered = 150, 300, 0
    for _ in range(draws):
        shared = rng.normal(1.0, of_pictures, (1, pictures))
        right = [
            shared + rng.normal(0, 0.5, (1, pictures)) + rng.normal(0, of_seeds, (seeds, 1))
            + rng.normal(0, 0.5, (seeds, pictures)) > 0
            for _ in range(2)
        ]  # fmt: skip
        found = paired_difference(*map(by_seed, right))
        assert found is not None
        covered += not found.shows
    assert covered / draws > least


def test_an_accuracy_has_the_variance_of_its_pictures_and_of_its_starts():
    found, parts = accuracy([0.9, 0.8, 0.85], 400)
    assert parts == [(pytest.approx(0.85 * 0.15 / 400), 399), (pytest.approx(0.0025 / 3), 2)]
    assert found.half == half_width(parts)
    alone, _ = accuracy([0.9], 10_000)
    assert alone.half == pytest.approx(norm.ppf(0.975) * (0.09 / 10_000) ** 0.5, rel=1e-3)
    assert half_width([(0.01, 4)]) == pytest.approx(t.ppf(0.975, 4) * 0.1)
    assert half_width([(0.01, 4), (0.01, 4)]) == pytest.approx(t.ppf(0.975, 8) * 0.02**0.5)
    assert half_width([(0.0, 4)]) == 0
    of_one_picture, _ = accuracy([0.0, 1.0], 1)
    assert (of_one_picture.mean, of_one_picture.shows) == (0.5, False)
