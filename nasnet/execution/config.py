"""Where children run, with what, and for how long. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from nasnet.runtime import devices
from nasnet.runtime.errors import SettingError
from nasnet.runtime.setting import Settings, setting


@dataclasses.dataclass(frozen=True)
class ExecutionConfig(Settings):
    """Where children run, with what, and for how long."""

    workers: int | None = setting(
        None,
        "worker processes on this machine, one child each; 0 runs children in this process, for debugging; with a "
        "cluster, the most children at a time; unset: one for each cpus_per_child cores, or gpus_per_child GPUs",
        unit="workers",
        least=0,
        free=True,
    )
    cluster: str | None = setting(
        None, "Ray cluster to run children on: auto (the one on this machine), HOST:PORT or ray://HOST:PORT", free=True
    )
    cpus_per_child: int = setting(
        1,
        "TensorFlow threads of a child, set before it starts; decides the last bits of a reward (docs/results.md)",
        unit="threads",
        least=1,
    )
    gpus_per_child: int | None = setting(
        None, "GPUs of a child; unset: 1 where this machine has any, else 0", unit="GPUs", least=0
    )
    memory_per_child: int | None = setting(
        None,
        "memory of a child's process, some 500 for TensorFlow included, before it is ended as oom",
        unit="MiB",
        least=1,
    )
    seconds_per_child: float | None = setting(
        None, "time of a child before it is ended as timeout", unit="seconds", above=0
    )
    children_per_worker: int = setting(
        200,
        "children that a worker process trains before a fresh one takes its place",
        unit="children",
        least=1,
        free=True,
    )
    retries: int = setting(
        3,
        "times that a child is run again after its process was killed from outside, then lost",
        unit="times",
        least=0,
        free=True,
    )
    stop_seconds: float = setting(
        10.0,
        "time that running children have to end after SIGINT or SIGTERM, before they are ended",
        unit="seconds",
        least=0,
        free=True,
    )


def resolve_execution(values: Mapping[str, Any]) -> dict[str, Any]:
    """What depends on the machine, so that it stands in a run's config, from the settings by name.

    Raises:
        SettingError: for more than the machine has, and for limits of children that run in this process.
    """
    cluster, workers, per_child = values["cluster"], values["workers"], values["gpus_per_child"]
    gpus = [] if cluster else devices.gpus()
    if per_child is None:
        per_child = int(bool(gpus))
    if workers is None and not cluster:
        workers = max(1, len(gpus) // per_child if per_child else devices.cores() // values["cpus_per_child"])
    if not cluster and ((workers or 0) * per_child > len(gpus) or (per_child and not gpus)):
        shows = f"with workers={workers} this machine shows {len(gpus)} GPU(s); fewer workers, or gpus_per_child=0"
        raise SettingError("gpus_per_child", per_child, shows)
    if workers == 0:
        if cluster:
            raise SettingError("workers", 0, "runs children in this process; with a cluster give 1 or more")
        for name in ("memory_per_child", "seconds_per_child"):
            if values[name] is not None:
                raise SettingError(name, values[name], "has no meaning in this process; give 1 worker or more")
    return {"workers": workers, "gpus_per_child": per_child}
