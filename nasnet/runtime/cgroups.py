"""What the control groups of this process (Linux' cgroups(7), versions 1 and 2) leave it: a container's limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_FILES = {
    1: (("memory.limit_in_bytes",), "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")),
    2: (("memory.max", "memory.high"), "memory.current", ("inactive_file", "active_file")),
}
"""For each version: limits of memory in bytes, what is used of them, what of `memory.stat` is no more than cache."""


def cpus(root: Path = Path("/")) -> float | None:
    """How many CPUs' time the groups give this process; None where none of them says.

    Args:
        root: under which `proc` and the mounted groups are looked for.
    """
    quotas: list[float] = []
    for folder, version in _groups("cpu", root):
        try:
            if version == 1:
                quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            else:
                quota, period = (folder / "cpu.max").read_text().split()
            if quota != "max" and int(quota) > 0:
                quotas.append(int(quota) / int(period))
        except (OSError, ValueError):  # the root group has no such file
            continue
    return min(quotas, default=None)


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process and those of its groups may still take; None where no group says."""
    free: list[int] = []
    for folder, version in _groups("memory", root):
        limits, used, cached = _FILES[version]
        limit = min((value for value in map(_number, (folder / name for name in limits)) if value), default=None)
        taken = _number(folder / used)
        if limit is not None and taken is not None:
            free.append(max(0, limit - taken + sum(_statistics(folder, cached))))
    return min(free, default=None)


def _groups(controller: str, root: Path) -> Iterator[tuple[Path, int]]:
    """The folders of this process's groups that a controller may be limited in, with the version of each.

    A limit of any group above holds as well. What a container does not show of them, it cannot be asked.
    """
    try:
        memberships = [line.split(":", 2) for line in (root / "proc/self/cgroup").read_text().splitlines()]
        mounts = [line.split() for line in (root / "proc/self/mountinfo").read_text().splitlines()]
    except OSError:  # not Linux
        return
    for fields in mounts:
        kind, options = fields[-3], fields[-1].split(",")
        version = {"cgroup": 1, "cgroup2": 2}.get(kind)
        if version is None or (version == 1 and controller not in options):
            continue
        for _, controllers, group in memberships:
            if (controller in controllers.split(",")) if version == 1 else not controllers:
                shown = Path(fields[3])  # the group that is mounted there
                below = Path(group).relative_to(shown) if Path(group).is_relative_to(shown) else Path()
                top = root / fields[4].lstrip("/")
                yield from ((top / part, version) for part in (below, *below.parents) if (top / part).is_dir())


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max"
        return None


def _statistics(folder: Path, names: tuple[str, ...]) -> Iterator[int]:
    try:
        lines = (folder / "memory.stat").read_text().splitlines()
    except OSError:
        return
    yield from (int(value) for name, value in map(str.split, lines) if name in names)
