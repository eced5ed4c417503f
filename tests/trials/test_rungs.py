"""Rungs: who of a wave goes on, from which weights, and that a search ends the same wherever it was cut off."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf  # noqa: F401 - before what is there is frozen

from bench.drawn import drawn_pictures
from cells.spaces.nasnet import NASNetSpace
from controller.random_search import RandomSearch
from controller.strategy import Outcome, Proposal, Trial
from nasnet.estimators.estimator import Estimate, Timing, TrainedChild
from nasnet.estimators.proxy import ProxyEstimator
from nasnet.execution.engine import InProcess
from nasnet.execution.job import Job
from nasnet.execution.ray_workers import SlotActor
from nasnet.execution.worker import attempt
from nasnet.modes.flags import resolve
from nasnet.modes.inputs import check_inputs
from nasnet.networks.config import NetworkConfig
from nasnet.reports.terminal import show_rung, show_trial
from nasnet.runtime.errors import DivergedError, RunError, SettingError, UserError
from nasnet.training.config import TrainingConfig
from nasnet.trials.config import LatencyConfig, SearchConfig
from nasnet.trials.finalists import rank_finalists
from nasnet.trials.forecast import Forecast
from nasnet.trials.journal import FinalistRun, Journal
from nasnet.trials.limits import Latency
from nasnet.trials.loop.rungs import Promotion, RungEnd, Rungs, children_left, go_on, rung_estimators
from nasnet.trials.plan import Plan, finalist_steps_after, of_first_rung
from nasnet.trials.retries import RetryingEngine
from nasnet.trials.search import Search, SearchProgress
from nasnet.trials.weights.best import BestWeights
from nasnet.trials.weights.between import RungWeights
from tests.support.slow import some_now

gc.freeze()  # TensorFlow: after each child what is left behind is looked for, and there are hundreds here
SPACE = NASNetSpace(1)
STEPS = (1, 3, 7)


def drawn(*words: object) -> float:
    """A number from 0 to 1 that hangs on all of the words."""
    return int.from_bytes(hashlib.sha256(repr(words).encode()).digest()[:4], "big") / 2**32


class Trains:
    """An estimator whose children carry, as weights, what they have been through: rewards are made of that alone."""

    def __init__(self, calls, failures=None, stop_at=None):
        self.calls, self.failures, self.stop_at = calls, failures or {}, stop_at

    def estimate(self, genotype, name):
        self.calls.append(name)
        if len(self.calls) == self.stop_at:
            raise KeyboardInterrupt
        if name in self.failures:
            raise self.failures[name]
        if isinstance(genotype, TrainedChild):
            before, cell = genotype.weights["been"], genotype.spec["cell"]
        else:
            before, cell = np.zeros(0), list(SPACE.encode(genotype))
        been = np.append(before, drawn(name, cell, before.tolist()))
        return Estimate(float(been.sum()), child=TrainedChild({"version": 1, "cell": cell}, {"been": been}))


class Told(RandomSearch):
    """Proposes given tokens, else at random; keeps what it is told."""

    def __init__(self, tokens=None):
        super().__init__(SPACE.decisions, 0)
        self.tokens, self.heard = tokens or {}, []

    def propose(self, trial_id):
        return Proposal.chosen(trial_id, self.tokens.get(trial_id, super().propose(trial_id).tokens))

    def observe(self, trial):
        self.heard.append(trial)


def made(folder, trials=23, *, estimator=None, strategy=None, journal=None, steps=STEPS, **options):
    """A search to its end; the search, the journal, what the strategy heard, and the children's names."""
    estimator = estimator or Trains([])
    strategy, journal = strategy or Told(), journal or Journal(folder / "j")
    names = ("proxy", *(f"rung_{rung}" for rung in range(2, len(steps) + 1)), "finalist")
    engine = RetryingEngine(InProcess(dict.fromkeys(names, estimator)), journal)
    rungs = Rungs(steps, RungWeights(folder / "rungs"))
    search = Search(SPACE, strategy, journal, engine, trials, **{"wave": 8, "rungs": rungs, **options})
    return search, journal, strategy, estimator


def read(path):
    return path.read_text().splitlines()


def without_seconds(trials):
    return [dataclasses.replace(trial, seconds=0.0) for trial in trials]


def tried(name: str, tokens: tuple[int, ...], rungs: int) -> list[float]:
    """The rewards of a trial by hand, rung by rung."""
    been: list[float] = []
    for rung in range(1, rungs + 1):
        been.append(drawn(name if rung == 1 else f"{name}_rung_{rung}", list(tokens), been))
    return [float(np.sum(been[: rung + 1])) for rung in range(rungs)]


@pytest.mark.parametrize("steps", [(1, 3), STEPS])
def test_the_best_third_of_each_wave_goes_on_from_its_weights(tmp_path, steps):
    """Against the waves worked out by hand, from what each child of all would have had."""
    search, journal, strategy, estimator = made(tmp_path, steps=steps)
    ranked = search.run()
    expected, names = {}, []
    for wave in (range(8), range(8, 16), range(16, 23)):
        alive = list(wave)
        whole = {i: tried(f"trial_{i}", journal.proposals[i].tokens, len(steps)) for i in wave}
        for rung in range(len(steps)):
            names += [f"trial_{i}" + (f"_rung_{rung + 1}" if rung else "") for i in alive]
            for i in alive:
                expected[i] = tuple(whole[i][: rung + 1])
            best = sorted(alive, key=lambda i: (-whole[i][rung], i))
            alive = sorted(best[: math.ceil(len(alive) / 3)])
    assert estimator.calls == names
    assert {i: trial.rewards for i, trial in journal.trials.items()} == {
        i: pytest.approx(r) for i, r in expected.items()
    }
    assert [trial.proposal.trial_id for trial in strategy.heard] == list(range(23)), "in the order of the trials"
    assert strategy.heard == [journal.trials[i] for i in range(23)]
    assert [t.proposal.trial_id for t in ranked] == sorted(
        expected, key=lambda i: (-len(expected[i]), -journal.trials[i].rewards[-1], i)
    )
    again = Journal(tmp_path / "j")
    assert (again.trials, again.rungs, again.goes_on) == (journal.trials, journal.rungs, journal.goes_on)
    assert all(trial.seconds > journal.rungs[i][0].seconds for i, trial in journal.trials.items() if trial.earlier)
    assert not (tmp_path / "rungs").exists()
    assert {trial.rung for trial in ranked} == set(range(1, len(steps) + 1))


def test_of_equals_the_earlier_goes_on_and_one_at_least():
    def at(trial_id, *rewards):
        return Trial(Proposal(trial_id, (0,), (0.0,)), Outcome.OK, rewards[-1], 1.0, earlier=rewards[:-1])

    for number, going in ((1, 1), (2, 1), (3, 1), (4, 2), (6, 2), (7, 3)):
        trials = [at(i, 0.5) for i in reversed(range(number))]
        assert [trial.proposal.trial_id for trial in go_on(trials)] == list(range(going))
    assert at(3, 0.2, 0.3).rank < at(1, 0.9).rank, "the highest rung first"
    assert (at(3, 0.2, 0.3).rewards, at(3, 0.2, 0.3).rung, at(1, 0.9).rung) == ((0.2, 0.3), 2, 1)


class Killed(BaseException):
    """The process is gone."""


class MortalJournal(Journal):
    """Dies before or after its n-th record."""

    left, after = math.inf, False

    def _append(self, record):
        self.left -= 1
        if self.left < 0 and not self.after:
            raise Killed
        super()._append(record)
        if self.left < 0:
            raise Killed


@pytest.mark.parametrize("after", some_now([False, True], slow=[True]))
def test_killed_at_any_record_it_ends_the_same_and_trains_nothing_twice(tmp_path, after):
    failing = {"trial_2": DivergedError("nan"), "trial_5_rung_2": RuntimeError("boom")}
    tokens = {i: Told().propose(of).tokens for i, of in {3: 1, 4: 2, 6: 1}.items()}

    def search(folder, calls, journal=None):
        folder.mkdir(exist_ok=True)
        return made(folder, 8, estimator=Trains(calls, failing), strategy=Told(tokens), journal=journal, wave=5)

    whole, journal, strategy, estimator = search(tmp_path / "whole", [])
    whole.run()
    records = read(tmp_path / "whole" / "j")
    assert {"rung", "promotion", "trial", "proposal"} < {record.split('"')[3] for record in records}
    for number in range(len(records)):
        folder, calls = tmp_path / f"at_{number}", list[str]()
        folder.mkdir()
        mortal = MortalJournal(folder / "j")
        mortal.left, mortal.after = number, after
        if number < len(records) - 1:
            with pytest.raises(Killed):
                search(folder, calls, mortal)[0].run()
        again, on, heard, _ = search(folder, calls)
        again.run()
        assert without_seconds(heard.heard) == without_seconds(strategy.heard)
        assert on.goes_on == journal.goes_on
        assert sum(calls.count(name) - 1 for name in set(calls)) <= 1, "that whose record was not written"
        assert set(calls) == set(estimator.calls)
        assert not (folder / "rungs").exists()


def test_twins_failed_and_invalid_children(tmp_path):
    """They take no one's place: the best third is of those that were trained and ended the rung."""
    first = RandomSearch(SPACE.decisions, 0)
    own = [first.propose(i).tokens for i in range(8)]
    tokens = {5: own[1], 6: own[2], 7: own[3], 9: own[1]}
    failing = {"trial_2": DivergedError("the loss was nan")}
    bad = {SPACE.decode(own[4])}
    told: list[RungEnd | Promotion] = []
    options = {"why_invalid": lambda genotype: "too large" if genotype in bad else None, "report_rung": told.append}
    search, journal, strategy, estimator = made(
        tmp_path, 10, estimator=Trains([], failing), strategy=Told(tokens), steps=(1, 3), **options
    )
    search.run()
    assert [name for name in estimator.calls if "rung" not in name][:6] == [f"trial_{i}" for i in (0, 1, 2, 3, 6, 8)], (
        "6 is the twin of one that failed"
    )
    first_wave = [journal.trials[i] for i in (0, 1, 3, 6)]
    assert sum(trial.rung == 2 for trial in first_wave) == math.ceil(4 / 3)
    ends = [end for end in told if isinstance(end, RungEnd)][:4]
    assert [end.ended for end in ends] == [1, 2, 3, 4]
    assert ends[-1].children == 5, "none that failed, nor 5, which waits for its twin; of 7 that is not known yet"
    assert journal.trials[4].outcome is Outcome.INVALID
    assert (journal.trials[2].outcome, journal.trials[2].rewards) == (Outcome.NAN, ())
    for twin, of in ((5, 1), (7, 3), (9, 1)):
        assert journal.trials[twin].rewards == journal.trials[of].rewards
        assert journal.trials[twin].cause == f"the same network as trial {of}"
    assert len(strategy.heard) == 10


def test_one_that_fails_in_a_later_rung_has_failed_and_its_twin_is_trained(tmp_path):
    best = max(range(7), key=lambda i: tried(f"trial_{i}", Told().propose(i).tokens, 1)[0])
    strategy = Told({7: Told().propose(best).tokens})
    failing = {f"trial_{best}_rung_2": RuntimeError("boom")}
    kept = BestWeights(tmp_path / "children", 8)
    search, journal, _, estimator = made(
        tmp_path, 8, estimator=Trains([], failing), strategy=strategy, steps=(1, 3), best_weights=kept
    )
    search.run()
    assert {path.name for path in kept.folder.iterdir()} == {f"trial_{i}" for i in range(8) if i != best}
    failed = journal.trials[best]
    assert (failed.outcome, failed.cause) == (Outcome.CRASHED, "rung 2: RuntimeError: boom")
    assert (failed.reward, len(failed.earlier)) == (None, 1)
    assert estimator.calls[-2:] == ["trial_7", "trial_7_rung_2"], "alone of its rung, it is its best third"
    assert journal.trials[7].rung == 2


def test_asked_to_end_between_rungs_the_best_so_far_is_taken_and_the_same_command_goes_on(tmp_path):
    whole = made(tmp_path / "w", journal=Journal(tmp_path / "w_j"))
    ranked = whole[0].run()
    for ended_after in (3, 9, 20):
        folder = tmp_path / f"after_{ended_after}"
        folder.mkdir()
        calls: list[str] = []
        search, journal, _, _ = made(
            folder, estimator=Trains(calls), enough=lambda of=calls, most=ended_after: len(of) >= most and "STOP"
        )
        early = search.run()
        assert len(early) == min(ended_after, len(journal.so_far)), "all that were trained, each once"
        assert [trial.rank for trial in early] == sorted(trial.rank for trial in early)
        run = {"finalists": 2, "starts": 1}
        final = rank_finalists(SPACE, search.engine, journal, early, **run)
        assert {f.trial.proposal.trial_id for f in final} == {t.proposal.trial_id for t in early[:2]}
        journal = Journal(folder / "j")
        assert len(journal.finalists) == 2
        search, *_ = made(folder, estimator=Trains(calls), journal=journal)
        assert without_seconds(search.run()) == without_seconds(ranked)
        assert journal.goes_on == whole[1].goes_on
        assert sorted(name for name in calls if "final" not in name) == sorted(whole[3].calls)


def test_with_nothing_trained_at_all_there_is_nothing_to_end_with(tmp_path):
    with pytest.raises(RunError, match="none of 0 trials succeeded"):
        made(tmp_path, enough=lambda: "STOP")[0].run()


def test_more_trials_of_a_wave_that_had_ended_are_a_group_of_their_own(tmp_path):
    search, journal, *_ = made(tmp_path, 10, steps=(1, 3))
    search.run()
    before = dict(journal.trials)
    assert sum(trial.rung == 2 for trial in before.values()) == 3 + 1
    search, journal, strategy, estimator = made(tmp_path, 16, steps=(1, 3))
    search.run()
    assert {i: journal.trials[i] for i in before} == before
    assert [name for name in estimator.calls if "rung" not in name] == [f"trial_{i}" for i in range(10, 16)]
    assert sum(journal.trials[i].rung == 2 for i in range(10, 16)) == 2
    assert [trial.proposal.trial_id for trial in strategy.heard] == list(range(16))


def test_one_that_waits_at_a_higher_rung_is_passed_over_until_the_others_are_there(tmp_path):
    """Killed before the last of a short wave went on, it goes on with more trials, which begin at the first rung."""

    class AtPromotion(Journal):
        def _append(self, record):
            if record["kind"] == "promotion" and record["rung"] == 2 and record["going"][0] >= 8:
                raise Killed
            super()._append(record)

    with pytest.raises(Killed):
        made(tmp_path, 10, journal=AtPromotion(tmp_path / "j"))[0].run()
    search, journal, strategy, _ = made(tmp_path, 16)
    search.run()
    rungs = [journal.trials[i].rung for i in range(8, 16)]
    assert [sum(rung >= least for rung in rungs) for least in (1, 2, 3)] == [8, 1 + 2, 1]
    assert [trial.proposal.trial_id for trial in strategy.heard] == list(range(16))


def test_fewer_trials_than_were_proposed_leave_the_others_where_they_stand(tmp_path):
    calls: list[str] = []
    made(tmp_path, 8, estimator=Trains(calls), steps=(1, 3), enough=lambda: len(calls) >= 7 and "STOP")[0].run()
    search, journal, _, estimator = made(tmp_path, 4, steps=(1, 3))
    search.run()
    assert sorted(journal.trials) == [0, 1, 2, 3]
    assert len(estimator.calls) == math.ceil(4 / 3)
    search, journal, _, estimator = made(tmp_path, 8, steps=(1, 3))
    search.run()
    assert sorted(journal.trials) == list(range(8))
    assert [name for name in estimator.calls if "rung_2" not in name] == ["trial_7"], "what the others had is there"


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_damaged_weights_between_rungs_are_refused_by_name(tmp_path, damage):
    calls: list[str] = []
    made(tmp_path, 8, estimator=Trains(calls), steps=(1, 3), enough=lambda: len(calls) >= 9 and "STOP")[0].run()
    journal = Journal(tmp_path / "j")
    rest = min(i for (i, _), goes in journal.goes_on.items() if goes and i not in journal.trials)
    path = tmp_path / "rungs" / f"trial_{rest}_1"
    if damage == "missing":
        (path / "weights.npz").unlink()
    else:
        (path / "weights.npz").write_bytes(
            (path / "weights.npz").read_bytes()[:60] if damage == "cut" else b"no archive"
        )
    with pytest.raises(UserError, match=rf"trial_{rest}_1/weights\.npz: .*; trial {rest} goes on from it") as error:
        made(tmp_path, 8, steps=(1, 3))[0].run()
    assert "\n" not in str(error.value)


def test_a_latency_is_in_the_reward_of_each_rung(tmp_path):
    latency = Latency(LatencyConfig(latency_ms=1.0, latency_weight=-1.0, objective="accuracy*latency"), lambda _: 4.0)
    strategy = Told({7: Told().propose(1).tokens})
    search, journal, *_ = made(tmp_path, 8, steps=(1, 3), latency=latency, strategy=strategy)
    search.run()
    for i, trial in journal.trials.items():
        accuracies = tried(f"trial_{1 if i == 7 else i}", trial.proposal.tokens, trial.rung)  # 7 is its twin
        assert trial.rewards == pytest.approx([accuracy / 4 for accuracy in accuracies])
        assert trial.accuracy == pytest.approx(accuracies[-1])
        assert trial.figures["latency_ms"] == 4.0
    assert Journal(tmp_path / "j").trials == journal.trials


def test_the_weights_kept_are_of_the_highest_rung_and_of_what_its_trial_ends_with(tmp_path):
    best = BestWeights(tmp_path / "children", 3)
    search, journal, *_ = made(tmp_path, steps=(1, 3), best_weights=best)
    ranked = search.run()
    kept = {path.name: TrainedChild.load(path).weights["been"] for path in (tmp_path / "children").iterdir()}
    assert set(kept) == {f"trial_{trial.proposal.trial_id}" for trial in ranked[:3]}
    for trial in ranked[:3]:
        been = kept[f"trial_{trial.proposal.trial_id}"]
        assert len(been) == 2
        assert been.sum() == trial.reward
    again = BestWeights(tmp_path / "children", 3)
    again.resume(list(journal.so_far.values()))
    assert again.trials == best.trials
    again.offer(Trial(Proposal(99, (0,), (0.0,)), Outcome.OK, 100.0, 1.0), TrainedChild({}, {}))
    assert 99 not in again.trials, "of the first rung, however good"


@pytest.mark.parametrize(
    "records",
    [
        [{"kind": "rung", "trial_id": 0, "rung": 2, "reward": 0.5, "seconds": 1.0}],
        [{"kind": "rung", "trial_id": 7, "rung": 1, "reward": 0.5, "seconds": 1.0}],
        [{"kind": "rung", "trial_id": 0, "rung": 1, "reward": None, "seconds": 1.0}],
        [{"kind": "rung", "trial_id": 0, "rung": 1, "reward": math.nan, "seconds": 1.0}],
        [{"kind": "promotion", "rung": 1, "going": [0], "ending": []}],
    ],
)
def test_records_of_rungs_that_cannot_be_are_refused_with_their_line(tmp_path, records):
    journal = Journal(tmp_path / "j")
    journal.propose(Proposal(0, (0,), (0.0,)))
    for record in records:
        journal._append(record)
    journal._append({"kind": "attempt", "child": "trial_0", "cause": "killed"})
    with pytest.raises(UserError, match=f"j:{2 + len(records)}: not a record of this version"):
        Journal(tmp_path / "j")


def test_a_finalist_may_be_of_a_trial_between_rungs_and_of_no_other(tmp_path):
    journal = Journal(tmp_path / "j")
    for i in range(2):
        journal.propose(Proposal(i, (0,), (0.0,)))
    journal.end_rung(Trial(journal.proposals[0], Outcome.OK, 0.5, 1.0), 1.0)
    journal.finish_finalist(FinalistRun(0, 0, Outcome.OK, 0.5, 1.0))
    assert Journal(tmp_path / "j").finalists
    journal.finish_finalist(FinalistRun(1, 0, Outcome.OK, 0.5, 1.0))
    with pytest.raises(UserError, match="j:6: not a record"):
        Journal(tmp_path / "j")


def test_what_is_left_falls_to_nothing_and_the_screen_is_told_of_each_rung(tmp_path):
    """The number of children expected, at each end of one, is what comes where nothing fails and no two are alike."""
    left: list[list[int]] = []
    told: list[RungEnd | Promotion] = []
    calls: list[str] = []

    def look(_=None):
        left.append(children_left(journal, search._waves.left, 3))

    def rung(what):
        told.append(what)
        if isinstance(what, RungEnd):
            look()

    search, journal, *_ = made(tmp_path, estimator=Trains(calls), report=look, report_rung=rung)
    look()
    search.run()
    ends = [name.partition("_rung_")[2] or "1" for name in calls]
    expected = [[ends[number:].count(str(rung)) for rung in (1, 2, 3)] for number in range(len(calls) + 1)]
    assert left == expected
    promotions = [what for what in told if isinstance(what, Promotion)]
    assert [(p.rung, len(p.going), len(p.ending), p.steps) for p in promotions] == [(1, 3, 5, 2), (2, 1, 2, 4)] * 2 + [
        (1, 3, 4, 2),
        (2, 1, 2, 4),
    ]
    counts = [(what.ended, what.children) for what in told if isinstance(what, RungEnd)]
    assert counts[:11] == [*((i, 8) for i in range(1, 9)), *((i, 3) for i in range(1, 4))]


@pytest.mark.parametrize("rungs", ["50", "50,50", "200,50", "0,50", "-1,50", "5,x", "5,1_0", "5,,9", "5.5,9", "5,9,"])
def test_rungs_that_cannot_be_are_refused_in_one_line(rungs):
    with pytest.raises(SettingError, match=r"^rungs=.*: must be two or more numbers of steps") as error:
        SearchConfig(rungs=rungs)
    assert "\n" not in str(error.value)
    assert SearchConfig(rungs=" 5, 09").rung_steps == (5, 9)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"child": "keras"}, "rungs=2,6: needs child=functions, and it is keras"),
        ({"reward": "best_of_last_5"}, "rungs=2,6: needs reward=last, and it is best_of_last_5"),
        ({"space": "chain"}, "rungs=2,6: needs reward=last, and it is best_of_last_5"),
        ({"deterministic": False}, "rungs=2,6: needs deterministic=True, and it is False"),
        ({"steps": 6}, "steps=6: does not go with rungs=2,6"),
        ({"epochs": 3}, "epochs=3: does not go with rungs=2,6"),
        (
            {"finalist_steps": 11},
            "finalist_steps=11: the last rung ends after 6 steps; expected twice as many, 12, or more",
        ),
        ({"space": "table", "table": "x.csv"}, "rungs=2,6: has no meaning with space=table"),
    ],
)
def test_what_does_not_go_with_rungs_is_refused(given, rule):
    with pytest.raises(SettingError, match=rule):
        check_inputs(resolve("search", 0, {"rungs": "2,6", **given}))


def test_rungs_say_how_long_children_and_finalists_are_trained_and_bring_waves():
    config = resolve("search", 0, {"rungs": "2,6", "workers": 64})
    options, training = config.group(SearchConfig), config.group(TrainingConfig)
    assert options.deterministic
    assert (training.steps, of_first_rung(options, training).steps) == (6, 2)
    assert finalist_steps_after(options, 6) == 12
    assert finalist_steps_after(dataclasses.replace(options, finalist_steps=12), 6) == 12
    config = resolve("search", 0, {"steps": 6, "workers": 64})
    assert not config.group(SearchConfig).deterministic
    assert finalist_steps_after(config.group(SearchConfig), 6) == 24
    proxy = ProxyEstimator(
        drawn_pictures(8, train=8, valid=8), NetworkConfig(1, 2), TrainingConfig(steps=2, batch_size=8), 0
    )
    later = rung_estimators(proxy, (2, 6, 20))
    assert {name: of.proxy.training.steps for name, of in later.items()} == {"rung_2": 4, "rung_3": 14}


@pytest.mark.parametrize("seed", range(3))
def test_the_time_left_is_right_within_half_from_the_second_wave_on(seed):
    """Children of drawn lengths, one at a time: a rung's by its steps, but for a second before the first of them."""
    rng, now = np.random.default_rng(seed), 0.0
    steps, trials = (10, 40), 60
    plan = Plan(trials, 1, 2, 1, 80, longer=2.0, winner=lambda _: 3.0, rungs=steps)
    for earlier, share in (((), 0.25), ((0.3,), 1.0)):
        trial = Trial(Proposal(0, (0,), (0.0,)), Outcome.OK, 0.5, 1.0, earlier=earlier)
        assert plan.share(trial) == share
        assert Forecast(plan).of_winner(trial) == pytest.approx(0.8 * 3.0 / share)
    forecast = Forecast(plan, lambda: now)
    told = []
    for wave in range(0, trials, 20):
        for rung, number in ((1, 20), (2, 7)):
            for at in range(wave, wave + number):
                size = (rung * 30 - 20) / 10 * rng.uniform(0.5, 1.5)
                now += 1 + size
                forecast.timing += Timing(tracing=1.0, steps=size)
                before = 0.0 if rung == 1 else forecast._counted[at]
                earlier = () if rung == 1 else (0.3,)
                proposal = Proposal(at, (0,), (0.0,))
                forecast.trial(Trial(proposal, Outcome.OK, 0.5, before + 1 + size, earlier=earlier))
                first = trials - wave - 20 + (20 - at + wave - 1 if rung == 1 else 0)
                later = 7 * (trials - wave - 20) // 20 + (7 if rung == 1 else 7 - at + wave - 1)
                told.append((now, forecast.left(first, later=(later,))))
    end = now + 2 * (1 + 8.0) + 3.0 * 4.0  # two finalists of 80 steps, a winner
    late = [(at, left) for at, left in told[27:] if end - at > 30]
    assert len(late) > 40
    for at, left in late:
        assert left is not None
        assert 1 / 1.5 < left / (end - at) < 1.5


def test_what_the_screen_says_of_rungs(capsys):
    trial = Trial(Proposal(7, (0,), (0.0,)), Outcome.OK, 0.25, 3.0)
    show_rung(RungEnd(trial, 2, 3, 20, 61.0))
    show_rung(Promotion(1, 2, (7, 9), (1, 2, 3), 35))
    show_trial(SearchProgress(dataclasses.replace(trial, reward=0.5, earlier=(0.25,)), trial, 4, 60, None))
    assert capsys.readouterr().out.splitlines() == [
        "trial    7  reward 0.2500  rung 1/2  3.0 s  3/20 of the wave, 1:01 left",
        "rung 1/2: the best 2 of 5 go on for 35 more steps: trial 7, 9",
        "trial    7  reward 0.5000 (rung 2, before 0.2500)  best 0.2500 (trial 7)  3.0 s  4/60",
    ]


def test_a_worker_trains_on_what_lies_in_the_folder_and_a_cluster_s_what_came_with_the_job(tmp_path):
    """The actor of a cluster writes it where its worker finds it; what comes back is of the job that was sent."""
    child = TrainedChild({"version": 1, "cell": [1, 2]}, {"been": np.array([0.25])})
    child.save(tmp_path)
    job = Job(3, None, estimator="rung_2", rung=2, begin=tmp_path, keep_above=-math.inf)
    estimators = {"rung_2": Trains([])}
    result = attempt(estimators, job)
    assert result.reward == pytest.approx(0.25 + drawn("trial_3_rung_2", [1, 2], [0.25]))
    lost = attempt(estimators, dataclasses.replace(job, begin=tmp_path / "none"))
    assert (lost.outcome, lost.cause[:11]) == (Outcome.CRASHED, "UserError: ")

    class Slot:
        def run(self, sent):
            assert sent.begin != job.begin
            return attempt(estimators, sent)

    actor = object.__new__(SlotActor)
    actor._logs, actor._slot = tmp_path / "logs", Slot()  # type: ignore[assignment]
    actor._logs.mkdir()
    again = actor.run(dataclasses.replace(job, begin=Path("/nowhere")), child)
    assert (again.reward, again.job.begin) == (result.reward, Path("/nowhere"))
    assert not any(actor._logs.iterdir())
