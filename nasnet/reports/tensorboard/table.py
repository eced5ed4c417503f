"""What TensorBoard shows of a search in a table: the scalars of any search, by TensorBoard's own writer of records.

Its `tensorboard.summary.Writer` opens files by TensorFlow where that is installed, which takes longer to load than most
of these searches take.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any, Self

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from nasnet.reports.tensorboard.scalars import SearchScalars
from nasnet.runtime.errors import RunError
from nasnet.runtime.files import create_folder
from nasnet.trials.journal import Journal

_FLUSHED_SECONDS = 2.0


class TableEvents:
    """The events of a search in a table. One that goes on writes them anew: its trials are in the journal."""

    def __init__(self, folder: Path, journal: Journal, update_trials: int) -> None:
        """Empties the folder of the events, this search's alone. The others are as `SearchScalars` has them."""
        self._folder, self._scalars = folder, SearchScalars(journal, update_trials)
        shutil.rmtree(folder, ignore_errors=True)
        create_folder(folder)
        self._file = (folder / f"events.out.tfevents.{int(time.time()):010d}").open("wb")
        self._records = RecordWriter(self._file)
        self._flushed = time.monotonic()
        self._write(file_version="brain.Event:2")  # what a file of events begins with

    def write(self) -> None:
        """Writes the trials that have ended since, at first all of the journal."""
        for step in self._scalars.new():
            values = [Summary.Value(tag=name, simple_value=value) for name, value in step.values.items()]
            self._write(step=step.number, summary=Summary(value=values))
        if time.monotonic() - self._flushed > _FLUSHED_SECONDS:
            self._file.flush()
            self._flushed = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._file:
            self.write()  # after an error too: what stood there before is gone

    def _write(self, **fields: Any) -> None:  # noqa: ANN401 - those of an event
        try:
            self._records.write(Event(wall_time=time.time(), **fields).SerializeToString())
        except OSError as error:
            raise RunError(
                f"{self._folder}: cannot be written ({error.strerror}); make room, and the same command goes on"
            ) from error
