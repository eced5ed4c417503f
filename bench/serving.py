"""A SavedModel's `classify`, which decodes by TensorFlow, against `prepare` by Pillow and the same model.

    python bench/serving.py BEST PICTURE_OR_FOLDER...

Prints the largest difference of a probability, and how many pictures get another class.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from scipy.special import softmax

from nasnet.data.pictures import prepare
from nasnet.modes.inputs import named_pictures
from nasnet.networks.saved import load_trained
from nasnet.training.metrics import logits_of


def main() -> None:
    """Reads the export and the pictures that the command names."""
    best, *paths = sys.argv[1:]
    spec, model = load_trained(Path(best))
    classify = tf.saved_model.load(str(Path(best) / "saved_model")).signatures["classify"]
    read = (".png", ".jpg", ".jpeg", ".gif", ".bmp")  # TensorFlow decodes no others
    files = [file for file in named_pictures(tuple(paths)) if file.suffix.lower() in read]
    apart, other = [], 0
    for file in files:
        pixels = prepare(file, spec.image_shape, spec.preparation)
        ours = softmax(logits_of(model, pixels[np.newaxis]).astype(np.float64)[0])
        answer = classify(image_bytes=tf.constant([file.read_bytes()]))
        names = [name.decode() for name in answer["classes"].numpy()[0]]
        theirs = dict(zip(names, answer["probabilities"].numpy()[0], strict=True))
        apart.append(max(abs(theirs[name] - p) for name, p in zip(spec.classes, ours, strict=True)))
        other += names[0] != spec.classes[int(ours.argmax())]
    print(f"RESULT serving pictures={len(files)} largest={max(apart):.2g} median={np.median(apart):.2g} other={other}")


if __name__ == "__main__":
    main()
