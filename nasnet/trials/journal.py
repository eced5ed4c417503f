"""The truth about a search: one append-only file of JSON lines, written by one process, synced line by line."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from controller.strategy import Outcome, Proposal, Trial
from nasnet.estimators.estimator import MEASURE
from nasnet.runtime.errors import RunError, UserError

VERSION = 1


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

    Opening it reads what is there. A last line that was torn by a crash is cut off; anything else that is not a record
    is an error, because a search must not go on from a past that it guesses.
    """

    def __init__(self, path: Path, *, reads_only: bool = False) -> None:
        """Opens the journal, or creates it. Raises UserError for a damaged one, naming the line.

        With `reads_only` nothing is written or cut off, whatever is there: another process may be writing it. One that
        is missing is empty then, and one of another measure is read.
        """
        self._path, self._reads_only = path, reads_only
        self.proposals: dict[int, Proposal] = {}
        self.trials: dict[int, Trial] = {}
        self.finalists: dict[tuple[int, int], FinalistRun] = {}
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

    def finish(self, trial: Trial) -> None:
        """Records how a proposed trial ended."""
        record = {
            "kind": "trial",
            "trial_id": trial.proposal.trial_id,
            "outcome": str(trial.outcome),
            "reward": trial.reward,
            "seconds": trial.seconds,
            "cause": trial.cause,
        }
        self._append({**record, "figures": dict(trial.figures)} if trial.figures else record)
        self.trials[trial.proposal.trial_id] = trial

    def lose_attempt(self, child: str, cause: str) -> None:
        """Records that a child's process was taken away, through no fault of the child."""
        self._append({"kind": "attempt", "child": child, "cause": cause})
        self.lost_attempts[child] += 1

    def finish_finalist(self, run: FinalistRun) -> None:
        """Records how a longer training ended."""
        self._append({"kind": "finalist", **dataclasses.asdict(run), "outcome": str(run.outcome)})
        self.finalists[run.trial_id, run.start] = run

    def _append(self, record: dict[str, Any]) -> None:
        assert not self._reads_only
        # One write, then to the disk: a kill leaves either the whole line or a torn last one.
        line = json.dumps(record).encode() + b"\n"
        with open(self._path, "ab", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            try:
                written = file.write(line)
                if written < len(line):  # a disk takes what still fits, and complains at the next write
                    file.write(line[written:])
                os.fsync(file.fileno())
            except OSError as error:
                file.truncate(end)
                raise RunError(
                    f"{self._path}: cannot be written ({error.strerror}); it is whole up to here: make room, and the "
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
            except ValueError as error:
                if number == len(lines) - 1:
                    break  # the crash tore it in the middle of the file system's block
                raise UserError(f"{self._path}:{number}: not a record ({error}); the file is damaged") from error
            try:
                self._take(record, number)
            except (KeyError, TypeError, ValueError) as error:
                raise UserError(f"{self._path}:{number}: not a record of this version ({error!r})") from error
            good += len(line) + 1
        return good

    def _take(self, record: dict[str, Any], number: int) -> None:
        if (record["kind"] == "header") != (number == 1):
            raise ValueError("a header is the first line and no other")
        if record["kind"] == "header":
            if record["version"] != VERSION:
                raise ValueError(f"version {record['version']}, this program reads {VERSION}")
            if (measure := record.get("measure", 1)) != MEASURE and not self._reads_only:
                raise UserError(
                    f"{self._path}: its rewards are of measure {measure!r}, this program's of {MEASURE}: children are "
                    "trained in another way, so the search can't go on; begin another in a new folder"
                )
        elif record["kind"] == "proposal":
            proposal = Proposal(record["trial_id"], tuple(record["tokens"]), tuple(record["log_probs"]))
            if proposal.trial_id != len(self.proposals):
                raise ValueError(f"trial {proposal.trial_id} proposed after {len(self.proposals)} others")
            self.proposals[proposal.trial_id] = proposal
        elif record["kind"] == "trial":
            if record["trial_id"] in self.trials:
                raise ValueError(f"trial {record['trial_id']} ended twice")
            proposal = self.proposals[record["trial_id"]]
            outcome = Outcome(record["outcome"])
            figures = {str(name): float(value) for name, value in record.get("figures", {}).items()}
            self.trials[proposal.trial_id] = Trial(
                proposal, outcome, record["reward"], record["seconds"], record["cause"], figures
            )
        elif record["kind"] == "attempt":
            self.lost_attempts[record["child"]] += 1
        elif record["kind"] == "finalist":
            values = {field.name: record[field.name] for field in dataclasses.fields(FinalistRun)}
            run = FinalistRun(**{**values, "outcome": Outcome(values["outcome"])})
            if run.trial_id not in self.trials:
                raise ValueError(f"a finalist of trial {run.trial_id}, which has not ended")
            self.finalists[run.trial_id, run.start] = run
        else:
            raise ValueError(f"kind {record['kind']!r}")
