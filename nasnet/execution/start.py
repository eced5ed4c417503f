"""Which engine a config asks for. No TensorFlow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nasnet.estimators.estimator import Estimator
from nasnet.execution.config import ExecutionConfig
from nasnet.execution.engine import Engine, InProcess
from nasnet.execution.job import Resources
from nasnet.execution.workers import Workers
from nasnet.runtime import devices


@contextlib.contextmanager
def open_engine(estimators: Mapping[str, Estimator[Any]], execution: ExecutionConfig, logs: Path) -> Iterator[Engine]:
    """The engine that a config asks for, until it is left: a Ray cluster's, worker processes, or this process."""
    resources = Resources(
        cpus=execution.cpus_per_child,
        memory=execution.memory_per_child,
        seconds=execution.seconds_per_child,
        children_per_worker=execution.children_per_worker,
    )
    if execution.cluster:
        from nasnet.execution.ray_workers import RayWorkers

        gpus = execution.gpus_per_child or 0
        with RayWorkers(execution.cluster, estimators, resources, logs, execution.workers, gpus) as engine:
            yield engine
    elif execution.workers:
        with Workers(estimators, resources, logs, execution.workers, _gpus_of_workers(execution)) as engine:
            yield engine
    else:
        yield InProcess(estimators)


def _gpus_of_workers(execution: ExecutionConfig) -> list[str] | None:
    """`CUDA_VISIBLE_DEVICES` of each worker; None where this machine has no GPU to share out or to hide."""
    gpus, each = devices.gpus(), execution.gpus_per_child or 0
    return [",".join(gpus[i * each : (i + 1) * each]) for i in range(execution.workers or 0)] if gpus else None
