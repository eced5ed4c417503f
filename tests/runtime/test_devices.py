"""What a process may use, read from trees of real files as Linux shows them in and out of containers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nasnet.runtime import cgroups
from nasnet.runtime.devices import cores, memory_available

ROOT = Path(__file__).parents[2]
GIB = 2**30
UNLIMITED = 9223372036854771712  # what version 1 says


def tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


def version_2(limits, group="/", shown="/"):
    """A machine of 16 GiB, 8 of them free, with control groups of version 2."""
    return {
        "proc/meminfo": "MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:    8388608 kB",
        "proc/self/cgroup": f"0::{group}",
        "proc/self/mountinfo": "22 1 0:20 / / rw - ext4 /dev/sda rw\n"
        f"35 22 0:30 {shown} /sys/fs/cgroup rw,nosuid master:9 - cgroup2 cgroup2 rw,nsdelegate",
        **{f"sys/fs/cgroup/{name}": text for name, text in limits.items()},
    }


def version_1(limits, group="/", shown="/"):
    """The same with version 1, and version 2 mounted beside it without controllers, as systemd does."""
    return {
        "proc/meminfo": "MemTotal:       16777216 kB\nMemAvailable:    8388608 kB",
        "proc/self/cgroup": f"9:name=systemd:/x\n4:memory:{group}\n1:cpu,cpuacct:{group}\n0::/x",
        "proc/self/mountinfo": f"32 31 0:29 {shown} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        f"35 31 0:32 {shown} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
        "sys/fs/cgroup/unified/cgroup.procs": "1",
        **{f"sys/fs/cgroup/{name}": text for name, text in limits.items()},
    }


BUSY_2 = {"memory.current": 3 * GIB, "memory.stat": f"anon {GIB}\ninactive_file {GIB}\nactive_file 5\nfile {2 * GIB}"}
BUSY_1 = {"memory/memory.usage_in_bytes": 3 * GIB, "memory/memory.stat": f"cache 7\ntotal_inactive_file {GIB}"}


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({"proc/meminfo": "MemAvailable:    8388608 kB"}, 8 * GIB),  # no control groups
        (version_2({}), 8 * GIB),  # the root group has no such files
        (version_2({"memory.max": "max", **BUSY_2}), 8 * GIB),
        (version_2({"memory.max": 4 * GIB, **BUSY_2}), 2 * GIB + 5),  # 4 - 3, and the cache of files that can go
        (version_2({"memory.max": "max", "memory.high": 4 * GIB, **BUSY_2}), 2 * GIB + 5),
        (version_2({"memory.max": 64 * GIB, **BUSY_2}), 8 * GIB),  # a limit above what there is
        (version_2({"memory.max": 2 * GIB, **BUSY_2}), 5),  # over its limit: what the cache gives back, then
        (version_2({"memory.max": GIB, "memory.current": 3 * GIB}), 0),
        (version_2({"a/b/memory.max": "max", "a/b/memory.current": 0, "a/memory.max": GIB, "a/memory.current": 9},
                   "/a/b"), GIB - 9),  # a limit above holds as well
        (version_2({"memory.max": GIB, "memory.current": 9}, "/docker/7", "/docker/7"), GIB - 9),
        (version_2({"memory.max": GIB, "memory.current": 9}, "/../elsewhere", "/"), GIB - 9),
        (version_1({"memory/memory.limit_in_bytes": UNLIMITED, **BUSY_1}), 8 * GIB),
        (version_1({"memory/memory.limit_in_bytes": 5 * GIB, **BUSY_1}, "/docker/7", "/docker/7"), 3 * GIB),
        (version_1({"memory/memory.limit_in_bytes": UNLIMITED, **BUSY_1, "memory/job/memory.limit_in_bytes": GIB,
                    "memory/job/memory.usage_in_bytes": 1}, "/job"), GIB - 1),
        (version_1({"memory/memory.limit_in_bytes": 5 * GIB, **BUSY_1}, "/docker/7"), 3 * GIB),  # hidden from inside
    ],
)  # fmt: skip
def test_memory_is_what_the_machine_or_the_container_has_left(tmp_path, files, free):
    assert memory_available(tree(tmp_path, files)) == free


def test_memory_of_a_system_that_does_not_tell_is_all_of_it(tmp_path):
    assert memory_available(tmp_path) == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_that_a_process_takes_is_no_longer_there():
    """Against this machine: what another process holds while it answers."""
    code = "held = b'x' * 2**29; print(flush=True); input()"
    before = memory_available()
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        during = memory_available()
        process.communicate(b"\n")
    assert before > 2**29
    assert during < before - 2**27  # others take and give back meanwhile


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        (version_2({"cpu.max": "max 100000"}), None),
        (version_2({"cpu.max": "150000 100000"}), 1.5),
        (version_2({"a/cpu.max": "max 100000", "cpu.max": "50000 100000"}, "/a"), 0.5),
        (version_1({"cpu,cpuacct/cpu.cfs_quota_us": -1, "cpu,cpuacct/cpu.cfs_period_us": 100000}), None),
        (version_1({"cpu,cpuacct/k/cpu.cfs_quota_us": 250000, "cpu,cpuacct/k/cpu.cfs_period_us": 100000}, "/k"), 2.5),
    ],
)
def test_cpus_are_those_of_the_quota(tmp_path, files, quota):
    assert cgroups.cpus(tree(tmp_path, files)) == quota


@pytest.mark.parametrize(("quota", "whole"), [(0.5, 1), (1.0, 1), (1.9, 1), (2.5, 2), (99.0, 4), (None, 4)])
def test_cores_are_whole_ones_of_the_quota(monkeypatch, quota, whole):
    """A worker on part of a core would slow down all of them."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)))
    monkeypatch.setattr(cgroups, "cpus", lambda: quota)
    assert cores() == whole


def test_cores_are_whole_and_those_that_this_process_may_use():
    code = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
    code += "from nasnet.runtime.devices import cores; print(cores())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
    assert 1 <= cores() <= (os.cpu_count() or 1)
