"""What a `ControllerOracle` knows, on disk: a line for each trial's begin and end, appended. No TensorFlow."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controller.config import BadSetting
from controller.strategy import Outcome

VERSION = 1
LOST = "its worker did not end it within"
"""How the message of a lost trial begins."""
_OUT_OF_MEMORY = ("ResourceExhaustedError", "MemoryError", "Out of memory")
_FIELDS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "begin": {"begin": (str,), "tokens": (list,), "log_probs": (list,)},
    "end": {
        "end": (str,),
        "again": (bool,),
        "outcome": (str,),
        "reward": (float, int, type(None)),
        "seconds": (float, int),
        "cause": (str,),
        "status": (str,),
        "score": (float, int, type(None)),
        "best_step": (int, type(None)),
        "message": (str, type(None)),
        "metrics": (dict,),
        "more": (dict, type(None)),
    },
}
"""Each record's keys, and what they may be."""


class OracleJournal:
    """An append-only file of JSON lines: what the oracle is, then one record for each begin and end of a trial.

    A record is on disk when `append` returns, in a time that does not depend on how many there are. A last line that a
    kill has torn is left out, and cut off before the next one. One process writes; that another one did is found out
    and said, not prevented.

    Args:
        path: of the file; its folder is there.
        said: what the oracle is, which decides its sequence of trials, as JSON.

    Attributes:
        records: those that were there, in order; `append` adds none.

    Raises:
        BadSetting: where the file is of another oracle; it names the first setting that differs.
        ValueError: where the file can't be read as one of ours; one line, that names it.
    """

    def __init__(self, path: Path, said: Mapping[str, Any]) -> None:
        self._path = path
        header = {"version": VERSION, "oracle": json.loads(json.dumps(said))}
        if not path.exists():
            _write_whole(path, _line(header))
        whole = path.read_bytes()
        self._size = whole.rfind(b"\n") + 1
        lines = whole[: self._size].splitlines()
        if self._size < len(whole):
            os.truncate(path, self._size)
        found = [self._parsed(number, line) for number, line in enumerate(lines, 1)]
        if not found or "oracle" not in found[0]:
            raise ValueError(f"{path}: not the journal of a ControllerOracle; its first line says no oracle")
        self._check(found[0], header)
        for number, record in enumerate(found[1:], 2):
            self._check_record(number, record)
        self.records: list[dict[str, Any]] = found[1:]

    def append(self, record: Mapping[str, Any]) -> None:
        """Writes one record. Raises RuntimeError where another process has written since; OSError as the disk does."""
        line = _line(record)
        with open(self._path, "ab") as file:
            if (there := file.tell()) != self._size:
                raise RuntimeError(
                    f"{self._path}: another process writes to it ({there} bytes for {self._size}); "
                    "expected one chief a project"
                )
            try:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.truncate(self._path, self._size)
                raise
        self._size += len(line)

    def _parsed(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self._path}: line {number} is no JSON ({error})") from None
        if not isinstance(record, dict):
            raise ValueError(f"{self._path}: line {number} is {str(record)[:40]!r}; expected a record")
        return record

    def _check(self, header: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
        if header.get("version") != VERSION:
            raise ValueError(f"{self._path}: version {header.get('version')!r}; expected {VERSION}")
        was, now = header["oracle"], expected["oracle"]
        if not isinstance(was, dict):
            raise ValueError(f"{self._path}: its oracle is {str(was)[:40]!r}; expected its settings")
        for name in now:
            if was.get(name) != now[name]:
                rule = f"the project was begun with {_short(was.get(name))} ({self._path}); expected that, or overwrite"
                raise BadSetting(name, _short(now[name]), rule)

    def _check_record(self, number: int, record: Mapping[str, Any]) -> None:
        kind = next((kind for kind in _FIELDS if kind in record), None)
        if kind is None:
            raise ValueError(f"{self._path}: line {number} has the keys {sorted(record)}; expected a begin or an end")
        fields = _FIELDS[kind]
        if missing := sorted(fields.keys() ^ record.keys()):
            raise ValueError(f"{self._path}: line {number}: {missing[0]!r} is missing or unknown in a trial's {kind}")
        for name, kinds in fields.items():
            if not isinstance(record[name], kinds):
                expected = " or ".join(one.__name__ for one in kinds)
                raise ValueError(
                    f"{self._path}: line {number}: {name} is {str(record[name])[:40]!r}; expected {expected}"
                )


def outcome_of(status: str, said: str, message: str | None) -> Outcome:
    """How a trial ended, by KerasTuner's words: its status, the one that its worker gave it, the worker's message.

    A message comes from this process alone, None from others.
    """
    if status == "COMPLETED":
        return Outcome.OK
    if said == "COMPLETED":
        return Outcome.NAN
    if said == "FAILED":
        return Outcome.INVALID
    message = message or ""
    if message.startswith(LOST):
        return Outcome.LOST
    return Outcome.OOM if any(words in message for words in _OUT_OF_MEMORY) else Outcome.CRASHED


def cause_of(message: str | None, outcome: Outcome) -> str:
    """The last line of a traceback; nothing where the outcome is ok."""
    lines = (message or "").strip().splitlines()
    return "" if outcome is Outcome.OK else (lines[-1] if lines else str(outcome))[:200]


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":"), default=float).encode() + b"\n"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _write_whole(path: Path, content: bytes) -> None:
    """Beside it, then renamed: there whole or not at all."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    with open(beside, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
