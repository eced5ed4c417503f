"""What a run can fail of. Each message is one line that a person can act on."""

from __future__ import annotations


class UserError(Exception):
    """Bad input. The message is one line: the flag or file, the value received, what would do. Exit code 2."""


class RunError(Exception):
    """A run that failed for a reason that is no fault of its input. The message is one line. Exit code 1."""


class PeerGone(RunError):
    """Another process that trains the same network is gone. TensorFlow's own exit would wait for it."""


class DivergedError(RunError):
    """The loss of a training is no longer a finite number."""


def first_line(error: BaseException, most: int = 300) -> str:
    """The first line of an error's message, at most so many characters; the name of its type where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:most] if lines else type(error).__name__
