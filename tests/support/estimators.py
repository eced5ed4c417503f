"""Estimators that misbehave, and one that behaves: real children for real worker processes, without pictures."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from cells.genotype.cell import CellGenotype
from cells.spaces.nasnet import NASNetSpace
from nasnet.estimators.estimator import Estimate, TrainedChild

SPACE = NASNetSpace(1)


def share(genotype: CellGenotype) -> float:
    """The share of tokens that are zero."""
    tokens = SPACE.encode(genotype)
    return sum(token == 0 for token in tokens) / len(tokens)


def _hang() -> None:
    while True:
        time.sleep(60)


def _hang_deaf() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _hang()


def _allocate() -> None:
    held = []
    while True:
        held.append(np.ones(2**22))  # 32 MiB, touched


def _run_out() -> None:
    np.empty(2**50)


def _raise() -> None:
    raise RuntimeError("boom\nand more")


def _diverge() -> None:
    from nasnet.runtime.errors import DivergedError

    raise DivergedError("the loss was nan at step 3")


FAULTS = {
    "raise": _raise,
    "diverge": _diverge,
    "run_out": _run_out,
    "exit_0": lambda: os._exit(0),
    "exit_3": lambda: os._exit(3),
    "sys_exit": lambda: sys.exit(4),
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "terminated": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "hang": _hang,
    "hang_deaf": _hang_deaf,
    "allocate": _allocate,
}


class Misbehaving:
    """Does what `faults` says for a child's name, once for each `marks` folder it is given, else every time."""

    def __init__(self, faults: dict[str, str], once: Path | None = None) -> None:
        self.faults, self.once = faults, once

    def estimate(self, genotype: CellGenotype, name: str) -> Estimate:
        fault = self.faults.get(name)
        if fault is not None and (self.once is None or not (self.once / name).exists()):
            if self.once is not None:
                (self.once / name).touch()
            print(f"about to {fault}", flush=True)
            FAULTS[fault]()
        weights = {"w": np.full(3, share(genotype))}
        return Estimate(share(genotype), child=TrainedChild({"version": 1, "name": name}, weights))
