"""A table of made-up numbers: what it says of a network, by hand; what it says of itself; its file."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from nasnet.networks.latency.calls import Call
from nasnet.networks.latency.table import LatencyTable, Time, rows_of

TABLE = LatencyTable(
    "tensorflow", {"relu": ((10, 1.0), (20, 3.0)), "concat": ((6, 0.5),), "dense": ((100, 8.0),)}, 0.25
)


def relu(size: int) -> Call:
    return Call("relu", ((size, 1, 1),), (size, 1, 1))


def test_a_sum_by_hand():
    concat = Call("concat", ((1, 1, 1), (1, 1, 2)), (1, 1, 3))
    assert TABLE.seconds([]) == 0.25
    assert TABLE.seconds([relu(5), relu(5), concat]) == 0.25 + 1 + 1 + 0.5


@pytest.mark.parametrize(
    ("size", "seconds"),
    [(1, 1.0), (5, 1.0), (6, 1.4), (10, 3.0), (20, 6.0)],
    ids=["below the least", "a row", "between rows", "the last row", "twice the last: twice its time"],
)
def test_sizes_that_were_not_timed(size, seconds):
    assert TABLE.sum([relu(size)]) == pytest.approx(0.25 + seconds)


def test_a_kind_without_a_row_is_as_slow_as_the_slowest_like_it():
    rows = {"conv 3x3": ((10, 1.0),), "conv 5x5": ((10, 2.0),), "relu": ((10, 9.0),)}
    table = LatencyTable("litert", rows, 0.0)
    conv = Call("conv", ((1, 1, 1),), (1, 1, 1), (1, (1, 1)))  # of 3 work
    assert table.sum([conv]) == 2.0
    assert table.sum([Call("tanh", ((1, 1, 1),), (1, 1, 1))]) == 9.0


def test_whole_networks_scale_the_sums_and_tell_the_error():
    table = TABLE.calibrated([(1.0, 2.0), (2.0, 4.0), (1.0, 2.5), (4.0, 6.0)])  # ratios 2, 2, 2.5, 1.5
    assert table.scale == 2.0
    assert table.seconds([relu(5)]) == 2.5
    # Each by the median of the other three's ratios: 2, 2, 2, 2.
    assert table.errors == pytest.approx((0.0, 0.0, 2 / 2.5 - 1, 2 / 1.5 - 1))
    sizes = [0.0, 0.0, 0.2, 1 / 3]
    middle, most = np.percentile(sizes, (50, 90))
    assert table.describe().endswith(f"of 4 whole networks median error {middle:.0%}, {most:.0%} at 90%")
    assert "4 operations on tensorflow" in table.describe()


def test_its_file_gives_the_same_numbers():
    table = TABLE.calibrated([(1 / 3, 2 / 7), (0.1, 0.3)])
    again = LatencyTable.from_json(json.loads(json.dumps(table.to_json())))
    assert again == table
    assert again.seconds([relu(7)]) == table.seconds([relu(7)])


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda v: v.pop("rows"), "its rows is missing"),
        (lambda v: v.update(version=1), "version 1"),
        (lambda v: v["rows"].update(relu=[[10]]), r"its rows.relu\[0\] is \[10\]; expected a list"),
        (lambda v: v["rows"].update(relu=[]), r"its rows.relu is \[\]"),
        (lambda v: v["rows"].update(relu=[[10, -1.0]]), r"its rows.relu\[0\]\[1\] is -1.0; expected .*0 or more"),
        (lambda v: v["rows"].update(relu=[[20, 1.0], [10, 1.0]]), "its rows of 'relu' are out of order"),
        (lambda v: v.update(scale=float("nan")), "one of its times is no number"),
        (lambda v: v.update(spread=float("nan")), "one of its times is no number"),
        (lambda v: v.update(whole=[[0.5, float("nan")]]), "one of its times is no number"),
        (lambda v: v.update(whole=[[0.0, 0.5]]), r"its whole\[0\]\[0\] is 0.0; expected a finite number, above 0"),
        (lambda v: v.update(whole=[[0.5, 0]]), r"its whole\[0\]\[1\] is 0; expected a finite number, above 0"),
        (lambda v: v["rows"].update(relu=[[0, 1.0]]), r"its rows.relu\[0\]\[0\] is 0; expected .*1 or more"),
        (lambda v: v.update(scale=0.0), "its scale is 0.0; expected .*above 0"),
        (lambda v: v.update(start="quick"), "its start is 'quick'"),
        (lambda v: v.update(rows=[]), r"its rows is \[\]; expected an object"),
        (lambda v: v.update(on="a phone"), "its on is 'a phone'; expected one of tensorflow, litert"),
    ],
)
def test_a_broken_file_is_told(broken, said):
    value = copy.deepcopy(json.loads(json.dumps(TABLE.to_json())))
    broken(value)
    with pytest.raises(ValueError, match=said):
        LatencyTable.from_json(value)
    with pytest.raises(ValueError, match="expected an object"):
        LatencyTable.from_json([])


def test_the_least_and_the_most_of_each_kind_are_timed_and_few_between():
    networks = [[relu(size) for size in range(1, 40, step)] + [Call("add", ((1,), (1,)), (1,))] for step in (1, 2, 3)]
    rows = rows_of(networks)
    assert [call.kind for call in rows].count("add") == 1
    sizes = [call.work // 2 for call in rows if call.kind == "relu"]
    assert len(sizes) == 6
    assert (min(sizes), max(sizes)) == (1, 39)
    many = [[Call(f"made_up_{kind}", ((size,),), (size,)) for kind in range(300) for size in range(1, 9)]]
    assert len(rows_of(many)) == 2 * 300


def test_a_time_is_the_median_and_how_far_apart_the_runs_are():
    assert Time.of([*range(11)]) == Time(5.0, 8.0)
