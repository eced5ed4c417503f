"""The front of drawn points against every pair of them; its file and its lines."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest

from nasnet.reports.pareto import Point, front, report_front


def beaten(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether `other`, (accuracy, cost), is as good at both and better at one."""
    return other[0] >= one[0] and other[1] <= one[1] and other != one


@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_what_no_pair_takes_away(seed):
    draw = np.random.default_rng(seed)
    count = int(draw.integers(1, 30))
    points = [tuple(map(float, point)) for point in draw.integers(0, 8, (count, 2))]  # ties are frequent
    found = front([point[0] for point in points], [point[1] for point in points])
    expected = {point for point in points if not any(beaten(point, other) for other in points)}
    assert {points[index] for index in found} == expected
    assert len(found) == len(expected)
    assert [points.index(points[index]) for index in found] == found, "of equals the first"
    costs = [points[index][1] for index in found]
    assert costs == sorted(costs)


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_file_and_the_lines_with_latencies(tmp_path, capsys):
    points = [Point(3, 0.5, 100, 7, 2.0), Point(5, 0.4, 50, 7, 3.0), Point(6, 0.75, 90, 9, 4.5)]
    report_front(points, tmp_path / "pareto.csv")
    rows = read(tmp_path / "pareto.csv")
    assert [row["trial_id"] for row in rows] == ["3", "6"]
    assert rows[1] == {
        "trial_id": "6",
        "accuracy": "0.75",
        "parameters": "90",
        "mult_adds": "9",
        "latency_ms": "4.5",
        "front": "latency_ms",
    }
    said = capsys.readouterr().out
    assert f"accuracy against latency: 2 of 3 trials, in {tmp_path / 'pareto.csv'}\n" in said
    assert "trial    3  accuracy 0.5000  2 ms, 100 parameters" in said


def test_without_latencies_there_is_a_front_for_each_count(tmp_path, capsys):
    points = [Point(0, 0.5, 10, 20), Point(1, 0.5, 20, 10), Point(2, 0.25, 30, 30)]
    report_front(points, tmp_path / "pareto.csv")
    assert [(row["trial_id"], row["front"]) for row in read(tmp_path / "pareto.csv")] == [
        ("0", "parameters"),
        ("1", "mult_adds"),
    ]
    assert "accuracy against parameters: 1 of 3 trials" in capsys.readouterr().out
    report_front([points[0], dataclasses.replace(points[1], latency_ms=2.0)], tmp_path / "pareto.csv")
    assert "accuracy against parameters: 1 of 2 trials" in capsys.readouterr().out


def test_a_long_front_is_shown_from_end_to_end(tmp_path, capsys):
    points = [Point(number, number / 50, number, number, float(number)) for number in range(1, 41)]
    report_front(points, tmp_path / "pareto.csv")
    lines = capsys.readouterr().out.splitlines()
    expected = f"40 of 40 trials, 6 of them below, all in {tmp_path / 'pareto.csv'}"
    assert lines[0] == f"Pareto front, accuracy against latency: {expected}"
    assert len(lines) == 1 + 6
    assert lines[1].split()[1] == "1"
    assert lines[-1].split()[1] == "40"
    assert len(read(tmp_path / "pareto.csv")) == 40
    report_front([], tmp_path / "none.csv")
    assert not (tmp_path / "none.csv").exists()
