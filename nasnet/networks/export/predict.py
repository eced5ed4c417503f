"""Names what pictures show by the network beside this file, with Keras and Pillow: python predict.py PICTURE..."""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is loaded: its warnings are of no use here
import keras
import numpy as np
from PIL import Image, ImageOps


def prepare(path: str, shape: list[int], white: int, background: int) -> np.ndarray:
    """The picture as those that the network was trained on: float32 [height, width, channels], 0 to 255."""
    picture, scale = ImageOps.exif_transpose(Image.open(path)), 1.0
    if picture.mode.startswith("I"):  # grey of 16 bits: `white` becomes 255
        if np.asarray(picture).max() > white:
            raise ValueError(f"values up to {np.asarray(picture).max()}; expected at most {white}, as in training")
        picture, scale = Image.fromarray(np.asarray(picture, np.float32)), 255.0 / white
    else:
        behind = Image.new("RGBA", picture.size, (background, background, background, 255))
        picture = Image.alpha_composite(behind, picture.convert("RGBA")).convert("RGB")
    picture = picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    picture = picture.convert("L") if picture.mode == "RGB" and shape[2] == 1 else picture
    return np.broadcast_to(np.rint(np.asarray(picture, np.float32) * scale).reshape(*shape[:2], -1), shape)


here, failed = Path(__file__).resolve().parent, False
network = json.loads((here / "genotype.json").read_text(encoding="utf-8"))["network"]
model, how = keras.models.load_model(here / "model.keras"), network["preparation"]
for path in sys.argv[1:]:
    try:
        image = prepare(path, network["image_shape"], how["white"], how["background"])
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises of broken files
        print(f"{path} is not a readable picture ({error})")
        failed = True
        continue
    logits = model.predict(image[np.newaxis], verbose=0)[0]
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    likeliest = np.argsort(-probabilities, kind="stable")[:5]
    print(f"{path}:", ", ".join(f"{network['classes'][k]} {probabilities[k]:.4f}" for k in likeliest))
sys.exit(failed)
