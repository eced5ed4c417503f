"""One child to train, what it gets, and how it ended: values that travel between processes. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from cells.architecture import Architecture
from cells.genotype.genotype import Genotype
from controller.strategy import Outcome
from nasnet.estimators.estimator import Timing, TrainedChild


@dataclasses.dataclass(frozen=True)
class Job:
    """One child to train.

    Attributes:
        trial_id: the trial that it is of.
        genotype: the cell, where the estimator asks for one.
        start: which of its fresh starts, where a finalist is trained longer; None for the trial itself.
        estimator: one of the estimators that the workers were started with, by name.
        keep_above: the child's weights come back if its reward is above; None is never.
        rung: which of a trial's trainings, each but the first of which goes on where the one before it ended.
        begin: the folder of the trained child that it goes on from (`TrainedChild.save`), on the machine of the search;
            it is scored in the place of the genotype. None where it begins with fresh weights.
        label: its name, where it is no trial of a search.
        called: what a person calls it, where it has a label.
        architecture: the whole network, in the place of a genotype, where the estimator asks for one.
    """

    trial_id: int
    genotype: Genotype | None = None
    start: int | None = None
    estimator: str = "proxy"
    keep_above: float | None = None
    rung: int = 1
    begin: Path | None = None
    label: str = ""
    called: str = ""
    architecture: Architecture | None = None

    @property
    def name(self) -> str:
        """What its log file is called and its random numbers are seeded by.

        `trial_7`, of its second rung `trial_7_rung_2`, or of a finalist `finalist_7_1`.
        """
        if self.label:
            return self.label
        if self.start is not None:
            return f"finalist_{self.trial_id}_{self.start}"
        return f"trial_{self.trial_id}" + (f"_rung_{self.rung}" if self.rung > 1 else "")

    @property
    def said(self) -> str:
        """Its name as a line on the screen has it: `trial 7, rung 2`, `finalist 7, start 1`, `nasnet_a, seed 0`."""
        if self.label:
            return self.called or self.label
        if self.start is not None:
            return f"finalist {self.trial_id}, start {self.start}"
        return f"trial {self.trial_id}" + (f", rung {self.rung}" if self.rung > 1 else "")


@dataclasses.dataclass(frozen=True)
class Result:
    """How a child ended.

    Attributes:
        job: which child.
        outcome: in one word.
        reward: None unless the outcome is ok.
        seconds: from its submission to its end; from the start of its estimate where it ended by itself.
        cause: one line where it failed.
        timing: what the estimate's part of the seconds went to; nothing is known where it failed.
        child: its weights, where `Job.keep_above` asks for them.
        figures: what else its estimate told.
        log: what it wrote, where its log file is on another machine.
    """

    job: Job
    outcome: Outcome
    reward: float | None
    seconds: float
    cause: str = ""
    timing: Timing = dataclasses.field(default_factory=Timing)
    child: TrainedChild | None = None
    log: bytes | None = None
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Resources:
    """What a child gets.

    Attributes:
        cpus: TensorFlow's threads.
        memory: MiB of its process; None is no limit.
        seconds: until it is ended; None is no limit.
        children_per_worker: how many share a process one after another.
    """

    cpus: int = 1
    memory: int | None = None
    seconds: float | None = None
    children_per_worker: int = 200
