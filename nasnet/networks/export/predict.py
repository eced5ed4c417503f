"""Names what pictures show by the network beside this file, with Keras and Pillow: python predict.py PICTURE..."""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is loaded: its warnings are of no use here
import keras
import numpy as np
from PIL import Image, ImageOps

network = json.loads(Path(__file__).resolve().with_name("genotype.json").read_text(encoding="utf-8"))["network"]
model = keras.models.load_model(Path(__file__).resolve().with_name("model.keras"))
shape, how, broken = network["image_shape"], network["preparation"], []  # [height, width, channels]
for path in sys.argv[1:]:
    try:
        image = ImageOps.exif_transpose(Image.open(path))
        if image.mode.startswith("I"):  # grey of 16 bits: `white` becomes 255
            if not 0 <= (levels := np.asarray(image)).min() <= levels.max() <= how["white"]:
                raise ValueError(f"values up to {levels.max()}; expected at most {how['white']}, as in training")
            levels = np.asarray(image.convert("F").resize(shape[1::-1], Image.Resampling.BILINEAR))
            image = Image.fromarray(np.rint(levels * (255.0 / how["white"])).astype(np.uint8))
        else:
            back = Image.new("RGBA", image.size, (how["background"],) * 3 + (255,))
            image = Image.alpha_composite(back, image.convert("RGBA")).resize(shape[1::-1], Image.Resampling.BILINEAR)
    except Exception as error:  # a damaged file makes Pillow raise anything
        broken.append(f"{path} is not a readable picture ({error})")
        continue
    pixels = np.asarray(image.convert("L" if shape[2] == 1 else "RGB"), np.float32).reshape(1, *shape)
    said = keras.ops.convert_to_numpy(keras.ops.softmax(model.predict(pixels, verbose=0)[0]))
    print(f"{path}:", ", ".join(f"{network['classes'][k]} {said[k]:.4f}" for k in np.argsort(-said, kind="stable")[:5]))
sys.exit("\n".join(broken) or 0)
