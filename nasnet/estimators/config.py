"""What a child can be told. No TensorFlow."""

from __future__ import annotations

CHILD_MUST_HAVE = {
    "auxiliary_weight": 0.0,
    "drop_path_keep": 1.0,
    "dropout_keep": 1.0,
    "optimizer": "momentum",
    "schedule": "cosine",
    "warmup_epochs": 0.0,
    "ema_decay": 0.0,
    "precision": "float32",
    "jit": "auto",
}
"""Values of a `TrainingConfig` that a child can't depart from: it has none of these."""
