"""What is searched, how, and for how long. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Literal

from controller.config import CHAIN_DEFAULTS
from nasnet.runtime.errors import SettingError
from nasnet.runtime.setting import Settings, setting

NASNET, DARTS, CHAIN, SETTINGS, TABLE = "nasnet", "darts", "chain", ("lenet5", "alexnet", "vgg16"), "table"
"""The spaces: of NASNet's cells, of DARTS', of layers one by one, of a known network's settings, of a file's tuples."""
CELLS = NASNET, DARTS
SETTINGS_DEFAULTS = MappingProxyType({"learning_rate": 0.02, "final_learning_rate": 0.02})
"""Of the last kind, whose networks have no batch norm: the best of four measured rates (docs/search.md)."""
UNSET_FINAL_FILTERS = 16
"""Channels in the first cell of a winner of no given size."""
RANDOM, NO_BASELINES = "random", "none"
"""Of the baselines: the best of the first trials, and none at all."""
TABLE_DEFAULTS = MappingProxyType({"estimator": TABLE, "workers": 0, "gpus_per_child": 0, "baselines": NO_BASELINES})
"""Of a table, which is looked up in this process: the machine decides nothing, and it has no network to train."""
SPACE_DEFAULTS: dict[str, Mapping[str, Any]] = {
    DARTS: {"blocks": 4},
    CHAIN: {**CHAIN_DEFAULTS, "baselines": f"lenet5,resnet20,{RANDOM}"},
    **{name: {**SETTINGS_DEFAULTS, "baselines": f"{name},resnet20,{RANDOM}"} for name in SETTINGS},
    TABLE: TABLE_DEFAULTS,
}
"""What a space says otherwise than the mode search."""
_RUNGS = "must be two or more numbers of steps with commas between, each above the one before, such as 50,200"


@dataclasses.dataclass(frozen=True)
class SearchConfig(Settings):
    """What is searched, how, and for how long."""

    space: Literal["nasnet", "darts", "chain", "lenet5", "alexnet", "vgg16", "table"] = setting(
        "nasnet",
        "search space: nasnet, two cells (section 3); darts, two of DARTS (arXiv 1806.09055); chain, layer by layer "
        "with skip connections, its paper's controller and reward where no flag says otherwise (2017); the settings of "
        "a known network, three options each; or table, a CSV file of known rewards (docs/search.md)",
    )
    table: str | None = setting(
        None, "CSV file of space=table: a column for each decision, and reward; test and seconds may be there"
    )
    blocks: int = setting(5, "blocks a cell (section 3; unset with space=darts: 4)", unit="blocks", least=1, most=20)
    strategy: Literal[
        "ppo",
        "reinforce",
        "random",
        "grid",
        "evolution",
        "local_search",
        "predictor",
        "dyna_ppo",
        "kt_random",
        "kt_bayesian",
    ] = setting(
        "predictor",
        "who proposes: the paper's LSTM controller, with PPO (A.2) or with REINFORCE (2017 paper, of space=chain where "
        "no strategy is given); random; grid: everything once, evenly spread; regularized evolution; local search; "
        "predictor, a linear model of the reward, by Thompson sampling; dyna_ppo, PPO on real trials and on ones "
        "imagined on that model; or KerasTuner's oracles, kt_random and kt_bayesian, a Gaussian process",
    )
    start: str | None = setting(
        None,
        "known networks as the first trials, with commas between: names of published cells, genotype.json files, "
        "folders such as best/; any strategy goes on from them; unset: none",
    )
    free: int | None = setting(
        None,
        "how many settings of a known network are decisions, from the first layer's on: n are 3^n networks; unset: all",
        unit="settings",
        least=1,
    )
    estimator: Literal["proxy", "table"] = setting(
        "proxy",
        "how a cell is scored: short training of a small network (A.1); space=table implies table, which looks it up",
    )
    trials: int = setting(
        200,
        "networks to try in all (the paper: 20,000; A.3); more on the same workdir go on, finalists are ranked anew",
        unit="trials",
        least=1,
        free=True,
    )
    stop_after: float | None = setting(
        None,
        "time after which no more trials are made, and the best so far are ranked, trained and exported; counted from "
        "the start of each process",
        unit="minutes",
        above=0,
        free=True,
    )
    repeat_cells: bool = setting(
        False,
        "train a network again that a trial before it had, by any name; otherwise that trial's reward is taken",
    )
    rungs: str | None = setting(
        None,
        "steps of each rung in all, such as 50,200: a wave is trained for the first, its best third goes on from there "
        "to the next, and so on; in the place of steps; unset: all children are trained alike",
    )
    child: Literal["functions", "keras"] = setting(
        "functions", "how children are built: as plain functions, or as Keras models for checking (ten times slower)"
    )
    reward: Literal["last", "best_of_last_5"] = setting(
        "last", "valid accuracy at the end (A.1), or the best at the end of the last 5 epochs (2017 paper, there cubed)"
    )
    statistics: Literal["reestimated", "moving"] = setting(
        "reestimated",
        "of batch norm when a child is scored: a training batch's for its last weights, or the moving ones, which tens "
        "of steps are short for (docs/search.md)",
    )
    finalists: int = setting(
        3,
        "best trials to train longer and rank anew before one is exported, 0 is none (the paper: 250; A.3)",
        unit="trials",
        least=0,
    )
    finalist_steps: int | None = setting(
        None,
        "training steps of a finalist, no fewer than a child has, or twice those of the last of rungs; unset: four "
        "times those of a child, twice those of the last rung (the paper: to convergence)",
        unit="steps",
        least=1,
    )
    finalist_seeds: int = setting(
        2, "fresh starts of each finalist; its rank is by the mean of their rewards", unit="starts", least=1
    )
    deterministic: bool | None = setting(
        None,
        "the same proposals whatever number of workers, in waves of update_trials (docs/distributed.md); unset: on "
        "where four children or more of a wave fall to each worker of this machine",
    )
    keep_weights: int = setting(
        3,
        "best children whose weights are kept in workdir/children, 0 is none",
        unit="children",
        least=0,
        free=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, needed in (("child", "functions"), ("reward", "last"), ("deterministic", True)):
            if self.rung_steps and (value := getattr(self, name)) not in (needed, None):
                raise SettingError("rungs", self.rungs, f"needs {name}={needed}, and it is {value}")

    @property
    def rung_steps(self) -> tuple[int, ...]:
        """Steps in all at the end of each rung; none where there are no rungs."""
        texts = [] if self.rungs is None else [text.strip() for text in self.rungs.split(",")]
        steps = tuple(int(text) for text in texts if text.isascii() and text.isdecimal())
        if texts and (len(steps) < max(2, len(texts)) or steps[0] < 1 or list(steps) != sorted(set(steps))):
            raise SettingError("rungs", self.rungs, _RUNGS)
        return steps


@dataclasses.dataclass(frozen=True)
class ChainConfig(Settings):
    """What a network of space=chain is made of (arXiv 1611.01578, sections 3 and 4.1)."""

    max_layers: int = setting(
        15, "the most layers that a network has (table 1: 15 without strides or pooling)", unit="layers", least=1
    )
    start_layers: int = setting(6, "those of the first trials (section 4.1: 6)", unit="layers", least=1)
    grow_layers: int = setting(2, "so many more after every grow_every trials (section 4.1: 2)", unit="layers", least=0)
    grow_every: int = setting(1600, "trials between growths (section 4.1: 1,600)", unit="trials", least=1)
    strides: bool = setting(False, "strides, 1 to 3 down and across, are decisions too; otherwise they are 1")
    skips: bool = setting(True, "skip connections are decisions; otherwise each layer reads the one before")
    scale: float = setting(
        1.0, "factor of the numbers of filters, which are 24, 36, 48 or 64; below 1 for small pictures", above=0
    )
    pool_at: str | None = setting(
        None, "layers that a pooling by 2 follows, such as 3,6 (table 1: 13,24 of 39); unset: none"
    )


@dataclasses.dataclass(frozen=True)
class LimitConfig(Settings):
    """Children over these are invalid, which is found from the genotype before they start."""

    max_params: int | None = setting(None, "most trainable parameters of a child", unit="parameters", least=1)
    max_mult_adds: int | None = setting(None, "most mult-adds of a child, a picture", unit="mult-adds", least=1)
    max_memory: int | None = setting(
        None,
        "most memory of a child's training step, counted: weights, gradients, momentum, a batch's activations",
        unit="MiB",
        least=1,
    )


@dataclasses.dataclass(frozen=True)
class LatencyConfig(Settings):
    """A budget in milliseconds.

    Of one picture, in the network that a child would be exported as, on one thread of this machine.
    """

    latency_ms: float | None = setting(
        None,
        "the most that a picture may take in the network of a child's cells as it would be exported; children above it "
        "are invalid, or by objective=accuracy*latency worth less",
        unit="milliseconds",
        above=0,
    )
    latency_on: Literal["tensorflow", "litert"] = setting("tensorflow", "what runs it, a picture at a time")
    objective: Literal["accuracy", "accuracy*latency"] = setting(
        "accuracy",
        "what a child is worth: its accuracy, or accuracy * (latency / latency_ms) ^ latency_weight (MnasNet, arXiv "
        "1807.11626)",
    )
    latency_weight: float = setting(-0.07, "of the latency in the objective (MnasNet, section 3.1: -0.07)", below=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.objective != "accuracy" and self.latency_ms is None:
            raise SettingError("objective", self.objective, "needs a target; expected latency_ms too")

    @property
    def is_hard(self) -> bool:
        """Whether what is slower than `latency_ms` may not be tried."""
        return self.latency_ms is not None and self.objective == "accuracy"

    def factor(self, milliseconds: float) -> float:
        """What the objective multiplies an accuracy by."""
        if self.latency_ms is None or self.objective == "accuracy":
            return 1.0
        return (milliseconds / self.latency_ms) ** self.latency_weight

    def check_given(self, given: Collection[str], match: str) -> None:
        """Raises SettingError for a setting that is given and would do nothing; `match` is the baselines'."""
        if "latency_on" in given and self.latency_ms is None and match != "latency":
            raise SettingError("latency_on", self.latency_on, "has no meaning without latency_ms or match=latency")
        if "latency_weight" in given and self.objective == "accuracy":
            raise SettingError("latency_weight", self.latency_weight, "has no meaning with objective=accuracy")


@dataclasses.dataclass(frozen=True)
class FinalConfig(Settings):
    """How the best network of a search is trained for export."""

    export: bool = setting(
        True, "train and export the best network at the end; otherwise the trials are all that is left", free=True
    )
    final_repeats: int = setting(
        1, "Normal Cells a stage of the network that the best cells are exported in", unit="cells", least=1
    )
    final_filters: int | None = setting(
        None,
        f"channels in its first cell; unset: {UNSET_FINAL_FILTERS}, or what final_parameters comes to",
        unit="channels",
        least=2,
    )
    final_parameters: int | None = setting(
        None,
        "its size, as parameters is that of a child; unset: that of a child, where that is given and final_filters not",
        unit="parameters",
        least=1,
    )
    final_epochs: int = setting(15, "its passes over the training split", unit="epochs", least=1)
    final_learning_rate: float = setting(0.05, "its learning rate at the first step", above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.final_filters is not None and self.final_parameters is not None:
            rule = f"is what final_parameters={self.final_parameters} decides; expected one of the two"
            raise SettingError("final_filters", self.final_filters, rule)


@dataclasses.dataclass(frozen=True)
class BaselineConfig(Settings):
    """What the network that a search found is held against before it is exported: whether the search paid."""

    baselines: str = setting(
        f"nasnet_a,resnet20,{RANDOM}",
        "networks to hold the best one against, with commas between: names and paths as model takes them, and "
        f"{RANDOM}, the best of the first trials, drawn before anything was learned; {NO_BASELINES}: leave it out. "
        f"Unset in other spaces: lenet5,resnet20,{RANDOM} for chain, NAME,resnet20,{RANDOM} for the settings of NAME",
        free=True,
    )
    match: Literal["none", "params", "mult_adds", "latency"] = setting(
        "params",
        "make each baseline as large as the best network of the search, within 5%, as mode compare does "
        "it; or as fast, by latency_on within 10%, which is measured",
    )
    baseline_steps: int | None = setting(
        None, "training steps of each of them, the best network too; unset: a finalist's", unit="steps", least=1
    )
    baseline_seeds: int = setting(
        3, "trainings of each of them, from seeds that no trial has had", unit="trainings", least=1, free=True
    )
