"""Writes what bench/torch_training.py takes of a comparison: its networks and its pictures.

python bench/torch_export.py --workdir=runs/compare --out=runs/torch    # of --mode=compare, which may go on
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.machine import start
from cells.walks.stack import CellNetwork
from nasnet.data.config import DataConfig
from nasnet.data.dataset import DataSet, open_configured
from nasnet.modes.compared.contenders import contenders_of
from nasnet.modes.workdir import read_config
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.errors import UserError


def write(specs: dict[str, NetworkSpec], data: DataSet, out: Path) -> None:
    """`networks.json` and `data.npz`. Raises UserError for what the port would train as something else."""
    if data.image_shape[2] != 1 or len(data.classes) > 256:
        raise UserError(f"{data.name}: expected grey pictures of at most 256 classes")
    if others := [name for name, spec in specs.items() if not isinstance(spec.architecture, CellNetwork)]:
        raise UserError(f"{others[0]}: expected a network of cells")
    out.mkdir(parents=True, exist_ok=True)
    splits = {"train": data.train, "valid": data.valid, "test": data.test()}
    arrays = {f"{name}_images": split.images for name, split in splits.items()}
    arrays |= {f"{name}_labels": split.labels.astype(np.uint8) for name, split in splits.items()}
    np.savez_compressed(out / "data.npz", allow_pickle=False, **arrays)
    first = next(iter(specs.values()))
    networks = {name: spec.architecture.to_json() for name, spec in specs.items()}
    described = {"classes": len(first.classes), "mean": first.mean[0], "std": first.std[0], "networks": networks}
    (out / "networks.json").write_text(json.dumps(described))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, required=True, help="of --mode=compare")
    parser.add_argument("--out", type=Path, required=True)
    flags = parser.parse_args()
    config = read_config(flags.workdir)
    data = open_configured(config.group(DataConfig), allow_test=True)
    write({Path(each.name).stem: each.spec for each in contenders_of(config, data)}, data, flags.out)


if __name__ == "__main__":
    start(main)
