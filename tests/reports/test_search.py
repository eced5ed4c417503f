"""What a search says of its pictures and its controller."""

from __future__ import annotations

import dataclasses

import pytest

from bench.drawn import drawn_pictures
from cells.spaces.nasnet import NASNetSpace
from controller.random_search import RandomSearch
from controller.strategy import Outcome, Proposal, Trial
from nasnet.data.dataset import Split
from nasnet.estimators.estimator import Timing
from nasnet.execution.config import ExecutionConfig
from nasnet.execution.job import Job
from nasnet.reports.intervals import half_width
from nasnet.reports.search import (
    at_work,
    say_pictures,
    say_ranking,
    say_search,
    say_seconds,
    say_updates,
    show_finalist,
    show_finalist_run,
)
from nasnet.training.config import TrainingConfig
from nasnet.trials.finalists import Finalist
from nasnet.trials.journal import FinalistRun, Journal
from nasnet.trials.retries import RetryingEngine
from nasnet.trials.search import Search


@pytest.mark.parametrize(
    ("pictures", "said"), [(36, "steps of 0.028, and its 95% interval at 0.5 is +-0.16"), (385, "")]
)
def test_a_valid_split_too_small_to_rank_by_is_said(pictures, said, capsys):
    data = drawn_pictures(8, train=32)
    rows = [index % len(data.train) for index in range(pictures)]
    valid = dataclasses.replace(data.train, images=data.train.images[rows], labels=data.train.labels[rows])
    assert isinstance(valid, Split)
    say_pictures(dataclasses.replace(data, valid=valid, has_test=True), "--valid_fraction")
    out = capsys.readouterr().out
    assert (said in out) if said else not out


def test_a_test_split_without_labels_is_said(capsys):
    data = drawn_pictures(8, train=32)
    say_pictures(dataclasses.replace(data, has_test=False), "--valid_fraction")
    assert "goes on without a test score" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("trials", "said"),
    [(6, "6 trials are fewer than the 20 of an update"), (20, "are 1 update of"), (45, "are 2 updates of"), (500, "")],
)
def test_how_often_the_controller_learned_is_said_right(trials, said, capsys):
    say_updates(trials, 20)
    out = capsys.readouterr().out
    assert (said in out) if said else not out


def finalist(number, *rewards, failed=0, factor=1.0):
    return Finalist(Trial(Proposal(number, (0,), (0.0,)), Outcome.OK, 0.5, 1.0), rewards, failed, 0.1, factor)


def test_finalists_are_shown_with_an_interval_and_ties_are_called_so(capsys):
    """Of shares p of n pictures: 1.96 sqrt(p (1 - p) / n), and more where the starts differ."""
    show_finalist(finalist(7, 0.9, 0.9), 1, 400)
    assert "trained longer 0.9000 0.9000; mean 0.9000 +- 0.0295" in capsys.readouterr().out
    show_finalist(finalist(7, failed=2), 1, 400)
    assert capsys.readouterr().out.endswith("trained longer 2 failed, counted as 0.1000\n")
    say_ranking([finalist(7, 0.9, 0.91), finalist(8, 0.89, 0.89), finalist(9, 0.7, 0.7), finalist(3, failed=2)], 400)
    ranked, note = capsys.readouterr().out.splitlines()
    assert ranked == "ranked by the longer training: trial 7 > trial 8 > trial 9 > trial 3"
    assert note.startswith("note: trial 7 cannot be told from trial 8 by these 400 pictures and 2 starts: ")
    say_ranking([finalist(7, 0.9), finalist(8, 0.89)], 400)
    assert "by these 400 pictures and one start: it is first" in capsys.readouterr().out
    say_ranking([finalist(7, 0.9, 0.91), finalist(8, 0.89, 0.89)], 40_000)
    assert "cannot be told" in capsys.readouterr().out  # by 40,000 pictures, but by two starts
    say_ranking([finalist(7, 0.9, 0.9), finalist(8, 0.88, 0.88)], 40_000)
    assert "cannot be told" not in capsys.readouterr().out


def test_an_interval_says_what_it_is_over_and_is_never_one_of_nothing(capsys):
    """One start tells of no others; all pictures right is no proof that all others would be."""
    show_finalist(finalist(7, 0.9), 1, 400)
    assert capsys.readouterr().out.endswith("; mean 0.9000 +- 0.0295 over other pictures alone\n")
    show_finalist(finalist(7, 1.0, 1.0), 1, 36)
    assert capsys.readouterr().out.endswith("; mean 1.0000\n")


def test_ties_are_of_what_finalists_are_ranked_by(capsys):
    """Of one accuracy, and one of them by far too slow; of two accuracies that their latencies make up for."""
    say_ranking([finalist(1, 0.9, 0.9), finalist(2, 0.9, 0.9, factor=0.8)], 10_000)
    assert "cannot be told" not in capsys.readouterr().out
    say_ranking([finalist(3, 0.85, 0.85, factor=1.1), finalist(4, 0.934, 0.934)], 1_000)
    assert "trial 3 cannot be told from trial 4 by these 1,000 pictures" in capsys.readouterr().out
    # 0.048 apart; 1.96 sqrt((1.1^2 * 0.85 * 0.15 + 0.887 * 0.113) / 400) is 0.0494, and 0.0468 without the factor
    say_ranking([finalist(3, 0.85, factor=1.1), finalist(4, 0.887)], 400)
    assert "cannot be told" in capsys.readouterr().out
    show_finalist(finalist(3, 0.85, 0.85, factor=1.1), 1, 1_000)
    assert capsys.readouterr().out.endswith("; mean 0.8500 +- 0.0222, with its latency 0.9350\n")
    show_finalist(finalist(3, 0.85, 0.85, factor=0.9), 1, 1_000)
    assert capsys.readouterr().out.endswith(", with its latency 0.7650\n")
    # 0.0435 apart; with 1.2^2 of the first one's variance it is 0.0446, and with 1.2 of it 0.0412
    say_ranking([finalist(3, 0.85, factor=1.2), finalist(4, 0.9765)], 400)
    assert "cannot be told" in capsys.readouterr().out


def test_a_start_that_failed_counts_in_what_is_said_as_in_the_rank(capsys):
    """Two starts of 0.9 and one that counts as 0.1 are 0.6333, as sure as starts so far apart are."""
    one, other = finalist(7, 0.9, 0.9, failed=1), finalist(8, 0.5, 0.5, 0.5)
    show_finalist(one, 1, 400)
    half = half_width([(0.6333333 * 0.3666667 / 400, 399), (0.64 / 3 / 3, 2)])
    said = f"trained longer 0.9000 0.9000, 1 failed, counted as 0.1000; mean 0.6333 +- {half:.4f}\n"
    assert capsys.readouterr().out.endswith(said)
    say_ranking([one, other], 400)
    assert "cannot be told from trial 8 by these 400 pictures and 3 starts" in capsys.readouterr().out
    show_finalist(finalist(7, 0.9, failed=1), 1, 400)
    assert "other pictures alone" not in capsys.readouterr().out
    say_ranking([finalist(7, 0.9, failed=1), finalist(8, 0.4, 0.4)], 400)
    assert "by these 400 pictures and 2 starts" in capsys.readouterr().out


def test_a_finalists_training_is_told_by_its_accuracy(capsys):
    """It is no reward where a latency makes one of it."""
    show_finalist_run(FinalistRun(7, 1, Outcome.OK, 0.9, 3.2), 1, 6, None)
    assert capsys.readouterr().out == "finalist run 1/6  trial 7, start 1  accuracy 0.9000  3.2 s\n"


def test_where_the_seconds_went_is_said_of_all_slots(capsys):
    """Children took 60 of the 2 x 40 seconds; the baselines and the winner came after."""
    timing = Timing(tracing=5.0, steps=40.0, scoring=12.0, other=3.0)
    for rest, said in (
        ((30.0, 7.0), "77 s in all: 40 s the search, 30 s the baselines, 7 s the winner and its export"),
        ((0.0, 7.0), "47 s in all: 40 s the search, 7 s the winner and its export"),
        (None, "40 s in all"),
    ):
        say_seconds(timing, 2, 1.0, 40.0, rest)
        in_all, parts = capsys.readouterr().out.splitlines()
        assert in_all == said
        assert parts == (
            "the search's 2 x 40 s: 40 s steps, 12 s scoring, 5 s tracing, 3 s other, 20 s starting and waiting; "
            "1 s controller and journal"
        )


class Busy:
    """An engine whose children never end."""

    slots = free = 9

    def submit(self, job):
        pass

    def collect(self, seconds):
        return []


def test_what_is_at_work_is_called_as_its_other_lines_call_it(tmp_path):
    """A network's own name has an underline, a log's name of it others."""
    engine = RetryingEngine(Busy(), Journal(tmp_path / "j"))
    assert at_work(engine) == "waiting for a worker"
    jobs = Job(2, label="2_nasnet_a_seed_0", called="nasnet_a, seed 0"), Job(7, start=1), Job(3, rung=2), Job(4)
    for job in jobs:
        engine.submit(job)
    assert (
        at_work(engine)
        == "at work on nasnet_a, seed 0 (0:00), finalist 7, start 1 (0:00), trial 3, rung 2 (0:00) and 1 more"
    )


@pytest.mark.parametrize(
    ("ended", "between", "said"),
    [
        ((), (), ""),
        ((0, 1, 2), (), "going on after 3 finished trials\n"),
        ((0, 1, 2), (2, 3, 4), "going on after 3 finished trials and 2 between two rungs\n"),
        ((), (0, 1), "going on after 2 trials that stand between two rungs\n"),
    ],
)
def test_what_a_search_goes_on_after_is_counted_once(tmp_path, capsys, ended, between, said):
    """A trial that ended stood between two rungs before."""
    space, journal = NASNetSpace(1), Journal(tmp_path / "j")
    random = RandomSearch(space.decisions, 0, space.length)
    trials = {number: Trial(random.propose(number), Outcome.OK, 0.5, 1.0) for number in {*ended, *between}}
    for trial in trials.values():
        journal.propose(trial.proposal)
    for number in between:
        journal.end_rung(trials[number], 1.0)
    for number in ended:
        journal.finish(trials[number])
    search = Search(space, random, journal, RetryingEngine(Busy(), journal), 20, wave=6)
    data = drawn_pictures(8, train=32)
    say_search(search, data, "random", "of N=1 F=2", TrainingConfig(steps=9), ExecutionConfig(workers=0))
    assert capsys.readouterr().out == (
        f"searching 10 decisions with random: 20 children of N=1 F=2, 9 steps on 32 pictures of {data.name}\n"
        f"9 at a time in this process, in waves of 6\n{said}"
    )
