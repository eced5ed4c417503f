"""The truth about a search: one append-only file of JSON lines, written by one process, synced line by line."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cells.spaces.space import Space, check_tokens
from controller.policy.figures import UpdateFigures
from controller.strategy import Outcome, Proposal, Trial
from nasnet.estimators.estimator import MEASURE
from nasnet.runtime.clock import read_utc, utc_text
from nasnet.runtime.errors import RunError, UserError, first_line
from nasnet.trials.loop.records import VERSION, check_record


@dataclasses.dataclass(frozen=True)
class FinalistRun:
    """One longer training of one of the best trials, from its `start`-th fresh start; the rest as in `Trial`."""

    trial_id: int
    start: int
    outcome: Outcome
    reward: float | None
    seconds: float
    cause: str = ""


class Journal:
    """Proposals and trials in the order in which they came to be (each a dict in that order).

    Where there are rungs, `rungs` has of each trial what it was after each rung but its last, and `goes_on` of each
    trial and rung (counted from 1) whether it went on from there, where that has been decided.

    `updates` are the figures of each update of a controller that learns by updates, in order. They are for who reads:
    a replay makes the updates anew, and adds what an earlier program did not record.

    `times` say of each trial when its end was written, or that of the last rung that it has ended; not in journals from
    before there was one. They are for who reads, too: nothing goes by them, or a replay would not be the same again.

    `costs` are the parameters and mult-adds of trials that have ended, where they were recorded.

    Opening it reads what is there. A last line that was torn by a crash is cut off; anything else that is not a record
    is an error, because a search must not go on from a past that it guesses.
    """

    def __init__(self, path: Path, *, reads_only: bool = False) -> None:
        """Opens the journal, or creates it. Raises UserError for a damaged one, naming the line.

        With `reads_only` nothing is written or cut off, whatever is there: another process may be writing it. One that
        is missing is empty then, and one of another measure is read.
        """
        self.path, self._reads_only = path, reads_only
        self.proposals: dict[int, Proposal] = {}
        self.trials: dict[int, Trial] = {}
        self.rungs: dict[int, list[Trial]] = {}
        self.goes_on: dict[tuple[int, int], bool] = {}
        self.finalists: dict[tuple[int, int], FinalistRun] = {}
        self.updates: list[UpdateFigures] = []
        self.times: dict[int, datetime.datetime] = {}
        self.costs: dict[int, dict[str, int]] = {}
        self.lost_attempts: Counter[str] = Counter()
        try:
            if reads_only:
                self._read(path.read_bytes() if path.exists() else b"")
                return
            with open(path, "ab+") as file:
                file.seek(0)
                good = self._read(file.read())
                file.truncate(good)
        except OSError as error:
            raise UserError(f"{path}: cannot be opened ({error.strerror})") from error
        if good == 0:
            self._append({"kind": "header", "version": VERSION, "measure": MEASURE})

    def check(self, space: Space) -> None:
        """Raises UserError for a proposal that is not of this space."""
        for trial_id, proposal in self.proposals.items():
            try:
                check_tokens(space.decisions[: space.length(trial_id)], proposal.tokens)
            except ValueError as error:
                raise UserError(f"{self.path}: trial {trial_id} is not of this space: {error}") from error

    def propose(self, proposal: Proposal) -> None:
        """Records that a trial has been decided on."""
        self._append(
            {
                "kind": "proposal",
                "trial_id": proposal.trial_id,
                "tokens": list(proposal.tokens),
                "log_probs": list(proposal.log_probs),
            }
        )
        self.proposals[proposal.trial_id] = proposal

    @property
    def so_far(self) -> dict[int, Trial]:
        """The trials that ended, and those between two rungs as they stand."""
        return {**{trial_id: rungs[-1] for trial_id, rungs in self.rungs.items()}, **self.trials}

    def may_go_on(self, trial_id: int) -> bool | None:
        """Whether a trial that has not ended is to be trained, for its first rung or the next; None: not decided."""
        ended = len(self.rungs.get(trial_id, ()))
        return self.goes_on.get((trial_id, ended)) if ended else True

    def end_rung(self, trial: Trial, seconds: float) -> None:
        """Records that a trial ended a rung from which it may go on: as it stands, and the seconds of this rung."""
        record = {"kind": "rung", "trial_id": trial.proposal.trial_id, "rung": trial.rung, "reward": trial.reward}
        self._append({**record, "seconds": seconds, **_figures(trial), **self._now(trial)})
        self.rungs.setdefault(trial.proposal.trial_id, []).append(trial)

    def promote(self, rung: int, going: Sequence[int], ending: Sequence[int]) -> None:
        """Records which of the trials that ended a rung go on, and which end there."""
        self._append({"kind": "promotion", "rung": rung, "going": list(going), "ending": list(ending)})
        self._promoted(rung, going, ending)

    def finish(self, trial: Trial, costs: Mapping[str, int] | None = None) -> None:
        """Records how a proposed trial ended, and beside it what its network costs."""
        record = {
            "kind": "trial",
            "trial_id": trial.proposal.trial_id,
            "outcome": str(trial.outcome),
            "reward": trial.reward,
            "seconds": trial.seconds,
            "cause": trial.cause,
        }
        earlier = {"earlier": list(trial.earlier)} if trial.earlier else {}
        self._append({**record, **_figures(trial), **earlier, **(costs or {}), **self._now(trial)})
        if costs:
            self.costs[trial.proposal.trial_id] = dict(costs)
        self.trials[trial.proposal.trial_id] = trial

    def lose_attempt(self, child: str, cause: str) -> None:
        """Records that a child's process was taken away, through no fault of the child."""
        self._append({"kind": "attempt", "child": child, "cause": cause})
        self.lost_attempts[child] += 1

    def add_update(self, figures: UpdateFigures) -> None:
        """Records what an update of the controller did: the one after the last that is recorded."""
        assert figures.updates == len(self.updates) + 1
        self._append({"kind": "update", **dataclasses.asdict(figures)})
        self.updates.append(figures)

    def finish_finalist(self, run: FinalistRun) -> None:
        """Records how a longer training ended."""
        self._append({"kind": "finalist", **dataclasses.asdict(run), "outcome": str(run.outcome)})
        self.finalists[run.trial_id, run.start] = run

    def _now(self, trial: Trial) -> dict[str, str]:
        """When a trial's record is written, which is now."""
        now = utc_text(datetime.datetime.now(datetime.UTC))
        self.times[trial.proposal.trial_id] = read_utc(now)
        return {"time": now}

    def _append(self, record: dict[str, Any]) -> None:
        assert not self._reads_only
        # One write, then to the disk: a kill leaves either the whole line or a torn last one.
        line = json.dumps(record).encode() + b"\n"
        with open(self.path, "ab", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            try:
                written = file.write(line)
                if written < len(line):  # a disk takes what still fits, and complains at the next write
                    file.write(line[written:])
                os.fsync(file.fileno())
            except OSError as error:
                file.truncate(end)
                raise RunError(
                    f"{self.path}: cannot be written ({error.strerror}); it is whole up to here: make room, and the "
                    "same command goes on"
                ) from error

    def _read(self, content: bytes) -> int:
        """Takes in all whole records; returns how many bytes they are."""
        good = 0
        lines = content.split(b"\n")
        for number, line in enumerate(lines, 1):
            if number == len(lines):
                break  # what follows the last newline: nothing, or a torn line
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                if number == len(lines) - 1:
                    break  # the crash tore it in the middle of the file system's block
                raise UserError(f"{self.path}:{number}: not a record ({error}); the file is damaged") from error
            try:
                self._take(record, number, line)
            except (ValueError, OverflowError) as error:
                raise UserError(f"{self.path}:{number}: not a record of this version ({first_line(error)})") from error
            good += len(line) + 1
        return good

    def _take(self, record: dict[str, Any], number: int, line: bytes) -> None:
        kind = check_record(record, line)
        if (kind == "header") != (number == 1):
            raise ValueError("a header is the first line and no other")
        if kind == "header":
            if (measure := record.get("measure", 1)) != MEASURE and not self._reads_only:
                raise UserError(
                    f"{self.path}: its rewards are of measure {measure!r}, this program's of {MEASURE}: children are "
                    "trained in another way, so the search can't go on; begin another in a new folder"
                )
        elif kind == "proposal":
            # JSON has one kind of number: 1.0 is a whole one too.
            tokens, log_probs = tuple(map(int, record["tokens"])), tuple(map(float, record["log_probs"]))
            proposal = Proposal(int(record["trial_id"]), tokens, log_probs)
            if proposal.trial_id != len(self.proposals):
                raise ValueError(f"trial {proposal.trial_id} proposed after {len(self.proposals)} others")
            self.proposals[proposal.trial_id] = proposal
        elif kind == "trial":
            if record["trial_id"] in self.trials:
                raise ValueError(f"trial {record['trial_id']} ended twice")
            proposal, outcome = self._proposed(record), Outcome(record["outcome"])
            ends = outcome, record["reward"], record["seconds"], record["cause"], _figures_of(record)
            self._take_time(record)
            if costs := {name: record[name] for name in ("parameters", "mult_adds") if name in record}:
                self.costs[proposal.trial_id] = costs
            self.trials[proposal.trial_id] = Trial(proposal, *ends, tuple(record.get("earlier", ())))
        elif kind == "rung":
            self._take_rung(record)
        elif kind == "promotion":
            self._promoted(record["rung"], record["going"], record["ending"])
        elif kind == "update":
            self._take_update(record)
        elif kind == "attempt":
            self.lost_attempts[record["child"]] += 1
        elif kind == "finalist":
            values = {field.name: record[field.name] for field in dataclasses.fields(FinalistRun)}
            numbers = {name: int(values[name]) for name in ("trial_id", "start")}
            run = FinalistRun(**{**values, **numbers, "outcome": Outcome(values["outcome"])})
            if run.trial_id not in self.trials and run.trial_id not in self.rungs:
                raise ValueError(f"a finalist of trial {run.trial_id}, which has no reward")
            self.finalists[run.trial_id, run.start] = run

    def _proposed(self, record: dict[str, Any]) -> Proposal:
        if record["trial_id"] not in self.proposals:
            raise ValueError(f"trial {record['trial_id']} was not proposed before")
        return self.proposals[record["trial_id"]]

    def _take_rung(self, record: dict[str, Any]) -> None:
        trial_id, rung = record["trial_id"], record["rung"]
        before = self.rungs.get(trial_id, [])
        if rung != len(before) + 1 or trial_id in self.trials:
            raise ValueError(f"rung {rung} of trial {trial_id} after {len(before)} others, or after its end")
        seconds, earlier = record["seconds"], ()
        if before:
            seconds, earlier = before[-1].seconds + seconds, before[-1].rewards
        trial = Trial(self._proposed(record), Outcome.OK, record["reward"], seconds, "", _figures_of(record), earlier)
        self._take_time(record)
        self.rungs.setdefault(trial_id, []).append(trial)

    def _take_time(self, record: dict[str, Any]) -> None:
        if "time" in record:
            self.times[record["trial_id"]] = read_utc(record["time"])

    def _take_update(self, record: dict[str, Any]) -> None:
        values = {field.name: record[field.name] for field in dataclasses.fields(UpdateFigures)}
        number = values.pop("updates")
        if number != len(self.updates) + 1:
            raise ValueError(f"update {number} of the controller after {len(self.updates)} others")
        self.updates.append(UpdateFigures(number, **{name: float(value) for name, value in values.items()}))

    def _promoted(self, rung: int, going: Sequence[int], ending: Sequence[int]) -> None:
        decided = Counter((*going, *ending))
        for trial_id, times in decided.items():
            if len(self.rungs.get(trial_id, ())) != rung or (trial_id, rung) in self.goes_on or times > 1:
                raise ValueError(f"trial {trial_id} goes on from rung {rung}, or ends there, and does not stand there")
        self.goes_on |= {(trial_id, rung): True for trial_id in going}
        self.goes_on |= {(trial_id, rung): False for trial_id in ending}


def _figures(trial: Trial) -> dict[str, Any]:
    return {"figures": dict(trial.figures)} if trial.figures else {}


def _figures_of(record: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in record.get("figures", {}).items()}
