"""What a record may hold: the reader and docs/schemas/journal.json, a reader by other hands, take the same."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bench.mutations import HOSTILE
from controller.policy.figures import UpdateFigures
from controller.strategy import Outcome, Proposal, Trial
from nasnet.runtime.errors import UserError
from nasnet.trials.journal import FinalistRun, Journal
from nasnet.trials.loop.records import RECORDS, check_record

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "journal.json").read_text())
KINDS = {kind: jsonschema.Draft202012Validator({**SCHEMA["$defs"][kind], "$defs": SCHEMA["$defs"]}) for kind in RECORDS}


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
    assert {record["kind"] for record in records} == set(RECORDS) == set(SCHEMA["$defs"])
    for record in records:
        kind = record["kind"]
        assert set(record) == {"kind", *RECORDS[kind]} == set(SCHEMA["$defs"][kind]["properties"])
        jsonschema.validate(record, SCHEMA)
        assert taken(record) is None


def test_keys_that_are_missing_and_that_are_not_known_are_refused_by_name_by_both(tmp_path):
    for record in written(tmp_path / "j"):
        kind = record["kind"]
        for key in RECORDS[kind]:
            without = {name: value for name, value in record.items() if name != key}
            said = taken(without)
            assert (said is None) == KINDS[kind].is_valid(without) == (not RECORDS[kind][key].always)
            assert said is None or key in said
        said = taken({**record, "tokns": 1})
        assert said is not None
        assert "'tokns'" in said
        assert not KINDS[kind].is_valid({**record, "tokns": 1})


def test_both_take_the_same_values(tmp_path):
    """But for what JSON has not: numbers without end, and whole numbers that are told from 1.0."""
    outcomes = set()
    for record in written(tmp_path / "j"):
        kind = record["kind"]
        for key in set(RECORDS[kind]) - {"time"}:  # text by its keys; `Journal` reads what it says
            for value in (*HOSTILE, "lost", [1, 2], [0.5], {"a": 0.5}, {"a": "b"}, [True], [10**400], 10**400):
                numbers = value if isinstance(value, list) else [value]
                if any(isinstance(item, float) and (not math.isfinite(item) or item == int(item)) for item in numbers):
                    continue
                if any(isinstance(item, int) and abs(item) > 2**1000 for item in numbers):
                    assert taken({**record, key: value}) is not None or "whole" in RECORDS[kind][key].words
                    continue
                if key == "tokens" and isinstance(value, list):
                    assert (taken({**record, key: value}) is None) == all(type(item) is int for item in value)
                said = taken({**record, key: value})
                assert (said is None) == KINDS[kind].is_valid({**record, key: value}), (key, value, said)
                assert said is None or key in said or "version" in said
                outcomes.add(said is None)
    assert outcomes == {True, False}


@pytest.mark.parametrize("record", [None, 1, "trial", [], {}, {"kind": "trail"}, {"kind": ["trial"]}, {"kind": None}])
def test_what_is_of_no_kind_is_refused_by_both(record):
    said = taken(record)
    assert said is not None
    assert "expected one of header, proposal, rung, promotion, trial, update, attempt, finalist" in said
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(record)


def test_a_journal_names_file_line_key_value_and_what_was_expected(tmp_path):
    written(tmp_path / "j")
    lines = (tmp_path / "j").read_text().splitlines()
    for change, said in (
        ({"reward": "0.5"}, "its reward is '0.5'; expected a finite number"),
        (
            {"rewrad": 0.5},
            "its key 'rewrad' is not known of a rung; expected trial_id, rung, reward, seconds, figures, time",
        ),
        ({"trial_id": 7}, "trial 7 was not proposed before"),
    ):
        changed = json.dumps({**json.loads(lines[2]), **change})
        (tmp_path / "j").write_text("".join(f"{line}\n" for line in [*lines[:2], changed, *lines[3:]]))
        with pytest.raises(UserError) as refused:
            Journal(tmp_path / "j", reads_only=True)
        assert str(refused.value) == f"{tmp_path / 'j'}:3: not a record of this version ({said})"
