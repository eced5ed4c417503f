"""A comparison's statistics against SciPy's, and its table, CSV and plot."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import ttest_rel

from nasnet.reports.comparison import Row, draw, figures, mean_and_sd, millions, paired, table, with_interval, write_csv

LONG = "runs/a_$folder_of_a_very_long_name/best"
SHARES = st.floats(0, 1)


@given(st.lists(st.tuples(SHARES, SHARES), min_size=2, max_size=8))
def test_the_interval_is_that_of_the_paired_t_test(pairs):
    base = {seed: pair[0] for seed, pair in enumerate(pairs)}
    values = {seed: pair[1] for seed, pair in enumerate(pairs)} | {99: 0.5}  # a seed that the first lacks
    found = paired(values, base)
    differences = np.subtract([values[seed] for seed in base], list(base.values()))
    assert found.mean == pytest.approx(differences.mean(), abs=1e-12)
    assert found.seeds == len(pairs)
    assert mean_and_sd(base) == pytest.approx((np.mean(list(base.values())), np.std(list(base.values()), ddof=1)))
    if differences.std() > 1e-6:
        low, high = ttest_rel([values[seed] for seed in base], list(base.values())).confidence_interval(0.95)
        assert found.interval == pytest.approx((low, high), abs=1e-9)


def test_too_few_seeds_have_no_interval():
    assert paired({0: 0.7}, {0: 0.5}).interval is None
    assert paired({0: 0.7}, {1: 0.5}) is None
    alike = paired({0: 0.91, 1: 0.82}, {0: 0.9, 1: 0.81})
    assert (alike.interval, alike.seeds, alike.mean) == (None, 2, pytest.approx(0.01))
    assert with_interval(alike) == "+0.0100 (the same from all 2 seeds)"
    one_of_a_thousand = paired({0: 0.91, 1: 0.821}, {0: 0.9, 1: 0.81})
    assert one_of_a_thousand.interval == pytest.approx((0.0105 - 12.706205 * 0.0005, 0.0105 + 12.706205 * 0.0005))
    assert mean_and_sd({0: 0.7}) == (0.7, None)
    assert mean_and_sd({}) == (None, None)


def test_mult_adds_are_told_in_millions_where_there_are_as_many():
    assert [millions(number) for number in (5, 99_999, 100_000, 12_345_678)] == ["5", "99,999", "0.10M", "12.35M"]


def rows(*, test=False):
    def of(values):
        return dict(enumerate(values))

    return [
        Row("first", "N=1", 61_706, 416_520, of([0.5, 0.6]), of([0.4, 0.5]) if test else None, of([1.0, 3.0])),
        Row(
            "runs/a_$folder_of_a_very_long_name/best",
            "N=2",
            70_000,
            5,
            of([0.7, 0.9]),
            of([0.6, 0.5]) if test else None,
        ),
        Row("broken", "", 9_000_000, 10**9, {1: 0.6}, {1: 0.5} if test else None, failures={0: "nan"}),
        Row("none", "", 70_000, 10**9, {}, {} if test else None, failures={0: "nan", 1: "nan"}),
    ]


@pytest.mark.parametrize("test", [False, True])
def test_the_plot_is_of_the_split_that_it_names(tmp_path, monkeypatch, test):
    drawn: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, path: (drawn.append(figure), save(figure, path)))
    draw(tmp_path / "compare.png", rows(test=test), "pictures")
    of_parameters, of_mult_adds = drawn[0].axes
    assert of_parameters.get_ylabel().startswith("test accuracy" if test else "valid accuracy")
    for axes, sizes in ((of_parameters, [61_706, 70_000, 9_000_000]), (of_mult_adds, [416_520, 5, 10**9])):
        means = [bars[0] for bars in axes.containers]
        assert [line.get_xdata()[0] for line in means] == sizes
        shares = [0.45, 0.55, 0.5] if test else [0.55, 0.8, 0.6]
        assert [line.get_ydata()[0] for line in means] == pytest.approx(shares)


@pytest.mark.parametrize("test", [False, True])
def test_table_csv_and_plot(tmp_path, test):
    found = rows(test=test)
    lines = table(found)
    assert len(lines) == 1 + len(found)
    assert ("test accuracy" in lines[0]) == test
    assert "61,706" in lines[1]
    assert "0.5500 sd 0.0707" in lines[1]
    assert "+0.2500 (-0.3853 to +0.8853)" in lines[2]  # differences of 0.2 and 0.3: 0.25 +- 12.706 * 0.0707 / sqrt(2)
    assert lines[2].startswith("…") is ("very_long_name/best  " in lines[2]) is True
    assert ("0.5500 sd 0.0707  +0.1000 (-1.1706 to +1.3706)" in lines[2]) == test  # 0.2 and 0.0: half is 12.706 * 0.1
    assert "(one seed)" in lines[3]
    assert "none succeeded" in lines[4]
    assert max(map(len, lines)) < (190 if test else 130)

    write_csv(tmp_path / "compare.csv", found)
    with (tmp_path / "compare.csv").open() as file:
        read = list(csv.DictReader(file))
    assert [row["name"] for row in read] == [row.name for row in found]
    assert float(read[1]["valid_difference"]) == pytest.approx(0.25)
    assert (read[0]["valid_difference"], read[2]["failed"], read[2]["seeds"]) == ("", "1", "2")
    assert [(row["parameters"], row["mult_adds"]) for row in read] == [
        (str(row.parameters), str(row.mult_adds)) for row in found
    ]
    # Accuracies and differences of the second network: on valid 0.2 and 0.3, on test 0.2 and 0.0.
    second = [("valid", 0.8, 0.02, (0.2, 0.3)), ("test", 0.55, 0.005, (0.2, 0.0))]
    for split, mean, variance, differences in second[: 1 + test]:
        half = 12.706205 * abs(differences[0] - differences[1]) / 2  # t(0.975, 1), times sd / sqrt(2)
        middle = sum(differences) / 2
        expected = [mean, variance**0.5, middle, middle - half, middle + half]
        names = ("mean", "sd", "difference", "difference_low", "difference_high")
        assert [float(read[1][f"{split}_{name}"]) for name in names] == pytest.approx(expected, abs=1e-6)
    assert ("test_mean" in read[0]) == test
    assert float(read[0]["train_seconds"]) == 2.0

    fast = dataclasses.replace(found[0], pictures_per_second={0: 1_200.0, 1: 1_300.0})
    assert table([fast])[1].split()[3:5] == ["2.0", "1,250"]
    assert (figures([fast])[0]["train_seconds"], figures([fast])[0]["pictures_per_second"]) == (2.0, 1_250.0)

    first = figures(found)[0]
    assert first["valid_accuracies"] == {"0": 0.5, "1": 0.6}
    assert "valid_difference" not in first

    draw(tmp_path / "compare.png", found, "pictures of $ome kind")
    with Image.open(tmp_path / "compare.png") as picture:
        assert picture.size == (1100, 500)
    draw(tmp_path / "compare.png", found[:1], "one")
