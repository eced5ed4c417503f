"""Cuts five photographs into a folder of pictures for `--dataset=folder:PATH`: 200 tiles each, a class a photograph.

    pip install scikit-image
    python examples/photo_crops.py PATH

Two photographs come with scikit-learn, three with scikit-image. The tiles do not overlap: no pixel of one that is set
aside for valid or test was trained on.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 24  # pixels of a tile; chelsea, the smallest photograph, holds 216 of them
TILES = 200

PHOTOGRAPHS = {
    "astronaut": "skimage/data/astronaut.png",
    "cat": "skimage/data/chelsea.png",
    "coffee": "skimage/data/coffee.png",
    "dahlia": "sklearn/datasets/images/flower.jpg",
    "temple": "sklearn/datasets/images/china.jpg",
}


def main() -> None:
    """Writes PATH/<photograph>/<row>_<column>.png."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="folder to create")
    path: Path = parser.parse_args().path.expanduser()
    if path.exists():
        parser.error(f"{path} exists; name a new folder")
    found = {name: _found(file, parser) for name, file in PHOTOGRAPHS.items()}
    for name, file in found.items():
        with Image.open(file) as photograph:
            pixels = np.asarray(photograph.convert("RGB"))
        rows, columns = pixels.shape[0] // SIDE, pixels.shape[1] // SIDE
        folder = path / name
        folder.mkdir(parents=True)
        for place in np.random.default_rng(0).permutation(rows * columns)[:TILES]:
            row, column = divmod(int(place), columns)
            tile = pixels[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
            Image.fromarray(tile).save(folder / f"{row:02d}_{column:02d}.png")
    print(f"{len(PHOTOGRAPHS)} x {TILES} pictures of {SIDE}x{SIDE} pixels in {path}")


def _found(file: str, parser: argparse.ArgumentParser) -> Path:
    package, _, rest = file.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        parser.error(f"{package} is not installed; pip install scikit-image scikit-learn")
    return Path(spec.origin).parent / rest


if __name__ == "__main__":
    main()
