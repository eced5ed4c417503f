"""What this machine has: cores, memory and GPUs that this process may use. No TensorFlow."""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from nasnet.runtime import cgroups

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_NVIDIA, _DISPLAY = "0x10de", "0x03"
"""As PCI knows them: a vendor, and the first byte of a device's class."""
_ANSWER_SECONDS = 20.0


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


def memory_taken() -> int:
    """Bytes of memory that this process holds; 0 on a system that does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def gpus(root: Path = Path("/")) -> list[str]:
    """The NVIDIA GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them.

    Args:
        root: under which `proc` is looked for.
    """
    visible = os.environ.get(_VISIBLE)
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    driven = len(list((root / "proc/driver/nvidia/gpus").glob("*"))) or _listed()
    return [str(number) for number in range(driven)]


@functools.cache
def _listed() -> int:
    """How many GPUs NVIDIA's own command lists: where Linux runs below Windows, `proc` does not show them."""
    if (command := shutil.which("nvidia-smi")) is None:
        return 0
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run([command, "-L"], capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False)
        return sum(line.startswith("GPU ") for line in done.stdout.splitlines()) if not done.returncode else 0
    return 0


def hide_unusable_gpus(usable: int, root: Path = Path("/")) -> str | None:
    """Takes the GPUs that TensorFlow cannot use out of what `gpus` says, for this process and those that it starts.

    Args:
        usable: how many TensorFlow lists.
        root: under which `proc` and `sys` are looked for.

    Returns:
        A line for the user where there are more, with what to install; None otherwise, and where the user hides them.
    """
    found, named = gpus(root), os.environ.get(_VISIBLE)
    if named is None and not found:
        there, driver = _on_the_bus(root), "NVIDIA's driver, so that nvidia-smi lists them, and then: "
    else:
        there, driver = len(found), ""
    if usable >= there:
        return None
    if found:
        os.environ[_VISIBLE] = ",".join(found[:usable])
    where = f"that {_VISIBLE}={named} names" if named is not None else "of this machine"
    command = f"{shlex.quote(sys.executable)} -m pip install -r requirements-gpu.txt"
    return (
        f"note: NVIDIA GPUs {where}: {there}, TensorFlow can use {usable}; "
        f"{'the others are left out' if usable else 'this runs on the CPU'}. What they need: {driver}{command} "
        f"(or, to hear no more of it: {_VISIBLE}=-1)"
    )


def _on_the_bus(root: Path) -> int:
    """How many NVIDIA GPUs are built in, with a driver or without one."""
    found = 0
    for device in (root / "sys/bus/pci/devices").glob("*"):
        with contextlib.suppress(OSError):
            vendor, kind = ((device / name).read_text().strip() for name in ("vendor", "class"))
            found += vendor == _NVIDIA and kind.startswith(_DISPLAY)
    return found


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
