"""The system: data, networks, training, search, export."""

import os

# Both must stand before TensorFlow is imported. oneDNN halves a training step on CPUs where TensorFlow leaves it off.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
