from __future__ import annotations

import datetime
import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.policy.figures import UpdateFigures
from controller.strategy import Outcome, Proposal, Trial
from nasnet.runtime.clock import read_utc, utc_text
from nasnet.runtime.errors import UserError
from nasnet.trials.journal import FinalistRun, Journal

ROOT = Path(__file__).parents[2]
NO_TIMES = (
    "null",
    "1764236761.5",
    "true",
    "[]",
    '""',
    '"today"',
    '"2026-11-27T09:46:01.123"',
    '"2026-13-01T00:00:00Z"',
)
NO_TIMES += ('"2026-11-27T09:46:01.123+01:00"', '"09:46:01Z"', "1" + "0" * 400)


def filled(path, number=3):
    journal = Journal(path)
    for trial_id in range(number):
        proposal = Proposal(trial_id, (trial_id, 1), (-0.1 / 3, -1e-30))
        journal.propose(proposal)
        ok = trial_id % 2 == 0
        journal.finish(
            Trial(
                proposal, Outcome.OK if ok else Outcome.NAN, 0.1 * trial_id if ok else None, 1.5, "" if ok else "x\ny"
            )
        )
    journal.finish_finalist(FinalistRun(0, 1, Outcome.OK, 0.7, 2.0))
    for update in (1, 2):
        journal.add_update(UpdateFigures(update, 0.1 / 3, 0.2, -1e-30, 45.5, 1e-3, 0.25))
    return journal


def test_what_is_written_is_read_back_to_the_bit(tmp_path):
    written, read = filled(tmp_path / "j"), Journal(tmp_path / "j")
    assert (read.proposals, read.trials, read.finalists) == (written.proposals, written.trials, written.finalists)
    assert read.updates == written.updates
    assert [figures.updates for figures in read.updates] == [1, 2]
    assert list(read.trials) == [0, 1, 2]


def climbed(path):
    """Trial 0 ends after three rungs, 1 stands after two, 2 ended after its first, 3 failed in its second, 4 waits."""
    journal, ids = Journal(path), range(5)
    for trial_id in ids:
        journal.propose(Proposal(trial_id, (trial_id,), (float("nan") if trial_id == 4 else -0.5,)))

    def at(trial_id, *rewards, outcome=Outcome.OK):
        failed = outcome is not Outcome.OK
        figures = {} if failed else {"accuracy": rewards[-1] / 2, "latency_ms": 3.0 + trial_id}
        reward, earlier = (None, rewards) if failed else (rewards[-1], rewards[:-1])
        cause = "the loss is NaN" if failed else ""
        return Trial(
            journal.proposals[trial_id], outcome, reward, 2.0**trial_id * len(rewards), cause, figures, earlier
        )

    for trial_id in (0, 1, 2, 3):
        journal.end_rung(at(trial_id, 0.5), 2.0**trial_id)
    journal.promote(1, [3, 0, 1], [2])
    for trial_id in (1, 0):
        journal.end_rung(at(trial_id, 0.5, 0.625), 2.0**trial_id)
    journal.promote(2, [0], [])
    journal.finish(at(3, 0.5, outcome=Outcome.NAN))
    journal.finish(at(2, 0.5))
    journal.finish(at(0, 0.5, 0.625, 0.75))
    journal.finish_finalist(FinalistRun(0, 0, Outcome.OK, 0.875, 2.0))
    journal.finish_finalist(FinalistRun(1, 1, Outcome.TIMEOUT, None, 2.0, "900 s"))
    return journal


def test_rungs_figures_and_promotions_are_read_back(tmp_path):
    written, read = climbed(tmp_path / "j"), Journal(tmp_path / "j")
    assert repr(read.proposals) == repr(written.proposals)
    assert (read.rungs, read.goes_on) == (written.rungs, written.goes_on)
    assert (read.trials, read.finalists, read.times) == (written.trials, written.finalists, written.times)
    assert list(read.trials) == [3, 2, 0]
    assert {trial_id: trial.rewards for trial_id, trial in read.so_far.items()} == {
        0: (0.5, 0.625, 0.75),
        1: (0.5, 0.625),
        2: (0.5,),
        3: (0.5,),
    }
    assert [read.may_go_on(trial_id) for trial_id in range(5)] == [True, None, False, True, True]
    assert read.trials[3].cause == "the loss is NaN"
    assert read.so_far[1].figures == {"accuracy": 0.3125, "latency_ms": 4.0}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"kind": "proposal", "trial_id": 3, "tokens": [1], "log_probs": [0.0]}, "trial 3 proposed after 5 others"),
        ({"kind": "proposal", "trial_id": 6, "tokens": [1], "log_probs": [0.0]}, "trial 6 proposed after 5 others"),
        ({"kind": "rung", "trial_id": 1, "rung": 2, "reward": 1, "seconds": 1}, "rung 2 of trial 1 after 2 others"),
        ({"kind": "rung", "trial_id": 1, "rung": 4, "reward": 1, "seconds": 1}, "rung 4 of trial 1 after 2 others"),
        ({"kind": "rung", "trial_id": 2, "rung": 2, "reward": 1, "seconds": 1}, "or after its end"),
        ({"kind": "rung", "trial_id": 5, "rung": 1, "reward": 1, "seconds": 1}, "trial 5 was not proposed before"),
        ({"kind": "promotion", "rung": 1, "going": [0], "ending": []}, "trial 0 goes on from rung 1, or ends there"),
        ({"kind": "promotion", "rung": 2, "going": [], "ending": [0]}, "trial 0 goes on from rung 2, or ends there"),
        (
            {
                "kind": "rung",
                "trial_id": 1,
                "rung": 3,
                "reward": 1,
                "seconds": 1,
                "figures": {"accuracy": float("nan")},
            },
            "its figures is {'accuracy': nan}; expected finite numbers",
        ),
        (
            {"kind": "finalist", "trial_id": 4, "start": 0, "outcome": "ok", "reward": 1, "seconds": 1, "cause": ""},
            "a finalist of trial 4, which has no reward",
        ),
    ],
)
def test_a_record_that_cannot_follow_is_refused(tmp_path, record, said):
    climbed(tmp_path / "j")
    lines = (tmp_path / "j").read_text()
    (tmp_path / "j").write_text(f"{lines}{json.dumps(record)}\n{lines.splitlines()[-1]}\n")
    with pytest.raises(UserError) as refused:
        Journal(tmp_path / "j", reads_only=True)
    assert f"j:{len(lines.splitlines()) + 1}: not a record of this version (" in str(refused.value)
    assert said in str(refused.value)


def test_torn_at_every_byte(tmp_path):
    """Whatever the crash left of the last line, what came before is there, and the journal goes on."""
    filled(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in range(len(whole) + 1):
        path = tmp_path / "cut"
        path.write_bytes(whole[:cut])
        journal = Journal(path)
        complete = [json.loads(line) for line in lines if whole.index(line) + len(line) <= cut]
        assert len(journal.proposals) == sum(record["kind"] == "proposal" for record in complete)
        assert len(journal.trials) == sum(record["kind"] == "trial" for record in complete)
        journal.propose(Proposal(len(journal.proposals), (0,), (0.0,)))
        again = Journal(path)
        assert again.proposals == journal.proposals
        assert again.trials == journal.trials


def test_a_last_line_of_zeros_is_a_torn_one(tmp_path):
    filled(tmp_path / "j")
    with open(tmp_path / "j", "ab") as file:
        file.write(b"\0" * 100 + b"\n")
    assert len(Journal(tmp_path / "j").trials) == 3


@pytest.mark.parametrize(
    ("line", "change"),
    [
        (2, lambda line: line[:10] + "#" + line[11:]),
        (3, lambda line: line.replace('"trial"', '"trail"')),
        (3, lambda line: line.replace('"ok"', '"fine"')),
        (3, lambda line: line.replace('"reward": 0.0', '"reward": null')),
        (2, lambda line: line.replace('"trial_id": 0', '"trial_id": 5')),
        (5, lambda line: line.replace('"trial_id": 1', '"trial_id": 0')),
        (1, lambda line: line.replace('"version": 1', '"version": 9')),
        (2, lambda line: line.replace('"tokens": [0, 1]', '"tokens": [0, "1"]')),
        (2, lambda line: line.replace("-1e-30", "{}")),
        (3, lambda line: line.replace("1.5", '"long"')),
        (3, lambda line: line.replace("1.5", "1" + "0" * 400)),
        (3, lambda line: line.replace('"reward": 0.0', '"reward": 1' + "0" * 400)),
        (3, lambda line: line.replace('"cause": ""', '"cause": "", "figures": []')),
        *((3, functools.partial(re.sub, '"time": "[^"]*"', f'"time": {time}')) for time in NO_TIMES),
        (1, lambda line: '{"kind": "proposal", "trial_id": 0, "tokens": [], "log_probs": []}'),
        (4, lambda line: "[]"),
        (9, lambda line: line.replace('"updates": 1', '"updates": 2')),
        (9, lambda line: line.replace('"updates": 1', '"updates": true')),
        (10, lambda line: line.replace("45.5", '"high"')),
        (10, lambda line: line.replace('"baseline"', '"base"')),
        (10, lambda line: line.replace("45.5", "1" + "0" * 400)),
        (2, lambda line: line.replace("-1e-30", "1" + "0" * 400)),
    ],
)
def test_a_damaged_line_is_named(tmp_path, line, change):
    path = tmp_path / "j"
    filled(path)
    lines = path.read_text().splitlines()
    assert change(lines[line - 1]) != lines[line - 1]
    lines[line - 1] = change(lines[line - 1])
    path.write_text("\n".join(lines) + "\n")
    before = path.read_bytes()
    with pytest.raises(UserError, match=rf"j:{line}: not a record"):
        Journal(path)
    assert path.read_bytes() == before


def test_an_unopenable_journal_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot be opened"):
        Journal(tmp_path / "no" / "j")


def test_attempts_are_counted_by_child(tmp_path):
    journal = filled(tmp_path / "j")
    for child in ("trial_1", "finalist_0_1", "trial_1"):
        journal.lose_attempt(child, "SIGKILL")
    assert Journal(tmp_path / "j").lost_attempts == journal.lost_attempts == {"trial_1": 2, "finalist_0_1": 1}


def test_every_record_is_on_the_disk_before_the_journal_goes_on(tmp_path, monkeypatch):
    """After each append the last thing done to this very file, whole as it is then, was an fsync."""
    synced: list[tuple[int, int]] = []
    fsync = os.fsync

    def recording(descriptor: int) -> None:
        fsync(descriptor)
        status = os.fstat(descriptor)
        synced.append((status.st_ino, status.st_size))

    monkeypatch.setattr(os, "fsync", recording)
    path = tmp_path / "j"
    journal = Journal(path)
    proposal = Proposal(0, (1,), (-0.5,))
    sizes = [0]
    for count, append in enumerate(
        (
            lambda: None,  # the header, when it was opened
            lambda: journal.propose(proposal),
            lambda: journal.lose_attempt("trial_0", "SIGKILL"),
            lambda: journal.finish(Trial(proposal, Outcome.OK, 0.5, 1.0)),
            lambda: journal.finish_finalist(FinalistRun(0, 1, Outcome.OK, 0.7, 2.0)),
        ),
        1,
    ):
        append()
        status = path.stat()
        sizes.append(status.st_size)
        assert len(synced) == count
        assert synced[-1] == (status.st_ino, status.st_size)
    assert sizes == sorted(set(sizes))


def test_a_full_disk_leaves_the_journal_whole(tmp_path):
    """A real limit on the file's size, in a process of its own: the write fails in the middle of a record."""
    filled(tmp_path / "j")
    whole = (tmp_path / "j").read_bytes()
    code = f"""
import resource
from controller.strategy import Proposal
from nasnet.runtime.errors import RunError
from nasnet.trials.journal import Journal
resource.setrlimit(resource.RLIMIT_FSIZE, ({len(whole) + 30}, resource.RLIM_INFINITY))
journal = Journal({str(tmp_path / "j")!r})
try:
    journal.propose(Proposal(3, (1,) * 50, (-0.5,) * 50))
except RunError as error:
    print(error)
assert 3 not in journal.proposals
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "cannot be written (File too large)" in done.stdout
    assert (tmp_path / "j").read_bytes() == whole
    Journal(tmp_path / "j").propose(Proposal(3, (1,) * 50, (-0.5,) * 50))


def test_rewards_of_another_measure_are_not_gone_on_with(tmp_path):
    """A journal from before children were trained as they are now says no measure."""
    filled(tmp_path / "j")
    lines = (tmp_path / "j").read_text().splitlines(keepends=True)
    header = json.loads(lines[0])
    for measure in (None, header["measure"] + 1):
        changed = {**header, "measure": measure} if measure else {"kind": "header", "version": 1}
        (tmp_path / "j").write_text("".join([json.dumps(changed) + "\n", *lines[1:]]))
        before = (tmp_path / "j").read_bytes()
        with pytest.raises(UserError, match=r"measure .* begin another in a new folder") as error:
            Journal(tmp_path / "j")
        assert "\n" not in str(error.value)
        assert (tmp_path / "j").read_bytes() == before


def test_what_a_network_costs_is_kept_for_who_reads_and_no_part_of_the_trial(tmp_path):
    for name, costs in (("with", {"parameters": 12, "mult_adds": 340}), ("without", None)):
        journal = Journal(tmp_path / name)
        journal.propose(Proposal(0, (1,), (-0.5,)))
        journal.finish(Trial(journal.proposals[0], Outcome.OK, 0.5, 1.0), costs)
        assert journal.costs == Journal(tmp_path / name).costs == ({0: costs} if costs else {})
    last = json.loads((tmp_path / "with").read_text().splitlines()[-1])
    assert (last["parameters"], last["mult_adds"]) == (12, 340)
    assert Journal(tmp_path / "with").trials == Journal(tmp_path / "without").trials


def test_a_trial_and_a_rung_have_the_time_that_they_were_written_at(tmp_path):
    journal, before = Journal(tmp_path / "j"), datetime.datetime.now(datetime.UTC)
    for number in range(2):
        journal.propose(Proposal(number, (1,), (-0.5,)))
    journal.finish(Trial(journal.proposals[0], Outcome.NAN, None, 1.0, "nan"))
    journal.end_rung(Trial(journal.proposals[1], Outcome.OK, 0.5, 1.0), 1.0)
    rung = journal.times[1]
    assert Journal(tmp_path / "j").times == journal.times
    journal.promote(1, [1], [])
    journal.finish(Trial(journal.proposals[1], Outcome.OK, 0.75, 2.0, earlier=(0.5,)))
    times, a_millisecond = Journal(tmp_path / "j").times, datetime.timedelta(milliseconds=1)
    assert times == journal.times
    assert before - a_millisecond < times[0] <= rung <= times[1] <= datetime.datetime.now(datetime.UTC)


def test_nothing_goes_by_the_time(tmp_path):
    """A journal without times, as an older program wrote it, and one of another day are read as the same past."""
    written = filled(tmp_path / "j")
    text, pattern = (tmp_path / "j").read_text(), ', "time": "([^"]*)"'
    assert len(re.findall(pattern, text)) == 3
    for changed, known in (("", 0), (', "time": "1999-12-31T23:59:59.999Z"', 3)):
        (tmp_path / "changed").write_text(re.sub(pattern, changed, text))
        read = Journal(tmp_path / "changed")
        assert (read.proposals, read.trials, read.finalists) == (written.proposals, written.trials, written.finalists)
        assert list(read.trials) == list(written.trials)
        assert len(read.times) == known


@given(
    st.datetimes(
        datetime.datetime(1, 1, 3),
        datetime.datetime(9999, 12, 29),
        timezones=st.integers(-1439, 1439).map(lambda m: datetime.timezone(datetime.timedelta(minutes=m))),
    )
)
def test_a_moment_is_written_in_utc_and_read_back_to_the_millisecond(moment):
    text = utc_text(moment)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert datetime.timedelta(0) <= moment - read_utc(text) < datetime.timedelta(milliseconds=1)
    assert utc_text(read_utc(text)) == text
