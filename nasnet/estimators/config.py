"""What a child can be told. No TensorFlow."""

from __future__ import annotations

import dataclasses

from nasnet.data.dataset import DataSet
from nasnet.runtime.errors import SettingError
from nasnet.training.config import TrainingConfig, resolve_augmentation

_ONLY = {
    "auxiliary_weight": 0.0,
    "drop_path_keep": 1.0,
    "dropout_keep": 1.0,
    "optimizer": "momentum",
    "schedule": "cosine",
    "augment": "pad",
    "ema_decay": 0.0,
    "precision": "float32",
    "jit": "auto",
}
"""What a `TrainingConfig` must say of the rest: a child has nothing else."""

REESTIMATED_ON = 512
"""Training pictures of the one batch that a child's statistics are re-estimated on, by whatever reading."""


@dataclasses.dataclass(frozen=True)
class ChildConfig:
    """How a child is trained: what it has of a `TrainingConfig`, of the same names. Batch norm is its network's."""

    epochs: int
    steps: int | None
    batch_size: int
    learning_rate: float
    warmup_epochs: float
    weight_decay: float
    clip_norm: float
    label_smoothing: float
    pad: int | None
    flip: bool
    cutout: int

    @classmethod
    def of(cls, training: TrainingConfig, data: DataSet) -> ChildConfig:
        """A child's part of a training on a data set. Raises SettingError as `check_child`."""
        check_child(training)
        resolved = resolve_augmentation(training, data)
        return cls(**{field.name: getattr(resolved, field.name) for field in dataclasses.fields(cls)})


def check_child(training: TrainingConfig) -> None:
    """Raises SettingError where a training asks for what a child does not have."""
    for name, value in _ONLY.items():
        found = getattr(training, name)
        if found != value:
            rule = f"a child of child=functions has {name} {value}; leave it out, or build children with child=keras"
            raise SettingError(name, found, rule, see=("child",))
