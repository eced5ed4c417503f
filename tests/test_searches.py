"""The file that whole searches are kept in, which is to outlive the machine they were made on."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from bench.searches import Ended, Results
from bench.strategies import _say
from nasnet.runtime.errors import UserError

MEASURED = Path(__file__).parents[1] / "bench" / "measured" / "searches_fashion.csv"
FIRST, SECOND = Ended((None, 0.25), 0.5, (1, 0, 12)), Ended((0.5, 0.75), 0.8125, (0, 3))


def flags_of(**changes: object) -> argparse.Namespace:
    return argparse.Namespace(
        **{"dataset": "npz:/a/fashion.npz", "image_size": 14, "trials": 20, "steps": 50, "rest": [], **changes}
    )


@pytest.mark.parametrize("rest", [[], ["--valid_fraction=0.05"], ["--start=nasnet_a,enas", '--class_names="a", b']])
def test_what_is_written_is_read_again(tmp_path, rest):
    """Seen: by a comma in what goes to train.py the file was one of another setting to the next process."""
    path, flags = tmp_path / "deep" / "results.csv", flags_of(rest=rest)
    Results(path, flags).add("random", 0, FIRST)
    Results(path, flags).add("ppo", 1, SECOND)
    assert Results(path, flags).searches == {("random", 0): FIRST, ("ppo", 1): SECOND}


def test_where_the_pictures_lie_does_not_matter(tmp_path):
    Results(tmp_path / "results.csv", flags_of()).add("random", 0, FIRST)
    assert Results(tmp_path / "results.csv", flags_of(dataset="npz:/b/fashion.npz")).searches == {("random", 0): FIRST}


def test_two_processes_that_write_one_file_keep_the_lines_of_both(tmp_path):
    one, other = (Results(tmp_path / "results.csv", flags_of()) for _ in range(2))
    one.add("random", 0, FIRST)
    other.add("ppo", 0, SECOND)
    found = Results(tmp_path / "results.csv", flags_of()).searches
    assert found == other.searches == {("random", 0): FIRST, ("ppo", 0): SECOND}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"dataset": "npz:/a/other.npz"}, 2),
        ({"steps": 51}, 2),
        ({"rest": ["--repeats=2"]}, 2),
        ({"trials": 30}, 1),
        ({"image_size": 28}, 2),
    ],
)
def test_a_file_of_another_setting_is_refused(tmp_path, changes, line):
    Results(tmp_path / "results.csv", flags_of()).add("random", 0, FIRST)
    with pytest.raises(UserError, match=f"line {line} is no search of dataset"):
        Results(tmp_path / "results.csv", flags_of(**changes))


@pytest.mark.parametrize(
    ("was", "now"), [(",0.2500", ""), ("0.5000", "half"), ("1 0 12", "1 zero 12"), ("random,0", "random,nought")]
)
def test_a_damaged_line_is_refused(tmp_path, was, now):
    """Short by its end, or with a word in the place of a number."""
    path, flags = tmp_path / "results.csv", flags_of()
    Results(path, flags).add("random", 0, FIRST)
    path.write_text(path.read_text().replace(was, now))
    with pytest.raises(
        UserError, match=r"results\.csv: line 2 is no search of dataset fashion.npz, image_size 14, trials 20, steps 50"
    ):
        Results(path, flags)


def test_what_was_measured_is_written_as_it_stands(tmp_path):
    path, flags = tmp_path / "results.csv", flags_of(trials=200, rest=["--valid_fraction=0.05"])
    path.write_text(MEASURED.read_text())
    results = Results(path, flags)
    (strategy, seed), ended = next(iter(results.searches.items()))
    results.add(strategy, seed, ended)
    assert path.read_text() == MEASURED.read_text()


def test_few_searches_of_a_strategy_have_the_interval_of_few_and_one_has_none(capsys):
    """Rewards of 0.2, 0.4 and 0.6: 0.4 +- t(0.975, 2) 0.2 / sqrt(3)."""
    for seeds, said in ((1, "50: 0.200; "), (3, "50: 0.400 +- 0.497; ")):
        runs = {
            ("space", "ppo", seed): dict.fromkeys((50, 100, 150, 200), (0.2 + 0.2 * seed, 0.0)) for seed in range(seeds)
        }
        _say("space", "ppo", runs, Path("not read"))
        assert said in capsys.readouterr().out
