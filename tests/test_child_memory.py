"""Memory of a process that trains one child after the other, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MEASURED, CHILDREN = 20, 100
LIMIT = 1.1  # also at 200 children, which take too long here: the growth is that of caches and comes to an end

SCRIPT = f"""
from pathlib import Path
from nasnet.child import Child
from nasnet.config import TrainingConfig
from nasnet.network import NetworkSpec
from tests.drawn import drawn_genotypes, drawn_pictures

data = drawn_pictures(8, train=48, valid=16)
config = TrainingConfig(steps=3, batch_size=16, learning_rate=0.02, pad=0, flip=False)
for index, genotype in enumerate(drawn_genotypes({CHILDREN}, seed=5, blocks=2), 1):
    spec = NetworkSpec(genotype, data.classes, data.image_shape, (100.0,), (80.0,), 1, 4, bn_momentum=0.9)
    Child(spec, data, config, seed=index).run()
    if index in ({MEASURED}, {CHILDREN}):
        status = Path("/proc/self/status").read_text().splitlines()
        print(next(line.split()[1] for line in status if line.startswith("VmRSS")))
"""


def test_the_driver_does_not_grow_with_children():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=True
    )
    early, late = (int(line) for line in done.stdout.split())
    assert late < LIMIT * early, f"{early} KiB after {MEASURED} children, {late} KiB after {CHILDREN}"
