"""A search on a terminal: a few lines below all others say how it stands, drawn anew twice a second. No TensorFlow."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nasnet.runtime.clock import clock
from nasnet.runtime.console import is_quiet, said_above
from nasnet.trials.search import Search, SearchProgress

_DRAWN_A_SECOND = 2
_BAR, _CHILDREN = 40, 8


@contextlib.contextmanager
def live_block(search: Search) -> Iterator[None]:
    """While it is entered, the block is there if the standard output is a terminal that can move its cursor.

    It is gone when it is left, by an error too. What kills the process leaves it standing, and the terminal as it was.
    """
    if is_quiet() or not sys.stdout.isatty() or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        yield
        return
    console, block = _Console(file=sys.stdout), _Block(search)
    live = Live(
        get_renderable=block.drawn,
        console=console,
        refresh_per_second=_DRAWN_A_SECOND,
        transient=True,
        redirect_stdout=True,  # a library's caller may print, too
        redirect_stderr=sys.stderr.isatty(),
    )

    def above(line: str) -> None:
        console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
        live.refresh()  # or the block below the line would be that of before it

    with live, said_above(above):
        yield


class _Console(Console):
    """A console that never hides the cursor: a process that is killed could not show it again."""

    def show_cursor(self, show: bool = True) -> bool:
        """Does nothing."""
        del show
        return False


class _Block:
    """What is drawn of a search. `drawn` is called by another thread."""

    def __init__(self, search: Search) -> None:
        self._search = search
        good = [trial for trial in search.journal.so_far.values() if trial.reward is not None]
        self._best = min(good, key=lambda trial: trial.rank, default=None)
        self._left: tuple[float, float] | None = None
        self._counted, self._ends = 0, Counter[str]()
        self._told, search.report = search.report, self._tell

    def drawn(self) -> RenderableType:
        """The block as it is now."""
        trials = list(self._search.journal.trials.values())  # at once: a trial may end meanwhile
        if len(trials) != self._counted:
            self._counted, self._ends = len(trials), Counter(str(trial.outcome) for trial in trials)
        bar = Table.grid(padding=(0, 1))
        bar.add_column(no_wrap=True)
        bar.add_column(no_wrap=True)
        bar.add_column(no_wrap=True, overflow="crop")
        total = self._search.trials
        done = ProgressBar(total=total, completed=len(trials), width=_bar_width())
        bar.add_row(f"trials {len(trials)}/{total}", done, self._clock())
        best = "none yet"
        if self._best is not None:
            best = f"{self._best.reward:.4f} (trial {self._best.proposal.trial_id})"
        ends = "  ".join(f"{outcome} {many}" for outcome, many in self._ends.most_common())
        return Group(bar, _line(f"best {best}"), *([_line(ends)] if ends else []), *self._at_work())

    def _at_work(self) -> list[Text]:
        """A line for each worker's child, the oldest first."""
        running = self._search.engine.at_work()
        lines = [_line(f"{clock(seconds):>6}  {child}") for child, seconds in running[:_CHILDREN]]
        if len(running) > _CHILDREN:
            lines.append(_line(f"        and {len(running) - _CHILDREN} more"))
        free = self._search.engine.slots - len(running)
        return [*lines, _line(f"        {free} of {self._search.engine.slots} workers wait")] if free > 0 else lines

    def _clock(self) -> str:
        if self._left is None:
            return ""
        seconds, at = self._left
        return f"{clock(max(0.0, seconds - (time.monotonic() - at)))} left"

    def _tell(self, progress: SearchProgress) -> None:
        self._best = progress.best
        if progress.seconds_left is not None:
            self._left = progress.seconds_left, time.monotonic()
        self._told(progress)


def _bar_width() -> int:
    return max(4, min(_BAR, os.get_terminal_size(sys.stdout.fileno()).columns - 34))


def _line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="crop")
