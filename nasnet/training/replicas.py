"""On which devices one network trains: a `tf.distribute` strategy, and how the machines of one agree."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import re
import signal
import zlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from nasnet.runtime import devices
from nasnet.runtime.console import say
from nasnet.runtime.errors import PeerGone, SettingError, UserError, first_line
from nasnet.training.config import ReplicaConfig

_ENVIRONMENT = "TF_CONFIG"
_FEW_CORES = 4


@dataclasses.dataclass(frozen=True)
class Replicas:
    """A strategy, and this process's place among those that train the same network."""

    strategy: tf.distribute.Strategy
    worker: int = 0
    workers: int = 1

    @property
    def count(self) -> int:
        """How many replicas there are in all processes together; each holds a copy of the network."""
        return self.strategy.num_replicas_in_sync

    @property
    def chief(self) -> bool:
        """Whether this process writes files and says what happens; one of them does."""
        return self.worker == 0

    def describe(self) -> str:
        """In words, for the screen."""
        if self.workers > 1:
            return f"{self.count} replicas in {self.workers} processes, this one is worker {self.worker}"
        return "one device" if self.count == 1 else f"{self.count} replicas on this machine"

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """While it is entered, what TensorFlow raises because another process is gone becomes PeerGone."""
        try:
            yield
        except tf.errors.OpError as error:
            if self.workers == 1:
                raise
            raise PeerGone(
                f"worker {self.worker}: another process of this training is gone ({type(error).__name__}); start all "
                "of them again by the same commands: they go on from their newest checkpoint"
            ) from error

    def must_agree(self, what: str, value: str) -> None:
        """Raises UserError, in every process, unless all of them pass the same value."""
        if self.workers == 1:
            return
        # Each gives a number for its value. Only where all are the same is the square of their mean the mean of their
        # squares.
        checksum = float(zlib.crc32(value.encode()) % 2**20)  # its square is exact in float64

        def sums() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            mine = tf.constant([checksum, checksum * checksum], tf.float64)
            return context.all_reduce(tf.distribute.ReduceOp.SUM, mine)

        total = self.strategy.experimental_local_results(self.strategy.run(tf.function(sums, autograph=False)))[0]
        mean, mean_square = (total / self.count).numpy()
        if mean * mean != mean_square:
            raise UserError(
                f"the processes of {_ENVIRONMENT} differ in {what}; here it is {value}; all must be the same"
            )


def open_replicas(config: ReplicaConfig) -> Replicas:
    """The strategy that a config asks for. The first thing that a process does with TensorFlow.

    Raises:
        UserError: if there are not the devices for it.
    """
    _set_threads()
    cluster = _cluster()
    kind = config.distribute
    gpus = tf.config.list_physical_devices("GPU")
    if kind == "auto":
        several = len(gpus) > 1 or (config.replicas or 1) > 1
        kind = "multiworker" if cluster else "mirrored" if several else "none"
    if config.replicas and kind != "mirrored":
        raise SettingError(
            "replicas", config.replicas, f"goes with distribute=mirrored, not with {kind}", see=("distribute",)
        )
    if kind == "multiworker":
        if cluster is None:
            rule = f"{_ENVIRONMENT} is not set or names one worker; set it in each process, as in docs/training.md"
            raise SettingError("distribute", kind, rule)
        worker, workers = cluster
        try:
            with _interruptible():
                say(f"worker {worker}: waiting until all {workers} processes of {_ENVIRONMENT} have started")
                return Replicas(tf.distribute.MultiWorkerMirroredStrategy(), worker, workers)
        except tf.errors.OpError as error:
            raise UserError(
                f"{_ENVIRONMENT}={os.environ[_ENVIRONMENT]}: worker {worker} cannot start ({first_line(error)}); "
                "its own HOST:PORT must be free on this machine, and all others be started too"
            ) from error
    if kind == "mirrored":
        return Replicas(tf.distribute.MirroredStrategy(_local_devices(config.replicas, gpus)))
    return Replicas(tf.distribute.get_strategy())


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """While it is entered, Ctrl-C ends this process by the operating system, as nothing of Python's can.

    TensorFlow waits with the interpreter's lock held: no handler of Python's is called, nor does any thread run.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _local_devices(replicas: int | None, gpus: list[Any]) -> list[str]:
    if gpus:
        if replicas and replicas > len(gpus):
            raise SettingError("replicas", replicas, f"this machine shows {len(gpus)} GPU(s)")
        return [f"GPU:{index}" for index in range(replicas or len(gpus))]
    if not replicas:
        rule = "this machine shows no GPU; a number of replicas divides the CPU, for trying out"
        raise SettingError("distribute", "mirrored", rule, see=("replicas",))
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    return [f"CPU:{index}" for index in range(replicas)]


def _set_threads() -> None:
    """A cell's operations run side by side: with few cores that keeps them busier than dividing each operation."""
    if not tf.config.list_physical_devices("GPU") and devices.cores() <= _FEW_CORES:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(devices.cores())


def _cluster() -> tuple[int, int] | None:
    """This process's number and how many there are, from TF_CONFIG; None where there are not several.

    Without a cluster, as `{}` or a task alone, it says no more than that this is the only machine, as for TensorFlow.
    """
    text = os.environ.get(_ENVIRONMENT, "").strip()
    if not text:
        return None
    try:
        found = json.loads(text)
        if not found.get("cluster"):
            return None
        addresses = {kind: found["cluster"].get(kind, []) for kind in ("chief", "worker")}
        for address in itertools.chain(*addresses.values()):
            if not re.fullmatch(r".+:\d+", address):
                raise ValueError(f"{address} is not HOST:PORT")
        nodes = [(kind, index) for kind in addresses for index in range(len(addresses[kind]))]
        here = nodes.index((found["task"]["type"], int(found["task"]["index"])))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f'{_ENVIRONMENT}={text}: not of the form {{"cluster": {{"worker": ["HOST:PORT", ...]}}, "task": {{"type": '
            f'"worker", "index": 0}}}} with a task that the cluster has ({error})'
        ) from error
    return (here, len(nodes)) if len(nodes) > 1 else None
