"""A network's figures, class by class, against values counted by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from nasnet.reports.evaluation import _draw, draw_confusion, figures, no_better_than_one_answer
from nasnet.runtime.errors import UserError

LABELS = np.array([0, 0, 0, 1, 1, 2])
ANSWERS = np.array([0, 0, 1, 1, 1, 1])
CLASSES = ("cat", "dog", "$fox_", "猫")


def of_answers(labels: np.ndarray, answers: np.ndarray, classes: tuple[str, ...]) -> dict:
    logits = np.zeros((len(labels), len(classes)), np.float32)
    logits[np.arange(len(labels)), answers] = 2.0
    return figures(labels, logits, classes)


def test_the_figures_are_those_counted_by_hand():
    found = of_answers(LABELS, ANSWERS, CLASSES)
    assert json.loads(json.dumps(found)) == found
    assert (found["pictures"], found["correct"], found["accuracy"]) == (6, 4, 4 / 6)
    assert found["confusion"] == [[2, 1, 0, 0], [0, 2, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert [(one["name"], one["pictures"], one["precision"], one["recall"]) for one in found["classes"]] == [
        ("cat", 3, 1.0, 2 / 3),
        ("dog", 2, 0.5, 1.0),
        ("$fox_", 1, None, 0.0),  # never answered
        ("猫", 0, None, None),
    ]
    right, wrong = -2 + math.log(math.e**2 + 3), math.log(math.e**2 + 3)
    assert found["loss"] == pytest.approx((4 * right + 2 * wrong) / 6, rel=1e-6)


@pytest.mark.parametrize(("correct", "count"), [(0, 1), (1, 1), (4, 6), (397, 400)])
def test_the_interval_is_wilsons(correct, count):
    """Wilson 1927: where |p - share| is 1.96 standard deviations of a share of p."""
    z, share = 1.959963984540054, correct / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    answers = np.where(np.arange(count) < correct, 0, 1)
    found = of_answers(np.zeros(count, int), answers, ("a", "b"))["accuracy_95"]
    np.testing.assert_allclose(found, [middle - half, middle + half], atol=1e-12)


def test_where_the_picture_cannot_be_written_it_is_named(tmp_path):
    (tmp_path / "confusion.png").mkdir()
    found = of_answers(np.zeros(2, int), np.zeros(2, int), ("a", "b"))
    with pytest.raises(UserError, match=rf"{tmp_path}/confusion.png: cannot be written"):
        draw_confusion(tmp_path / "confusion.png", {"valid": found})
    assert [path.name for path in tmp_path.iterdir()] == ["confusion.png"]


def test_the_picture_has_classes_down_answers_across_and_shares_of_each_class():
    axes = Figure().subplots()
    _draw(axes, "valid", of_answers(LABELS, ANSWERS, CLASSES))
    shares = [[2 / 3, 1 / 3, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(np.asarray(axes.images[0].get_array()), shares)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("answer", "class")
    assert [label.get_text() for label in axes.get_yticklabels()] == list(CLASSES)
    assert {(text.get_position(), text.get_text()) for text in axes.texts} == {
        ((0, 0), "2"),
        ((1, 0), "1"),
        ((1, 1), "2"),
        ((1, 2), "1"),
    }


@pytest.mark.parametrize("classes", [2, 40, 1000])
def test_the_picture_stays_of_a_size_that_can_be_looked_at(classes, tmp_path):
    rng = np.random.default_rng(0)
    labels, answers = rng.integers(0, classes, (2, 50))
    found = of_answers(labels, answers, tuple(f"$a_{i}猫" * 9 for i in range(classes)))
    draw_confusion(tmp_path / "confusion.png", {"valid": found, "test": found})
    with Image.open(tmp_path / "confusion.png") as picture:
        picture.load()
        assert 500 < picture.width < 2500
        assert 300 < picture.height < 1500
    assert [path.name for path in tmp_path.iterdir()] == ["confusion.png"]


@pytest.mark.parametrize(
    ("right", "labels", "share"),
    [
        (4, [1] * 4 + [0] * 2, "0.6667"),  # answers the largest class each time, or as if
        (1, [0, 1, 2], "0.3333"),  # at chance among equals
        (5, [1] * 4 + [0] * 2, None),
        (0, [2] * 6, None),  # one class alone: nothing to tell from
    ],
)
def test_no_better_than_always_naming_the_largest_class_is_said(right, labels, share):
    said = no_better_than_one_answer(right / len(labels), np.array(labels), ("cat", "dog", "it's"))
    assert (said is None) == (share is None)
    if share == "0.6667":
        assert said == "no more than naming each picture 'dog', the largest class, would have right (0.6667)"
