"""Which GPUs there are, what is said of those that TensorFlow cannot use: by trees of real files, a real command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nasnet.modes.flags import resolve
from nasnet.runtime import devices
from nasnet.runtime.errors import UserError

ROOT = Path(__file__).parents[2]
BUS = "sys/bus/pci/devices"
CARD = {f"{BUS}/0000:01:00.0/vendor": "0x10de", f"{BUS}/0000:01:00.0/class": "0x030200"}
ITS_SOUND = {f"{BUS}/0000:01:00.1/vendor": "0x10de", f"{BUS}/0000:01:00.1/class": "0x040300"}
OTHER = {f"{BUS}/0000:00:02.0/vendor": "0x8086", f"{BUS}/0000:00:02.0/class": "0x030000"}
DRIVEN = {f"proc/driver/nvidia/gpus/0000:0{number}:00.0/information": "Model: T4" for number in (1, 2)}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of these files, whose PATH has no nvidia-smi."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    devices._listed.cache_clear()

    def make(files, visible=None):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(f"{text}\n")
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible or "")
        if visible is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
        return tmp_path

    yield make
    devices._listed.cache_clear()


@pytest.mark.parametrize(
    ("files", "visible", "usable", "said", "left"),
    [
        ({}, None, 0, None, []),
        ({**OTHER, **ITS_SOUND}, None, 0, None, []),
        ({**CARD, **ITS_SOUND, **OTHER}, None, 0, "NVIDIA GPUs of this machine: 1, TensorFlow can use 0; this runs on "
         "the CPU. What they need: NVIDIA's driver, so that nvidia-smi lists them, and then: ", []),
        ({**CARD, **DRIVEN}, None, 0, "NVIDIA GPUs of this machine: 2, TensorFlow can use 0; this runs on the CPU. "
         "What they need: /", []),
        ({**CARD, **DRIVEN}, None, 1, "of this machine: 2, TensorFlow can use 1; the others are left out. What", ["0"]),
        ({**CARD, **DRIVEN}, None, 2, None, ["0", "1"]),
        ({**CARD, **DRIVEN}, "", 0, None, []),  # the user hides them
        ({**CARD, **DRIVEN}, "-1", 0, None, []),
        ({**CARD, **DRIVEN}, "1", 1, None, ["1"]),
        ({}, "3, 5", 1, "NVIDIA GPUs that CUDA_VISIBLE_DEVICES=3, 5 names: 2, TensorFlow can use 1; the others", ["3"]),
        ({}, "GPU-ab12", 0, "that CUDA_VISIBLE_DEVICES=GPU-ab12 names: 1, TensorFlow can use 0; this runs on the", []),
    ],
)  # fmt: skip
def test_what_tensorflow_cannot_use_is_said_and_not_counted(machine, files, visible, usable, said, left):
    root = machine(files, visible)
    line = devices.hide_unusable_gpus(usable, root)
    assert (line is None) == (said is None)
    if line is not None:
        assert said in line
        assert line.startswith("note: ")
        assert line.count("\n") == 0
        assert f"{sys.executable} -m pip install -r requirements-gpu.txt" in line
    assert devices.gpus(root) == left


def test_where_proc_shows_none_nvidia_s_own_command_is_asked(machine, monkeypatch):
    """As where Linux runs below Windows."""
    root = machine(
        {"bin/nvidia-smi": "#!/bin/sh\necho 'GPU 0: A (UUID: GPU-1)'\necho '  MIG 1g.5gb Device 0: (UUID: x)'"}
    )
    assert devices.gpus(root) == []  # it cannot be run
    devices._listed.cache_clear()
    (root / "bin" / "nvidia-smi").chmod(0o755)
    assert devices.gpus(root) == ["0"]
    (root / "bin" / "nvidia-smi").write_text("#!/bin/sh\necho 'GPU 0: never'\nexit 9\n")
    devices._listed.cache_clear()
    assert devices.gpus(root) == []


def test_a_search_whose_gpu_cannot_be_used_is_that_of_a_machine_without_one(machine):
    root = machine({"bin/nvidia-smi": "#!/bin/sh\necho 'GPU 0: A (UUID: 1)'\necho 'GPU 1: A (UUID: 2)'"})
    (root / "bin" / "nvidia-smi").chmod(0o755)
    if devices.gpus() != ["0", "1"]:
        pytest.skip("a machine with GPUs")
    before = resolve("search", 0, {}).values
    assert (before["workers"], before["gpus_per_child"]) == (2, 1)
    assert "TensorFlow can use 0; this runs on the CPU" in str(devices.hide_unusable_gpus(0))
    after = resolve("search", 0, {}).values
    assert (after["workers"], after["gpus_per_child"]) == (devices.cores(), 0)
    with pytest.raises(UserError, match=r"gpus_per_child=1: .*this machine shows 0"):
        resolve("search", 0, {"gpus_per_child": 1})


def test_requirements_gpu_are_those_of_a_user_with_cuda():
    """The same TensorFlow, of which CUDA's libraries are an extra that it knows."""
    lines = (ROOT / "requirements-gpu.txt").read_text().splitlines()
    plain = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line.startswith("tensorflow==")]
    assert [line for line in lines if not line.startswith("#")] == [
        "-r requirements.txt",
        plain[0].replace("tensorflow", "tensorflow[and-cuda]"),
    ]
    code = "import importlib.metadata as m; print(*m.metadata('tensorflow').get_all('Provides-Extra'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ}, check=True)
    assert "and-cuda" in done.stdout.split()
