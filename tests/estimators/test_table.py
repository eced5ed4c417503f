"""Tables of known results: what is read, by hand and drawn; and each way in which a file can be wrong."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cells.spaces.nasnet import NASNetSpace
from controller.random_search import RandomSearch
from nasnet.estimators.table import Choices, Known, TableEstimator, read_table
from nasnet.runtime.errors import UserError
from tests.support.tables import written_table

SMALL = """\
op,width,reward,test,seconds
conv,10,0.5,0.25,3
pool, 9 ,0.75,0.5,1e1

conv,9,-2,0.125,0
"""


def made(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_table_by_hand(tmp_path):
    table = read_table(made(tmp_path, SMALL))
    assert table.options == {"op": ("conv", "pool"), "width": ("9", "10")}  # 9 before 10: by value
    assert [(decision.name, decision.size) for decision in table.decisions] == [("op", 2), ("width", 2)]
    assert table.known == {
        (0, 1): Known(0.5, 0.25, 3.0),
        (1, 0): Known(0.75, 0.5, 10.0),
        (0, 0): Known(-2.0, 0.125, 0.0),
    }
    assert table.best == 0.75
    assert [table.place(reward) for reward in (0.75, 0.6, 0.5, -2.0, -3.0)] == [1, 2, 2, 3, 4]
    estimate = TableEstimator(table).estimate(table.decode((1, 0)), "trial_7")
    assert (estimate.reward, estimate.timing.seconds) == (0.75, 10.0)
    assert table.why_invalid(table.decode((1, 1))) == "not in the table"
    assert table.why_invalid(table.decode((1, 0))) is None
    assert table.decode((1, 0)).to_json() == {
        "version": 1,
        "kind": "choices",
        "options": {"op": "pool", "width": "9"},
    }


def test_columns_stand_in_any_order_and_two_may_be_missing(tmp_path):
    table = read_table(made(tmp_path, "\ufeffreward,b,a\r\n1.5,x,y\r\n1,x,z\r\n1.5,x,y\r\n"))
    assert table.options == {"b": ("x",), "a": ("y", "z")}
    assert table.known == {(0, 0): Known(1.5), (0, 1): Known(1.0)}
    assert TableEstimator(table).estimate(table.decode((0, 1)), "trial_0").timing.seconds == 0.0


@pytest.mark.parametrize(
    ("options", "order"),
    [
        (["10", "9", "1e1", "-3"], ["-3", "9", "10", "1e1"]),
        (["10", "9", "b"], ["10", "9", "b"]),
        (["nan", "10", "9"], ["10", "9", "nan"]),
        (["inf", "2", "10"], ["10", "2", "inf"]),
    ],
)
def test_options_are_sorted_by_value_where_all_are_numbers(tmp_path, options, order):
    lines = "".join(f"{option},{place}\n" for place, option in enumerate(options))
    assert read_table(made(tmp_path, f"a,reward\n{lines}")).options == {"a": tuple(order)}


@pytest.mark.parametrize("seed", range(3))
def test_a_drawn_table_comes_back_whatever_the_order_of_its_lines(tmp_path, seed):
    rng = np.random.default_rng(seed)
    path, values = written_table(tmp_path / "table.csv", (3, 4, 2), rng, missing=5)
    table = read_table(path)
    names = list(table.options)
    for row, (reward, test) in values.items():
        tokens = table.encode(Choices(tuple(zip(names, row, strict=True))))
        assert table.known[tokens] == Known(reward, test)
        assert table.decode(tokens).options == tuple(zip(names, row, strict=True))
    whole = set(itertools.product(*(range(decision.size) for decision in table.decisions)))
    missing = {tokens for tokens in whole if table.why_invalid(table.decode(tokens))}
    assert missing == whole - set(table.known)
    assert len(missing) == 5
    first, *lines = path.read_text().splitlines()
    rng.shuffle(lines)
    (tmp_path / "shuffled.csv").write_text("\n".join([first, *lines]))
    shuffled = read_table(tmp_path / "shuffled.csv")
    assert (shuffled.options, shuffled.known) == (table.options, table.known)
    assert shuffled.sha256 != table.sha256


def test_what_is_no_tuple_of_the_table_is_refused(tmp_path):
    table = read_table(made(tmp_path, SMALL))
    with pytest.raises(ValueError, match="takes 0 to 1, got 2"):
        table.decode((0, 2))
    space = NASNetSpace(1)
    for other in (Choices((("op", "conv"),)), space.decode(RandomSearch(space.decisions, 0).propose(0).tokens)):
        with pytest.raises(ValueError, match="the table's decisions are op, width"):
            table.encode(other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "{path}: is empty; expected a column for each decision, and reward"),
        ("\n\n", "{path}: is empty"),
        ("a,reward\n", "{path}: has no line after its first"),
        ("a,b\n1,2\n", "{path}:1: no column reward among a, b"),
        ("a,Reward\n1,2\n", "{path}:1: no column reward"),
        ("reward,test\n1,2\n", "{path}:1: no column of a decision among reward, test"),
        ("a,a,reward\n1,2,3\n", "{path}:1: two columns are named a"),
        ("a,reward,reward\n1,2,3\n", "{path}:1: two columns are named reward"),
        ("a,,reward\n1,2,3\n", "{path}:1: column 2 has no name"),
        ("a,reward\n1,0.5\n2,\n", "{path}:3: reward is empty"),
        ("a,reward\n1,0.5\n,1\n", "{path}:3: a is empty"),
        ("a,reward\n1,0.5\n\n2,nan\n", "{path}:4: reward is 'nan'; expected a finite number"),
        ("a,reward\n1,inf\n", "{path}:2: reward is 'inf'"),
        ("a,reward\n1,1e999\n", "{path}:2: reward is '1e999'"),
        ("a,reward\n1,1_0\n", "{path}:2: reward is '1_0'"),
        ("a,reward\n1,half\n", "{path}:2: reward is 'half'"),
        ("a,reward,test\n1,1,-inf\n", "{path}:2: test is '-inf'"),
        ("a,reward,seconds\n1,1,-1\n", "{path}:2: seconds is '-1'; expected a finite number of 0 or more"),
        ("a,reward\n1,0.5\n2\n", "{path}:3: 1 values; expected 2, one for each column of line 1"),
        ("a,reward\n1,0.5\n2,1,3\n", "{path}:3: 3 values; expected 2"),
        ('a,reward\n1,0.5\n"2,1\n', "{path}:3: not a line of a CSV file"),
        ('a,reward\n"1"2,0.5\n', "{path}:2: not a line of a CSV file"),
        ("a,reward\n1,0.5\n2,1\n1,0.6\n", "{path}:4: a=1 stands in line 2 with another reward, 0.5 and here 0.6"),
        ("a,reward,test\n1,1,2\n1,1,3\n", "{path}:3: a=1 stands in line 2 with another test, 2 and here 3"),
        (b"a,reward\n1,0.5\n\xff,1\n", "{path}:3: not UTF-8"),
    ],
)
def test_a_wrong_file_is_one_line_that_says_where(tmp_path, text, message):
    path = made(tmp_path, text)
    with pytest.raises(UserError) as refused:
        read_table(path)
    assert str(refused.value).startswith(message.format(path=path))
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    for path, why in ((tmp_path / "none.csv", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(UserError, match=f"{path}: cannot be read .{why}"):
            read_table(path)
