"""What a record may hold: the reader and `jsonschema`, a reader by other hands, take the same."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bench.mutations import HOSTILE
from controller.policy.figures import UpdateFigures
from controller.strategy import Outcome, Proposal, Trial
from nasnet.runtime.errors import UserError
from nasnet.runtime.schema import schema
from nasnet.trials.journal import FinalistRun, Journal
from nasnet.trials.loop.records import KINDS as NAMES
from nasnet.trials.loop.records import check_record
from tests.support.taken import check_takes

SCHEMA = schema("journal")
KINDS = {kind: jsonschema.Draft7Validator({**SCHEMA["$defs"][kind], "$defs": SCHEMA["$defs"]}) for kind in NAMES}


TAKES = {
    "header": {"whole": "measure"},
    "proposal": {
        "whole": "trial_id",
        "numbers": "tokens log_probs",
        "integer": "tokens.0",
        "any number": "log_probs.0",
    },
    "rung": {
        "whole": "trial_id",
        "count": "rung",
        "finite": "reward seconds figures.accuracy figures.latency_ms",
        "object": "figures",
        "none": "time",
    },
    "promotion": {"count": "rung", "numbers": "going ending", "whole": "going.0 ending.0"},
    "trial": {
        "whole": "trial_id parameters mult_adds",
        "none": "outcome time",
        "text": "cause",
        "object": "figures",
        "finite": "reward seconds figures.accuracy figures.latency_ms earlier.0",
        "numbers": "earlier",
    },
    "update": {"count": "updates", "any number": "mean_reward baseline loss entropy approx_kl clip_fraction"},
    "attempt": {"text": "child cause"},
    "finalist": {"whole": "trial_id start", "none": "outcome", "null": "reward", "finite": "seconds", "text": "cause"},
}
"""Kind -> what each of its keys takes (tests/support/taken.py)."""
MAY_LACK = {
    "header": "measure",
    "rung": "figures figures.accuracy figures.latency_ms time",
    "trial": "figures figures.accuracy figures.latency_ms earlier parameters mult_adds time",
}


def written(path: Path) -> list[dict[str, Any]]:
    """A record of each kind, as a journal writes it, with every key that it can have."""
    journal, latency = Journal(path), {"accuracy": 0.5, "latency_ms": 2.0}
    for number in range(2):
        journal.propose(Proposal(number, (number, 1), (-0.5, 0.0)))
        journal.end_rung(Trial(journal.proposals[number], Outcome.OK, 0.5, 1.0, "", latency), 1.0)
    journal.promote(1, [0], [1])
    last = Trial(journal.proposals[0], Outcome.OK, 0.75, 2.0, "", latency, (0.5,))
    journal.finish(last, {"parameters": 12, "mult_adds": 340})
    journal.lose_attempt("trial_1", "SIGKILL")
    journal.add_update(UpdateFigures(1, 0.1, 0.2, -1e-30, 45.5, 1e-3, 0.25))
    journal.finish_finalist(FinalistRun(0, 1, Outcome.NAN, None, 2.0, "nan"))
    return [json.loads(line) for line in path.read_text().splitlines()]


def taken(record: Any) -> str | None:
    """What the reader says of a record; None where it takes it."""
    try:
        check_record(record)
    except ValueError as error:
        return str(error)
    return None


def test_what_is_written_is_what_both_describe_key_by_key(tmp_path):
    records = written(tmp_path / "j")
    assert {record["kind"] for record in records} == set(NAMES) == set(SCHEMA["$defs"])
    for record in records:
        assert set(record) == set(SCHEMA["$defs"][record["kind"]]["properties"])
        jsonschema.validate(record, SCHEMA)
        assert taken(record) is None


def test_keys_that_are_missing_and_that_are_not_known_are_refused_by_name_by_both(tmp_path):
    for record in written(tmp_path / "j"):
        kind = record["kind"]
        for key in record.keys() - {"kind"}:
            without = {name: value for name, value in record.items() if name != key}
            said = taken(without)
            assert (
                (said is not None) == (not KINDS[kind].is_valid(without)) == (key in SCHEMA["$defs"][kind]["required"])
            )
            assert said is None or key in said
        said = taken({**record, "tokns": 1})
        assert said is not None
        assert "'tokns'" in said
        assert not KINDS[kind].is_valid({**record, "tokns": 1})


def test_each_key_takes_what_it_is_and_nothing_else(tmp_path):
    for record in written(tmp_path / "j"):
        kind = record["kind"]
        short = {name: of[:1] if isinstance(of, list) else of for name, of in record.items()}
        check_takes(lambda value: taken(value) is None, short, TAKES[kind], MAY_LACK.get(kind, ""))


def test_both_take_the_same_values(tmp_path):
    outcomes = set()
    for record in written(tmp_path / "j"):
        kind = record["kind"]
        for key in record.keys() - {"kind"}:
            for value in (*HOSTILE, "lost", [1, 2], [0.5], {"a": 0.5}, {"a": "b"}, [True], [10**400], 10**400):
                said = taken({**record, key: value})
                assert (said is None) == KINDS[kind].is_valid({**record, key: value}), (key, value, said)
                assert said is None or key in said or "version" in said or "reward" in said
                assert said is None or len(said) < 600
                outcomes.add(said is None)
    assert outcomes == {True, False}


@pytest.mark.parametrize("said", ["NaN", "Infinity", "-Infinity", "1e999", "1" + 400 * "0"])
@pytest.mark.parametrize(("kind", "key"), [("rung", "seconds"), ("trial", "reward"), ("trial", "earlier")])
def test_what_is_no_finite_number_is_no_reward_and_no_time(tmp_path, kind, key, said):
    records = written(tmp_path / "j")
    number = next(index for index, record in enumerate(records) if record["kind"] == kind)
    value = [0.25, "VALUE"] if key == "earlier" else "VALUE"
    lines = [json.dumps(record) for record in records]
    lines[number] = json.dumps({**records[number], key: value}).replace('"VALUE"', said)
    (tmp_path / "j").write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(UserError, match=rf"j:{number + 1}: not a record of this version \(its {key}"):
        Journal(tmp_path / "j", reads_only=True)


def test_whatever_is_nested_too_deeply_is_one_line_at_every_depth(tmp_path):
    """There is one at which a line can be read still, and what it holds can't be said any more."""
    header = '{"kind": "header", "version": 1}\n'
    for depth in range(900, 1001):
        record = f'{{"kind": "proposal", "trial_id": {depth * "["}{depth * "]"}, "tokens": [], "log_probs": []}}\n'
        (tmp_path / "j").write_text(header + record + header)
        with pytest.raises(UserError, match=r"j:2: not a record") as refused:
            Journal(tmp_path / "j", reads_only=True)
        assert "\n" not in str(refused.value)


def test_numbers_of_a_controller_that_diverged_are_read_back(tmp_path):
    journal = Journal(tmp_path / "j")
    journal.propose(Proposal(0, (1,), (float("-inf"),)))
    journal.add_update(UpdateFigures(1, 0.1, 0.2, float("nan"), 45.5, float("inf"), 0.25))
    again = Journal(tmp_path / "j", reads_only=True)
    assert again.proposals == journal.proposals
    assert repr(again.updates) == repr(journal.updates)


def test_whole_numbers_may_be_written_with_a_point(tmp_path):
    """JSON has one kind of number; what a run goes on from is the same."""
    written(tmp_path / "j")
    text = (tmp_path / "j").read_text()
    (tmp_path / "k").write_text(
        text.replace('"trial_id": 0', '"trial_id": 0.0').replace('"tokens": [0', '"tokens": [0.0')
    )
    assert (tmp_path / "k").read_text().count("0.0") > text.count("0.0") + 3
    one, other = (Journal(tmp_path / name, reads_only=True) for name in "jk")
    assert repr((one.proposals, one.trials, one.finalists)) == repr((other.proposals, other.trials, other.finalists))


def test_a_reward_is_of_what_succeeded_and_of_nothing_else(tmp_path):
    for record in written(tmp_path / "j"):
        if record["kind"] in ("trial", "finalist"):
            for outcome, reward in itertools.product(
                Outcome, (None, -1e308, 0, 0.5, "0.5", float("-inf"), float("inf"))
            ):
                fits = reward is None if outcome is not Outcome.OK else reward in (-1e308, 0, 0.5)
                said = taken({**record, "outcome": str(outcome), "reward": reward})
                assert said is None if fits else "its reward is " in str(said)
            assert "its outcome is 'fine'; expected one of ok, " in str(
                taken({**record, "outcome": "fine", "reward": None})
            )


@pytest.mark.parametrize("record", [None, 1, "trial", [], {}, {"kind": "trail"}, {"kind": ["trial"]}, {"kind": None}])
def test_what_is_of_no_kind_is_refused_by_both(record):
    said = taken(record)
    assert said is not None
    assert "expected one of header, proposal, rung, promotion, trial, update, attempt, finalist" in said
    assert not jsonschema.Draft7Validator(SCHEMA).is_valid(record)


@pytest.mark.parametrize(
    "change",
    [
        {"rung": 0},
        {"rung": 2},
        {"going": [0, 0]},
        {"going": [0, 1]},
        {"ending": [1, 1]},
        {"ending": [2]},
        {"going": []},
    ],
)
def test_a_promotion_decides_once_on_each_that_stands_there(tmp_path, change):
    """Where it leaves one out that one waits: that is all that a reader takes."""
    records = written(tmp_path / "j")
    number = next(index for index, record in enumerate(records) if record["kind"] == "promotion")
    until = [*records[:number], {**records[number], **change}]
    (tmp_path / "j").write_text("".join(f"{json.dumps(record)}\n" for record in until))
    if change == {"going": []}:
        assert Journal(tmp_path / "j", reads_only=True).goes_on == {(1, 1): False}
        return
    with pytest.raises(UserError, match=rf"j:{number + 1}: not a record of this version \("):
        Journal(tmp_path / "j", reads_only=True)


def test_a_journal_names_file_line_key_value_and_what_was_expected(tmp_path):
    written(tmp_path / "j")
    lines = (tmp_path / "j").read_text().splitlines()
    for change, said in (
        ({"reward": "0.5"}, "its reward is '0.5'; expected a finite number"),
        (
            {"rewrad": 0.5},
            "its key 'rewrad' is not known; expected kind, trial_id, rung, reward, seconds, figures, time",
        ),
        ({"trial_id": 7}, "trial 7 was not proposed before"),
    ):
        changed = json.dumps({**json.loads(lines[2]), **change})
        (tmp_path / "j").write_text("".join(f"{line}\n" for line in [*lines[:2], changed, *lines[3:]]))
        with pytest.raises(UserError) as refused:
            Journal(tmp_path / "j", reads_only=True)
        assert str(refused.value) == f"{tmp_path / 'j'}:3: not a record of this version ({said})"
