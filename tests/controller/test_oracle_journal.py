"""The file of a ControllerOracle: what was written is read, damage is told in a line."""

from __future__ import annotations

import errno
import json
import os
import re

import pytest

from controller.config import BadSetting
from controller.oracle_journal import LOST, OracleJournal, cause_of, outcome_of
from controller.strategy import Outcome

SAID = {"seed": 1, "decisions": [["a", 2], ["b", 3]]}
BEGIN = {"begin": "00", "tokens": [1, 2], "log_probs": [-0.1, 1e-300]}
END = {
    "end": "00",
    "again": False,
    "outcome": "ok",
    "reward": 0.1 + 0.2,
    "seconds": 1.5,
    "cause": "",
    "status": "COMPLETED",
    "score": 0.1 + 0.2,
    "best_step": 0,
    "message": None,
    "metrics": {"metrics": {}},
    "more": None,
}


def test_what_was_written_is_read(tmp_path):
    journal = OracleJournal(tmp_path / "j", SAID)
    assert journal.records == []
    for record in (BEGIN, END):
        journal.append(record)
    assert OracleJournal(tmp_path / "j", SAID).records == [BEGIN, END]
    assert [path.name for path in tmp_path.iterdir()] == ["j"]


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_torn_last_line_is_cut_off(tmp_path, cut):
    journal = OracleJournal(tmp_path / "j", SAID)
    journal.append(BEGIN)
    journal.append(END)
    content = (tmp_path / "j").read_bytes()
    (tmp_path / "j").write_bytes(content[:-cut])
    again = OracleJournal(tmp_path / "j", SAID)
    assert again.records == [BEGIN]
    again.append(END)
    assert (tmp_path / "j").read_bytes() == content


def test_a_full_disk_leaves_it_as_it_was_and_it_is_gone_on_with(tmp_path, monkeypatch):
    journal = OracleJournal(tmp_path / "j", SAID)
    journal.append(BEGIN)
    before = (tmp_path / "j").read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            journal.append(END)
    assert (tmp_path / "j").read_bytes() == before
    journal.append(END)
    assert OracleJournal(tmp_path / "j", SAID).records == [BEGIN, END]


@pytest.mark.parametrize(
    ("status", "said", "message", "outcome"),
    [
        ("COMPLETED", "COMPLETED", None, Outcome.OK),
        ("INVALID", "COMPLETED", None, Outcome.NAN),
        ("FAILED", "FAILED", "too large", Outcome.INVALID),
        ("INVALID", "INVALID", f"{LOST} 60 s", Outcome.LOST),
        ("FAILED", "INVALID", "Traceback\nMemoryError", Outcome.OOM),
        ("FAILED", "INVALID", "Out of memory while trying to allocate", Outcome.OOM),
        ("FAILED", "INVALID", "Traceback\nValueError: a bug", Outcome.CRASHED),
        ("FAILED", "INVALID", None, Outcome.CRASHED),
    ],
)
def test_keras_tuners_words_for_an_end(status, said, message, outcome):
    assert outcome_of(status, said, message) is outcome
    last = message.splitlines()[-1] if message else str(outcome)
    assert cause_of(message, outcome) == ("" if outcome is Outcome.OK else last)


def test_two_writers_are_found_out(tmp_path):
    one, other = (OracleJournal(tmp_path / "j", SAID) for _ in range(2))
    one.append(BEGIN)
    with pytest.raises(RuntimeError, match="another process writes to it"):
        other.append(BEGIN)
    assert OracleJournal(tmp_path / "j", SAID).records == [BEGIN]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["{}"], "its first line says no oracle"),
        ([""], "line 1 is no JSON"),
        (["[" * 100_000], "line 1 is no JSON"),
        (["[1]"], "line 1 is '[1]'; expected a record"),
        ([json.dumps({"version": 2, "oracle": SAID})], "version 2; expected 1"),
        ([json.dumps({"version": 1, "oracle": 3})], "its oracle is '3'; expected its settings"),
        ([None, "\x00\xff"], "line 2 is no JSON"),
        ([None, '{"other": 1}'], "line 2 has the keys ['other']; expected a begin or an end"),
        ([None, json.dumps({**BEGIN, "mood": 1})], "line 2: 'mood' is missing or unknown in a trial's begin"),
        ([None, json.dumps({**BEGIN, "tokens": "12"})], "line 2: tokens is '12'; expected list"),
        ([None, json.dumps(BEGIN), json.dumps({**END, "reward": "1"})], "line 3: reward is '1'; expected float"),
        ([None, json.dumps({key: END[key] for key in END if key != "cause"})], "line 2: 'cause' is missing or unknown"),
    ],
)
def test_damage_is_one_line_that_names_the_file(tmp_path, lines, said):
    header = json.dumps({"version": 1, "oracle": SAID})
    whole = "".join(f"{header if line is None else line}\n" for line in lines)
    (tmp_path / "j").write_bytes(whole.encode("latin-1"))
    with pytest.raises(ValueError, match=re.escape(said)) as refused:
        OracleJournal(tmp_path / "j", SAID)
    text = str(refused.value)
    assert text.startswith(f"{tmp_path / 'j'}: ")
    assert len(text.splitlines()) == 1
    assert (tmp_path / "j").read_bytes() == whole.encode("latin-1")


def test_a_journal_of_another_oracle_names_what_differs(tmp_path):
    OracleJournal(tmp_path / "j", SAID)
    with pytest.raises(BadSetting, match=r"^seed=2: the project was begun with 1 \("):
        OracleJournal(tmp_path / "j", {**SAID, "seed": 2})
