"""The system: data, networks, training, search, export."""

import os

# All must stand before TensorFlow is imported. oneDNN halves a training step on CPUs where TensorFlow leaves it off.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Where machines train together, TensorFlow would fill the screen when one of them is gone; we say it in one line.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3" if "TF_CONFIG" in os.environ else "2")
