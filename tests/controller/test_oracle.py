"""Our strategies as oracles of KerasTuner: what is asked, kept, gone on with, and told to the strategy."""

from __future__ import annotations

import json
import math
import random

import keras_tuner
import numpy as np
import pytest

from cells.spaces.chain import ChainSpace
from cells.spaces.nasnet import NASNetSpace
from cells.spaces.space import LENGTH, Decision, ask, hyperparameter_values, lengths
from controller.config import BadSetting, FailureConfig, LearnerConfig, PolicyGradientConfig
from controller.oracle import JOURNAL, ControllerOracle
from controller.strategies import make_strategy
from controller.strategy import Outcome, Trial

pytestmark = [  # KerasTuner's own
    pytest.mark.filterwarnings("ignore:(currentThread|getName)\\(\\) is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:All-NaN axis encountered:RuntimeWarning"),
]
GROWING = ChainSpace(4, strides=True, start_layers=2, grow_layers=1, grow_every=4)
LEARNER = LearnerConfig(4, 2, uniform_trials=4, refit_trials=3, imagined_steps=1, imagined_samples=3)
POLICY = PolicyGradientConfig(update_trials=3, units=4, embedding_size=2)


class Killed(BaseException):
    """In place of SIGKILL: nothing catches it, and what comes after it does not happen."""


class Tuner(keras_tuner.engine.base_tuner.BaseTuner):
    """A trial's result is a function of its tokens; some fail; it is killed before trial `killed` has ended."""

    def __init__(self, oracle, folder, *, killed=None, space=None, results=None):
        super().__init__(oracle, directory=str(folder), project_name="search")
        self.killed, self.space, self.results, self.seen = killed, space, results, []

    def run_trial(self, trial, *_, **__):
        self.seen.append(dict(trial.hyperparameters.values))
        if self.killed is not None and int(trial.trial_id) >= self.killed:
            raise Killed
        return {"score": (self.results or worth)(trial)}


def worth(trial):
    """A function of the tokens, the same in every process."""
    return math.sin(sum((place + 1) * value for place, value in enumerate(trial.hyperparameters.values.values())))


def oracle_of(space=None, strategy="predictor", objective=None, **more):
    given = {"seed": 5, "max_trials": 14, "policy_config": POLICY, "learner_config": LEARNER} | more
    objective = objective or keras_tuner.Objective("score", "max")
    return ControllerOracle(space or NASNetSpace(2), strategy, objective, **given)


def searched(folder, *, killed=(), results=worth, **more):
    """The oracle of a search that was killed before each of these trials ended, and the values tried, in order."""
    seen, tuner = [], None
    for at in (*killed, None):
        tuner = Tuner(oracle_of(**more), folder, killed=at, results=results)
        try:
            tuner.search(verbose=0)
        except Killed:
            seen += tuner.seen[:-1]
        else:
            seen += tuner.seen
    assert tuner is not None
    return tuner.oracle, seen


@pytest.mark.parametrize("direction", ["min", "max"])
@pytest.mark.parametrize(
    ("space", "strategy"),
    [
        (NASNetSpace(2), "predictor"),
        (GROWING, "evolution"),
        (NASNetSpace(1), "random"),
        pytest.param(GROWING, "ppo", marks=pytest.mark.slow),
        pytest.param(NASNetSpace(2), "dyna_ppo", marks=pytest.mark.slow),
        pytest.param(GROWING, "local_search", marks=pytest.mark.slow),
    ],
)
def test_its_trials_are_the_strategy_s_own(tmp_path, space, strategy, direction):
    """Proposed and observed by hand, in the same order: the same tokens, in the sense of the objective."""
    objective = keras_tuner.Objective("score", direction)
    oracle, seen = searched(tmp_path, space=space, strategy=strategy, objective=objective)
    features = getattr(space, "features", None)
    by_hand = make_strategy(
        strategy, space.decisions, space.length, POLICY, FailureConfig(), 5, None, LEARNER, features
    )
    found = lengths(space.decisions, space.length)
    scores = {}
    for number, values in enumerate(seen):
        proposal = by_hand.propose(number)
        assert values == hyperparameter_values(space.decisions, found, proposal.tokens)
        assert len(proposal.tokens) == space.length(number)
        trial = oracle.trials[f"{number:02d}"]
        assert ask(trial.hyperparameters.copy(), space.decisions, found) == proposal.tokens
        scores[number] = trial.score
        by_hand.observe(Trial(proposal, Outcome.OK, trial.score * (1 if direction == "max" else -1), 1.0))
    assert len(seen) == 14
    best = (max if direction == "max" else min)(scores.values())
    assert oracle.get_best_trials()[0].score == best


def test_known_tokens_come_first_and_a_failure_is_worth_what_is_said(tmp_path):
    """Here the best of all, so that the others are its children."""
    space, failures, start = NASNetSpace(2), FailureConfig(nan_reward=9.0), ((1,) * 20, (0,) * 20)
    failing = ("03", "06")
    oracle, seen = searched(
        tmp_path,
        space=space,
        strategy="evolution",
        failures=failures,
        start=start,
        results=lambda trial: math.nan if trial.trial_id in failing else worth(trial),
    )
    by_hand = make_strategy("evolution", space.decisions, None, POLICY, failures, 5, None, LEARNER, None, start)
    for number, values in enumerate(seen):
        proposal, key = by_hand.propose(number), f"{number:02d}"
        assert tuple(values.values()) == proposal.tokens
        failed = key in failing
        reward = None if failed else oracle.trials[key].score
        by_hand.observe(Trial(proposal, Outcome.NAN if failed else Outcome.OK, reward, 1.0))
    assert [tuple(values.values()) for values in seen[:2]] == list(start)


@pytest.mark.parametrize("killed", [(0,), (3, 3, 9), (13,)])
@pytest.mark.parametrize("strategy", ["predictor", "random", pytest.param("ppo", marks=pytest.mark.slow)])
def test_killed_it_goes_on_with_the_same_trials(tmp_path, strategy, killed):
    whole, seen = searched(tmp_path / "whole", strategy=strategy)
    again, also = searched(tmp_path / "killed", strategy=strategy, killed=killed)
    assert also == seen
    assert {key: trial.score for key, trial in again.trials.items()} == {k: t.score for k, t in whole.trials.items()}
    assert again.end_order == whole.end_order
    assert again.start_order == whole.start_order


@pytest.mark.parametrize("seed", range(4))
def test_wherever_its_file_ends_it_goes_on(tmp_path, seed):
    """Torn at any byte, that is: what a kill leaves."""
    whole, seen = searched(tmp_path / "a", strategy="evolution")
    searched(tmp_path / "b", strategy="evolution")
    file = tmp_path / "b/search" / JOURNAL
    content = file.read_bytes()
    header = content.index(b"\n") + 1
    file.write_bytes(content[: random.Random(seed).randrange(header, len(content))])
    again, rest = searched(tmp_path / "b", strategy="evolution")
    assert seen[len(seen) - len(rest) :] == rest
    assert {key: trial.score for key, trial in again.trials.items()} == {k: t.score for k, t in whole.trials.items()}
    assert len(file.read_bytes().splitlines()) == len(content.splitlines())


def test_a_reload_shows_what_was(tmp_path):
    """Every trial as KerasTuner knows it, with hyperparameters of the user's own; more trials may be asked for."""
    decision = NASNetSpace(2).decisions[0]

    def results(trial):
        rate = trial.hyperparameters.Float("rate", 0.1, 1.0, default=0.3)
        assert rate == 0.3
        trial.hyperparameters.values.pop(decision.name)  # a worker that did not ask for it sends none
        if trial.trial_id == "03":
            raise ValueError("of no use")
        return worth(trial)

    before, seen = searched(tmp_path, results=results)
    told = [trial.hyperparameters.values[decision.name] for trial in before.trials.values()]
    assert told == [values[decision.name] for values in seen], "what was proposed"
    tuner = Tuner(oracle_of(max_trials=16), tmp_path, results=results)
    after = tuner.oracle
    assert list(after.trials) == list(before.trials)
    for trial_id, trial in before.trials.items():
        assert after.trials[trial_id].get_state() == trial.get_state()
    assert after.trials["03"].status == "FAILED"
    tuner.search(verbose=0)
    assert len(tuner.seen) == 2
    assert [trial.score for trial in tuner.oracle.get_best_trials(3)] == sorted(
        (trial.score for trial in tuner.oracle.trials.values() if trial.score is not None), reverse=True
    )[:3]


def test_what_fails_is_told_to_the_strategy_as_it_failed(tmp_path):
    """And a nan or an infinite objective is no best trial."""
    heard = []

    class Listening:
        def __init__(self):
            self.random = make_strategy("random", NASNetSpace(2).decisions, None, POLICY, FailureConfig(), 5)

        def propose(self, trial_id):
            return self.random.propose(trial_id)

        def observe(self, trial):
            heard.append(trial)

    class ResourceExhaustedError(Exception):
        pass

    raised = {
        "01": keras_tuner.errors.FailedTrialError("too large"),
        "03": ValueError("a bug"),
        "05": ResourceExhaustedError("no memory left"),
    }
    odd = {"07": math.nan, "09": math.inf}

    def results(trial):
        if trial.trial_id in raised:
            raise raised[trial.trial_id]
        return odd.get(trial.trial_id, worth(trial))

    more = {"strategy": Listening, "max_trials": 11}
    oracle, _ = searched(tmp_path, results=results, **more)
    failed = {trial.proposal.trial_id: trial for trial in heard if trial.outcome is not Outcome.OK}
    assert {number: trial.outcome for number, trial in failed.items()} == {
        1: Outcome.INVALID,
        3: Outcome.CRASHED,
        5: Outcome.OOM,
        7: Outcome.NAN,
        9: Outcome.NAN,
    }
    assert "a bug" in failed[3].cause
    assert math.isfinite(oracle.get_best_trials()[0].score)
    first = list(heard)
    heard.clear()
    tuner = Tuner(oracle_of(**(more | {"max_trials": 12})), tmp_path)
    tuner.oracle.create_trial("tuner0")
    assert heard == first


def test_a_trial_is_tried_again_before_it_has_failed(tmp_path):
    """And its measures are those of the attempt that counts."""
    tried: list[str] = []

    def results(trial):
        tried.append(trial.trial_id)
        return math.nan if tried.count(trial.trial_id) < 3 else worth(trial)

    more = {"strategy": "random", "max_trials": 3, "max_retries_per_trial": 2}
    whole, seen = searched(tmp_path / "whole", results=results, **more)
    assert tried == [str(number) for number in (0, 0, 0, 1, 1, 1, 2, 2, 2)]
    assert [trial.score for trial in whole.trials.values()] == [worth(trial) for trial in whole.trials.values()]
    tuner = Tuner(oracle_of(**(more | {"max_retries_per_trial": 0})), tmp_path / "whole")
    assert [trial.score for trial in tuner.oracle.trials.values()] == [trial.score for trial in whole.trials.values()]
    tried.clear()
    _, failed = searched(
        tmp_path / "failed", results=lambda _: math.nan, **(more | {"max_consecutive_failed_trials": 9})
    )
    assert len(failed) == 9
    assert failed[::3] == seen[::3]


def test_killed_between_two_tries_it_has_as_many_left(tmp_path):
    """And the trial whose failure ended a search is in its file, and told to the strategy, as any other."""
    more = {"strategy": "random", "max_trials": 4, "max_retries_per_trial": 2, "max_consecutive_failed_trials": 2}
    tried: list[str] = []

    def results(trial):
        tried.append(trial.trial_id)
        if len(tried) == 2:
            raise Killed
        return math.nan

    with pytest.raises(Killed):
        Tuner(oracle_of(**more), tmp_path, results=results).search(verbose=0)
    with pytest.raises(RuntimeError, match="consecutive failures exceeded the limit of 2"):
        Tuner(oracle_of(**more), tmp_path, results=results).search(verbose=0)
    assert tried == ["0", "0", "0", "0", "1", "1", "1"], "the second of these does not count"
    ends = [json.loads(line) for line in (tmp_path / "search" / JOURNAL).read_text().splitlines() if '"end"' in line]
    assert [(end["end"], end["again"]) for end in ends] == [(key, try_ < 2) for key in "01" for try_ in range(3)]
    oracle = Tuner(oracle_of(**more), tmp_path).oracle
    assert (oracle.end_order, [trial.status for trial in oracle.trials.values()]) == (["0", "1"], ["FAILED"] * 2)


def test_what_several_workers_left_open_is_begun_again_in_order(tmp_path):
    oracle = oracle_of()
    Tuner(oracle, tmp_path)
    values = [oracle.create_trial(worker).hyperparameters.values for worker in ("a", "b", "c")]
    again = Tuner(oracle_of(), tmp_path).oracle
    found = [again.create_trial(worker) for worker in ("d", "e", "f")]
    assert [trial.trial_id for trial in found] == ["00", "01", "02"]
    assert [trial.hyperparameters.values for trial in found] == values


def test_a_grid_ends_where_it_is_exhausted(tmp_path):
    space = Table((Decision("a", 2), Decision("b", 3), Decision("c", 1)))
    _, seen = searched(tmp_path, space=space, strategy="grid", max_trials=None)
    assert len(seen) == len({tuple(values.values()) for values in seen}) == 6


class Table:
    """Any decisions at all."""

    def __init__(self, decisions):
        self.decisions = decisions

    def length(self, trial_id):
        return len(self.decisions)


def two_workers(folder, retries):
    """Worker b has taken trial 0, and nothing more is heard of it; a goes on. What a was given, and b's trial."""
    more = {"strategy": "random", "max_trials": 3, "seconds_per_trial": 60, "max_retries_per_trial": retries}
    oracle = oracle_of(**more)
    Tuner(oracle, folder)
    dead = sent(oracle.create_trial("b"))
    given = []
    while (trial := sent(oracle.create_trial("a"))).status != "STOPPED":
        given.append(trial.trial_id)
        if trial.trial_id == "2" and "0" not in given:
            oracle._since["0"] -= 61  # that time has gone by
        if trial.status == "RUNNING":
            oracle.update_trial(trial.trial_id, {"score": 0.5})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
    return oracle, given, dead


def sent(trial):
    """As it comes to another process."""
    return keras_tuner.engine.trial.Trial.from_proto(trial.to_proto())


def test_a_dead_worker_s_trial_is_given_to_another(tmp_path, capsys):
    oracle, given, dead = two_workers(tmp_path, retries=1)
    assert given == ["1", "2", "0"]
    assert {trial.status for trial in oracle.trials.values()} == {"COMPLETED"}
    assert not oracle.ongoing_trials
    assert not oracle.tuner_ids  # so the chief ends
    assert "trial 0: its worker did not end it within 60 s (b); it is taken back" in capsys.readouterr().out
    before = (tmp_path / "search" / JOURNAL).read_bytes()
    dead.status = "COMPLETED"
    oracle.end_trial(dead)  # it was slow, and not dead
    assert (tmp_path / "search" / JOURNAL).read_bytes() == before
    assert "passed over" in capsys.readouterr().out


def test_a_trial_that_is_lost_again_and_again_is_lost(tmp_path):
    oracle, given, _ = two_workers(tmp_path, retries=0)
    assert given == ["1", "2"]
    ends = [json.loads(line) for line in (tmp_path / "search" / JOURNAL).read_text().splitlines() if '"end"' in line]
    said = {record["end"]: (record["outcome"], record["cause"]) for record in ends}
    assert said["0"] == ("lost", "its worker did not end it within 60 s (seconds_per_trial)")
    assert oracle.trials["0"].status == "FAILED"
    assert not oracle.tuner_ids


def test_the_time_of_a_trial_that_is_given_again_begins_anew(tmp_path):
    two_workers(tmp_path, retries=1)
    ends = [
        json.loads(line) for line in (tmp_path / "search" / JOURNAL).read_text().splitlines() if '"end":"0"' in line
    ]
    assert [(end["again"], end["seconds"] > 60) for end in ends] == [(True, True), (False, False)]


def test_a_worker_waits_while_another_s_trial_may_be_lost(tmp_path):
    oracle = oracle_of(max_trials=1, seconds_per_trial=60)
    Tuner(oracle, tmp_path)
    oracle.create_trial("b")
    assert oracle.create_trial("a").status == "IDLE"
    assert oracle.tuner_ids == {"a", "b"}


def test_a_worker_that_is_started_again_has_its_trial_again(tmp_path):
    oracle = oracle_of()
    Tuner(oracle, tmp_path)
    trials = {name: oracle.create_trial(name).trial_id for name in ("a", "b")}
    assert {name: oracle.create_trial(name).trial_id for name in ("b", "a")} == trials


@pytest.mark.parametrize(
    ("other", "line"),
    [
        ({"seed": 6}, "seed=6: the project was begun with 5 ("),
        ({"strategy": "random"}, "strategy=random: the project was begun with predictor ("),
        ({"space": NASNetSpace(1)}, "decisions=[['normal.block_0.left', 2]"),
        (
            {"objective": keras_tuner.Objective("score", "min")},
            "objective=['score', 'min']: the project was begun with",
        ),
        ({"failures": FailureConfig(nan_reward=0.0)}, "failures={"),
        ({"learner_config": LearnerConfig(4, 3)}, "learner_config={"),
        ({"policy_config": PolicyGradientConfig(update_trials=4)}, "policy_config={"),
        ({"start": ((0,) * 20,)}, "start=[[0, 0, 0, 0"),
    ],
)
def test_another_search_is_not_gone_on_with(tmp_path, other, line):
    searched(tmp_path, max_trials=2)
    with pytest.raises(BadSetting) as refused:
        Tuner(oracle_of(**other), tmp_path)
    assert str(refused.value).startswith(line)
    assert len(str(refused.value).splitlines()) == 1


def test_strategies_that_cannot_be_are_told_at_once():
    with pytest.raises(BadSetting, match=r"^strategy=anneal: must be one of"):
        oracle_of(strategy="anneal")
    with pytest.raises(BadSetting, match=r"^strategy=grid: cannot exhaust a space that grows"):
        oracle_of(space=GROWING, strategy="grid")


def test_a_project_whose_file_is_gone_is_not_begun_anew_by_stealth(tmp_path):
    searched(tmp_path, max_trials=2)
    (tmp_path / "search" / JOURNAL).unlink()
    with pytest.raises(RuntimeError, match=rf"{JOURNAL}: no such file; expected a project of ControllerOracle"):
        Tuner(oracle_of(), tmp_path)


def test_a_project_without_the_tuner_s_file_is_gone_on_with(tmp_path):
    """KerasTuner reads a project only where the tuner's own file is, which it writes when the first trial has ended."""
    _, seen = searched(tmp_path, max_trials=3)
    (tmp_path / "search/tuner0.json").unlink()
    tuner = Tuner(oracle_of(), tmp_path)
    tuner.search(verbose=0)
    assert len(tuner.seen) == 11
    assert not [values for values in tuner.seen if values in seen]


@pytest.mark.parametrize("layers", [1, 5, 15])
@pytest.mark.parametrize(("start", "grow", "every"), [(1, 1, 1), (2, 3, 7), (6, 2, 1600), (20, 0, 3)])
def test_lengths_are_those_of_the_trials(layers, start, grow, every):
    space = ChainSpace(layers, start_layers=start, grow_layers=grow, grow_every=every)
    found = lengths(space.decisions, space.length)
    asked = dict.fromkeys(space.length(trial_id) for trial_id in range(0, every * (layers + 1), max(1, every // 2)))
    assert found == tuple(asked)


def test_tokens_go_there_and_back():
    """Through KerasTuner's own hyperparameters, and through what it writes of them."""
    rng = np.random.default_rng(3)
    for space in (NASNetSpace(3), GROWING, ChainSpace(3, start_layers=3)):
        found = lengths(space.decisions, space.length)
        whole = keras_tuner.HyperParameters()
        assert ask(whole, space.decisions, found) == (0,) * len(space.decisions)
        assert (LENGTH in whole) == (len(found) > 1)
        for length in found:
            tokens = tuple(int(rng.integers(decision.size)) for decision in space.decisions[:length])
            hp = whole.copy()
            hp.values = hyperparameter_values(space.decisions, found, tokens)
            read = keras_tuner.HyperParameters.from_proto(hp.to_proto())
            assert ask(read, space.decisions, found) == tokens
            assert ask(keras_tuner.HyperParameters.from_config(hp.get_config()), space.decisions, found) == tokens
            assert len(read.space) == len(whole.space)
