"""Classifies pictures with the network beside this file, by Keras and Pillow alone: python predict.py PICTURE..."""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is loaded: its warnings are of no use here
import keras
import numpy as np
from PIL import Image, ImageOps

HERE = Path(__file__).resolve().parent
TOP = 5


def prepare(path: str, image_shape: list[int], white: int, background: int) -> np.ndarray:
    """The picture as those that the network was trained on: float32 [height, width, channels], 0 to 255."""
    height, width, channels = image_shape
    picture = ImageOps.exif_transpose(Image.open(path))
    if picture.mode.startswith("I"):  # grey of 16 bits: `white` becomes 255
        levels = np.asarray(picture, np.float32)
        if levels.max() > white:
            sys.exit(f"{path}: values up to {levels.max():.0f}; expected at most {white}, as in training")
        resized = np.asarray(Image.fromarray(levels).resize((width, height), Image.Resampling.BILINEAR))
        return np.repeat(np.rint(np.minimum(resized, white) * (255.0 / white))[..., np.newaxis], channels, axis=2)
    behind = Image.new("RGBA", picture.size, (background, background, background, 255))
    picture = Image.alpha_composite(behind, picture.convert("RGBA")).convert("RGB")
    picture = picture.resize((width, height), Image.Resampling.BILINEAR).convert("L" if channels == 1 else "RGB")
    return np.asarray(picture, np.float32).reshape(image_shape)


if __name__ == "__main__":
    network = json.loads((HERE / "genotype.json").read_text(encoding="utf-8"))["network"]
    model = keras.models.load_model(HERE / "model.keras")
    how, broken = network["preparation"], False
    for path in sys.argv[1:]:
        try:
            image = prepare(path, network["image_shape"], how["white"], how["background"])
        except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises of broken files
            print(f"{path} is not a readable picture ({error})")
            broken = True
            continue
        logits = model.predict(image[np.newaxis], verbose=0)[0].astype(np.float64)
        probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        likeliest = np.argsort(-probabilities, kind="stable")[:TOP]
        print(f"{path}:", ", ".join(f"{network['classes'][k]} {probabilities[k]:.4f}" for k in likeliest))
    sys.exit(broken)
