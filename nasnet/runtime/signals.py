"""Asked to stop: by Ctrl-C, or by the SIGTERM that a cluster's scheduler sends. No TensorFlow."""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any, Self


class Stopped(Exception):
    """A run that was asked to stop and did. The same command goes on. `code` is the exit code: 128 + the signal's."""

    def __init__(self, signal_number: int, at: str = "") -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}{at}; the same command goes on from here")
        self.signal, self.code = signal_number, 128 + signal_number


class Checkpointed(Stopped):
    """A training that was asked to stop and wrote a checkpoint: after SIGTERM, all that was asked for is done."""

    def __init__(self, signal_number: int, step: int) -> None:
        super().__init__(signal_number, f" after step {step}, which is in its checkpoint")
        self.step = step
        if signal_number == signal.SIGTERM:
            self.code = 0


class Stopping:
    """While it is entered, the first SIGINT or SIGTERM is noted and nothing more; the second SIGINT interrupts."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._at = 0.0
        self._before: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self.signal is not None

    @property
    def seconds(self) -> float:
        """How long ago it came."""
        return time.monotonic() - self._at

    def stopped(self) -> Stopped:
        """What to raise once everything is in order."""
        assert self.signal is not None
        return Stopped(self.signal)

    def __enter__(self) -> Self:
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            self._before[signal_number] = signal.signal(signal_number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for signal_number, handler in self._before.items():
            signal.signal(signal_number, handler)

    def _note(self, signal_number: int, frame: FrameType | None) -> None:
        del frame
        if self.signal is not None and signal_number == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is None:
            self.signal, self._at = signal_number, time.monotonic()
