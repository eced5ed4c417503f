"""What this machine has: cores, memory and GPUs that this process may use. No TensorFlow."""

from __future__ import annotations

import os
from pathlib import Path

from nasnet.runtime import cgroups


def cores() -> int:
    """Cores that this process may use: those of its affinity, fewer where a container's quota says so."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroups.cpus()
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def memory_available(root: Path = Path("/")) -> int:
    """Bytes of memory that this process and its children can still take before something is swapped out or killed.

    That is what Linux calls MemAvailable, or what a container's limit leaves, where that is less. On a system that does
    not tell what is free, all that it has.

    Args:
        root: under which `proc` and the control groups are looked for.
    """
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        [free] = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError):
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = cgroups.free_memory(root)
    return free if limit is None else min(free, limit)


def gpus() -> list[str]:
    """The NVIDIA GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]


def grow_memory() -> None:
    """Lets TensorFlow take a GPU's memory as it needs it, not all at once: several processes share a GPU.

    To be called before TensorFlow uses one.
    """
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
