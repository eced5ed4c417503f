"""Asked to end with the best so far: by SIGUSR1, by a file in the workdir, or when the time is up. No TensorFlow."""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any, Self

STOP = "STOP"
"""The file's name."""


class Ending:
    """While it is entered, SIGUSR1 and the file `STOP` in a workdir ask a search to end now, and come to the same."""

    def __init__(self, workdir: Path, minutes: float | None = None) -> None:
        """`minutes` are those after which no more trials are made, from now on; None is no limit."""
        self._file, self._minutes, self._begun = workdir / STOP, minutes, time.monotonic()
        self._now: str | None = None
        self._before: Any = None

    @property
    def now(self) -> str | None:
        """What asked to end now, in words: nothing more is started, what runs is cut off. None if nothing did."""
        if self._now is None and self._file.exists():
            self._now = f"the file {self._file}"
        return self._now

    @property
    def enough(self) -> str | None:
        """What asked for no more trials, in words: that above, or the time. None if nothing did."""
        if self.now is None and self._minutes is not None and time.monotonic() - self._begun > 60 * self._minutes:
            return f"{self._minutes:g} minutes (stop_after)"
        return self.now

    def done(self) -> None:
        """All that was asked for is done: the file goes, or the same command would end at once when it goes on."""
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGUSR1, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGUSR1, self._before)

    def _note(self, signal_number: int, frame: FrameType | None) -> None:
        del frame
        self._now = self._now or signal.Signals(signal_number).name
