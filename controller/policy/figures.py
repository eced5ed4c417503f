"""What an update of a policy did, for the screen and the log. No TensorFlow."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class UpdateFigures:
    """What an update did. `loss` and below are seen in its last epoch, before that epoch's step.

    `updates` counts from 1. `baseline` is the moving average after the update's trials. `entropy` is in nats a trial,
    `approx_kl` in nats a decision, `clip_fraction` a share of decisions; the last two compare with the policy that the
    update started from, and are 0 where that is the policy itself (`update_epochs=1`).
    """

    updates: int
    mean_reward: float
    baseline: float
    loss: float
    entropy: float
    approx_kl: float
    clip_fraction: float
