import collections
import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cells.spaces.space import Decision, check_tokens
from controller.grid_search import GridSearch, number_of_tuples
from controller.strategy import Outcome, Trial

SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=4)


def make(sizes) -> tuple[Decision, ...]:
    return tuple(Decision(f"d{i}", size) for i, size in enumerate(sizes))


@settings(deadline=None, max_examples=40)
@given(SIZES, st.data())
def test_it_tries_every_tuple_once_and_begins_where_it_is_told(sizes, data):
    decisions = make(sizes)
    first = data.draw(st.none() | st.tuples(*(st.integers(0, size - 1) for size in sizes)))
    grid = GridSearch(decisions, first)
    tokens = [grid.propose(i).tokens for i in range(number_of_tuples(decisions))]
    assert tokens[0] == (first or (0,) * len(sizes))
    assert sorted(tokens) == list(itertools.product(*map(range, sizes)))
    with pytest.raises(ValueError, match=rf"^the grid has {len(tokens)} tuples, got trial {len(tokens)}: [^\n]+$"):
        grid.propose(len(tokens))


@pytest.mark.parametrize(
    "sizes", [(3,) * 10, (3,) * 40, (2, 13, 7, 4) * 5, (4, 4, 3, 3, 4) * 15 + (2,) * 105, (100, 2, 100)]
)
@pytest.mark.parametrize("trials", [24, 60, 200])
def test_fewer_trials_cover_every_decision_evenly(sizes, trials):
    """Each option of each decision is tried as often as the others, give or take two; random ones differ by more."""
    grid = GridSearch(make(sizes))
    tokens = [grid.propose(i).tokens for i in range(trials)]
    assert len(set(tokens)) == trials
    for decision, size in enumerate(sizes):
        counts = collections.Counter(those[decision] for those in tokens)
        fair = trials / size
        assert max(counts.values()) <= math.ceil(fair) + 2
        assert min(counts[option] for option in range(size)) >= math.floor(fair) - 2


def test_a_block_of_trials_is_a_full_factorial_of_the_last_decisions():
    grid = GridSearch(make((3,) * 12), (1,) * 12)
    for start in (0, 27, 2700):
        assert len({grid.propose(start + i).tokens[-3:] for i in range(27)}) == 27


def test_proposals_are_pure_certain_and_in_the_space():
    decisions = make((3, 1, 4, 2))
    grid, again = GridSearch(decisions), GridSearch(decisions)
    proposals = [grid.propose(i) for i in range(24)]
    for i, proposal in reversed(list(enumerate(proposals))):
        check_tokens(decisions, proposal.tokens)
        assert proposal.trial_id == i
        assert proposal.log_probs == (0.0,) * 4  # given the number of the trial, there was no other choice
        again.observe(Trial(proposal, Outcome.OK, float(i), 1.0))
        assert again.propose(i) == proposal


@pytest.mark.parametrize("first", [(0,), (3, 0), (0, -1)])
def test_a_first_outside_the_space_is_refused(first):
    with pytest.raises(ValueError, match="got"):
        GridSearch(make((3, 2)), first)
