"""Is the time left that a search says true? Runs one, and holds each line's estimate against when it really ended.

    python bench/progress.py
    python bench/progress.py --trials=40 --finalists=1     # other flags of a search

`worst=` is how far an estimate of the end was off, as a factor of 1 or more, among all from a tenth of the way on:
(seconds gone + seconds left) over the seconds that it took, or the other way round. `median=` is that of the same
estimates. `silence=` are the most seconds without a line. One run: the spread is that over its lines.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.machine import machine

_LEFT = re.compile(r"(?:(\d+):)?(\d+):(\d\d) left")


def main() -> int:
    """Prints the machine, the search's lines with their seconds, and the result line."""
    print(machine("tensorflow", "keras"))
    root = Path(__file__).parent.parent
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(root / "train.py"), "--mode=search", f"--workdir={folder}/run", *sys.argv[1:]]
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        lines: list[tuple[float, str]] = []
        for line in process.stdout:
            lines.append((time.monotonic() - start, line.rstrip()))
            print(f"{lines[-1][0]:6.1f} s  {lines[-1][1]}")
        if process.wait():
            return process.returncode
    total = time.monotonic() - start
    told = [(gone, _seconds(line)) for gone, line in lines if _LEFT.search(line) and gone >= total / 10]
    if not told:
        print("no line from a tenth of the way on said what is left")
        return 1
    ratios = np.array([(gone + left) / total for gone, left in told])
    factors = np.maximum(ratios, 1 / ratios)
    gone, left = told[int(factors.argmax())]
    silence = float(np.diff([0.0, *(gone for gone, _ in lines), total]).max())
    print(f"{total:.0f} s in all, {len(told)} estimates; the worst after {gone:.0f} s: {left:.0f} s left")
    print(f"RESULT progress worst={factors.max():.2f} median={np.median(factors):.2f} silence={silence:.0f}")
    return 0


def _seconds(line: str) -> float:
    """The last time left in a line: it is that of the whole run."""
    hours, minutes, seconds = _LEFT.findall(line)[-1]
    return 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds)


if __name__ == "__main__":
    sys.exit(main())
