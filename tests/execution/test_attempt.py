"""What comes back of a child that ended well."""

from __future__ import annotations

import pytest

from nasnet.execution.job import Job
from nasnet.execution.worker import attempt
from tests.support.estimators import SPACE, Misbehaving, share

GENOTYPE = SPACE.decode((0, 0, 1, 0, 0) * 2)


@pytest.mark.parametrize(("above", "kept"), [(0.75, True), (0.8, False), (0.9, False), (None, False)])
def test_its_weights_come_back_only_where_its_reward_is_above_the_bar(above, kept):
    assert share(GENOTYPE) == 0.8
    ended = attempt({"proxy": Misbehaving({})}, Job("trial_0", GENOTYPE, keep_above=above))
    assert (ended.reward, ended.child is not None) == (0.8, kept)
