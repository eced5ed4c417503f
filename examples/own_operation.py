"""A 14th operation, in a space of one's own. No file of ours is edited.

An operation is a function of primitives (`cells/primitives.py`), so that it is counted, trained as a cheap child, and
built as a Keras model by one definition: it maps a feature to `filters` channels, at half the size where `stride` is 2.
"""

from __future__ import annotations

from typing import Any

from cells.operations import NASNET_OPERATIONS, OPERATIONS
from cells.primitives import Feature, Primitives
from cells.spaces.nasnet import NASNetSpace
from nasnet import search


def blurred_conv(p: Primitives[Any], x: Feature[Any], filters: int, stride: int, name: str) -> Any:  # noqa: ANN401
    """An average over 3x3 pixels, ReLU, a 1x1 convolution, batch norm."""
    y = p.avg_pool(x.value, 3, stride=stride, name=f"{name}.pool")
    y = p.relu(y, name=f"{name}.relu")
    y = p.conv(y, filters, (1, 1), name=f"{name}.conv")
    return p.batch_norm(y, name=f"{name}.bn")


OPERATIONS["blurred convolution"] = blurred_conv  # not under the guard below: worker processes need it, too

if __name__ == "__main__":
    found = search(
        "digits",
        space=NASNetSpace(blocks=1, operations=(*NASNET_OPERATIONS, "blurred convolution")),
        trials=4,
        filters=2,
        steps=2,
        finalists=0,
        export=False,
        workdir="runs/own_operation",
    )
    for trial in found.trials:
        print(trial.trial_id, trial.reward, trial.genotype)
