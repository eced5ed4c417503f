"""What goes to the screen, line by line."""

from __future__ import annotations


def say(line: str) -> None:
    """One line, at once."""
    print(line, flush=True)
