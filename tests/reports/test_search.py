"""What a search says of its pictures and its controller."""

from __future__ import annotations

import dataclasses

import pytest

from bench.drawn import drawn_pictures
from controller.strategy import Outcome, Proposal, Trial
from nasnet.data.dataset import Split
from nasnet.execution.job import Job
from nasnet.reports.search import at_work, say_pictures, say_ranking, say_updates, show_finalist, show_finalist_run
from nasnet.trials.finalists import Finalist
from nasnet.trials.journal import FinalistRun, Journal
from nasnet.trials.retries import RetryingEngine


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


def test_a_finalists_training_is_told_by_its_accuracy(capsys):
    """It is no reward where a latency makes one of it."""
    show_finalist_run(FinalistRun(7, 1, Outcome.OK, 0.9, 3.2), 1, 6, None)
    assert capsys.readouterr().out == "finalist run 1/6  trial 7, start 1  accuracy 0.9000  3.2 s\n"


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
