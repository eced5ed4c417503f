"""What a search says of its pictures and its controller."""

from __future__ import annotations

import dataclasses

import pytest

from bench.drawn import drawn_pictures
from nasnet.data.dataset import Split
from nasnet.reports.search import say_pictures, say_updates


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
