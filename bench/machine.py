"""What a benchmark ran on, and its end where it was told something wrong."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np

from nasnet.runtime.errors import UserError


def machine(*packages: str) -> str:
    """CPU, cores, load and versions, in one line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{model}, {os.cpu_count()} cores, load {load}; Python {platform.python_version()}, {versions}"


def spread(values: np.ndarray, form: str = ".3f") -> str:
    """Median and range."""
    return f"{np.median(values):{form}} ({values.min():{form}} to {values.max():{form}}, {values.size} repetitions)"


def start(main: Callable[[], object]) -> None:
    """Calls a benchmark's `main`; what it refuses is one line and exit code 1."""
    try:
        main()
    except UserError as error:
        raise SystemExit(f"error: {error}") from error
