"""Sections of a report that follow a search over its trials: rewards, what it moved to, its controller, failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from controller.strategies import WITHOUT_LSTM
from controller.strategy import Outcome, Trial
from nasnet.reports.page import curves, plots
from nasnet.reports.page.html import Markup, element, figure, folded, joined, table
from nasnet.reports.page.options import Choice, choices_of
from nasnet.reports.page.run import SearchRun
from nasnet.reports.page.style import keys

_ROWS, _COLUMNS, _MAPPED = 100, 40, 26
"""Rows of a long table, columns of a map of shares, rows of one."""
_CAUSES, _CAUSE = 30, 300
_TWIN = "the same network as trial"


def reward_section(name: str, run: SearchRun) -> Markup:
    """Every trial, the best so far, the moving mean."""
    trials = run.trials
    if not trials:
        return element("p", "No trial has ended yet.")
    rewards = curves.rewards_of(trials)
    window = curves.window_of(len(trials))
    best, moving = curves.best_so_far(trials), curves.moving_mean(rewards, window)
    places = curves.some_rows(best, _ROWS)
    rows = [
        (
            place + 1,
            trials[place].proposal.trial_id,
            _reward(rewards[place]),
            _reward(best[place]),
            _reward(moving[place]),
        )
        for place in places
    ]
    some = (
        "every trial"
        if len(rows) == len(trials)
        else f"{len(rows)} of {len(trials):,} trials: every new best, others evenly"
    )
    numbers = table(f"Rewards: {some}", ("ended", "trial", "reward", "best so far", "moving mean"), rows)
    failed = int(np.isnan(rewards).sum())
    legend = [
        ("dot", "one", f"a trial ({len(trials) - failed:,})"),
        ("line", "ink", "best so far"),
        ("line dashed", "two", f"mean of the last {window}"),
    ]
    if failed:
        legend.insert(1, ("dot", "bad", f"failed ({failed:,}), at the bottom"))
    further = np.array([trial.rung > 1 and trial.reward is not None for trial in trials])
    if further.any():
        legend.insert(1, ("dot", "three", f"trained on, to rung 2 or above ({int(further.sum()):,})"))
    picture = plots.reward_plot(f"{name}-reward", rewards, best, moving, further)
    said = f"All {len(trials):,} trials, in the order in which they ended. What failed is in no mean."
    if run.setup.values.get("rungs") is not None:
        said += " A reward is that of the rung where a trial ended; of the best, the highest rung comes first."
    return figure(picture, said, numbers, keys(*legend))


def _reward(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.4f}"


def choice_section(name: str, run: SearchRun) -> Markup:
    """Which options the strategy moved to, wave by wave."""
    proposals = list(run.journal.proposals.values())
    if run.space is None or not proposals:
        why = "No trial has been proposed yet." if run.space else "What the tokens stand for is not known any more."
        return element("p", why)
    choices, wave = choices_of(run.space), run.wave
    tokens = curves.token_table(proposals, len(run.space.decisions))
    bins = curves.bins_of(len(proposals), wave, _COLUMNS)
    of = {choice.name: curves.shares(tokens, choice.places, len(choice.options), bins) for choice in choices}
    parts: list[object] = []
    mapped = [choice for choice in choices if len(choice.options) > 4] or []
    small = [choice for choice in choices if choice not in mapped]
    for group in (*([choice] for choice in mapped[:8]), *_together(small)):
        options = [_option(choice, option, len(group) > 1) for choice in group for option in choice.options]
        values = np.concatenate([of[choice.name] for choice in group])
        title = ", ".join(choice.name for choice in group)
        title = title if len(title) < 60 else f"{group[0].name} to {group[-1].name}"
        parts.append(_share_map(f"{name}-choice-{len(parts)}", title, options, values, bins))
    width = bins[0][1] - bins[0][0]
    said = (
        f"How often each option was proposed, of the decisions of its kind, by {width} trials at a time in order of "
        f"their numbers, the last {bins[-1][1] - bins[-1][0]}; the fuller the colour, the more."
    )
    uniform = "Choices without preference would give each option the same share."
    rows = [
        (f"{choice.name}: {option}", *(plots.percent(share) for share in _ends(of[choice.name][place])))
        for choice in choices
        for place, option in enumerate(choice.options)
    ]
    numbers = table("Share of each option", ("option", "first", "middle", "last", "change"), rows)
    return joined(
        (
            element("p", f"{said} {uniform}"),
            element("div", *parts, class_="pair"),
            folded(f"The numbers ({len(rows)} options)", numbers),
        )
    )


def _together(choices: Sequence[Choice]) -> list[list[Choice]]:
    """Choices of few options, some in one map; no more than two maps of them."""
    found: list[list[Choice]] = []
    for choice in choices:
        if found and sum(len(other.options) for other in found[-1]) + len(choice.options) <= _MAPPED:
            found[-1].append(choice)
        else:
            found.append([choice])
    return found[:2]


def _option(choice: Choice, option: str, several: bool) -> str:
    text = f"{choice.name}: {option}" if several else option
    return text if len(text) <= 26 else f"{text[:25]}…"


def _ends(of: np.ndarray) -> tuple[float, float, float, float]:
    return of[0], of[len(of) // 2], of[-1], of[-1] - of[0]


def _share_map(
    name: str, title: str, options: Sequence[str], of: np.ndarray, bins: Sequence[tuple[int, int]]
) -> Markup:
    picture = plots.share_map(name, f"{title}: share of each option over the trials", options, of, bins)
    return figure(picture, title)


def controller_section(name: str, run: SearchRun) -> Markup:
    """The controller's entropy, as what it drew tells it, and what each of its updates did."""
    proposals = list(run.journal.proposals.values())
    sizes = [decision.size for decision in run.space.decisions] if run.space else []
    waves = curves.entropies(proposals, sizes, run.wave) if run.space else []
    if waves:
        entropy = _entropy(name, run, waves)
    else:
        entropy = element(
            "p",
            f"The strategy {run.setup.values.get('strategy')} chooses the tokens of a trial together and tells no "
            "probabilities: its entropy is not known.",
        )
    return joined((entropy, _updates(name, run)))


def _entropy(name: str, run: SearchRun, waves: Sequence[curves.Wave]) -> Markup:
    middle = np.array([(wave.first + wave.end - 1) / 2 for wave in waves])
    entropy, most = (np.array([getattr(wave, of) for wave in waves]) for of in ("entropy", "most"))
    half = np.array([np.nan if wave.half is None else wave.half for wave in waves])
    picture = plots.entropy_plot(f"{name}-entropy", middle, entropy, half, most)
    shown = curves.evenly(len(waves), _ROWS)
    rows = [
        (
            f"{waves[i].first} to {waves[i].end - 1}",
            f"{entropy[i]:.2f}",
            "-" if np.isnan(half[i]) else f"{half[i]:.2f}",
            f"{most[i] - entropy[i]:.2f}",
        )
        for i in shown
    ]
    numbers = table("The controller, wave by wave", ("trials", "entropy", "± (95%)", "KL from uniform"), rows)
    whole = (
        "" if run.setup.values.get("deterministic") else " Trials were observed as they ended: a wave may mix policies."
    )
    said = (
        f"In nats a trial: the mean of minus the log-probability of what was drawn, {run.wave} trials a point; dotted, "
        f"that of uniform choices. How far it is below them is the controller's KL divergence from uniform.{whole}"
    )
    legend = keys(("line", "four", "entropy, its 95% interval"), ("line dotted", "muted", "uniform choices"))
    return figure(picture, said, numbers, legend)


def _updates(name: str, run: SearchRun) -> Markup:
    """What each update of the controller did, as it told when it was made."""
    updates = run.journal.updates
    if not updates:
        strategy = run.setup.values.get("strategy")
        why = f"{strategy} makes no updates of a policy"
        if strategy not in WITHOUT_LSTM:
            ended = len(run.trials)
            why = f"an update is of {run.wave} trials, and {ended} have ended"
            if ended > run.wave:
                why = "an earlier program wrote this journal; going on with the search adds them"
        return element("p", f"No figures of updates: {why}.")
    trials = run.wave * np.array([of.updates for of in updates])
    picture = plots.divergence_plot(f"{name}-divergence", trials, np.array([of.approx_kl for of in updates]))
    rows = [
        (
            updates[i].updates,
            f"{trials[i]:,}",
            f"{updates[i].approx_kl:.2g}",
            plots.percent(updates[i].clip_fraction),
            f"{updates[i].entropy:.2f}",
            f"{updates[i].mean_reward:.4f}",
            f"{updates[i].baseline:.4f}",
            f"{updates[i].loss:.3g}",
        )
        for i in curves.evenly(len(updates), _ROWS)
    ]
    columns = ("update", "trials", "KL", "clipped", "entropy", "mean reward", "baseline", "loss")
    said = (
        f"Each update, of {run.wave} trials: how far it took the policy from the one before it (KL, in nats a "
        "decision), the share of decisions whose ratio was clipped, the policy's entropy in nats a trial; the mean "
        "reward that it heard, which may be to a power and has failures in it, and the moving baseline. KL, share "
        "and loss are those before the last of its passes: 0, where it makes one pass."
    )
    return figure(picture, said, table("The controller, update by update", columns, rows))


def failure_section(run: SearchRun) -> Markup:
    """What failed, by kind, with the causes."""
    ends = Counter(trial.outcome for trial in run.trials)
    twins = sum(trial.reward is not None and trial.cause.startswith(_TWIN) for trial in run.trials)
    rows = [(str(outcome), f"{ends[outcome]:,}", _share(ends[outcome], len(run.trials))) for outcome in Outcome]
    parts: list[object] = [table("How the trials ended", ("outcome", "trials", "share"), rows)]
    if twins:
        parts.append(
            element("p", f"{twins:,} of the {ends[Outcome.OK]:,} were of a network that had been trained before.")
        )
    failed = [trial for trial in run.trials if trial.reward is None]
    if failed:
        parts.append(_causes(failed))
    else:
        parts.append(element("p", "No trial failed." if run.trials else "No trial has ended yet."))
    runs = [run_ for run_ in run.journal.finalists.values() if run_.reward is None]
    if runs:
        rows = [(f"trial {of.trial_id}, start {of.start}", str(of.outcome), of.cause) for of in runs]
        parts.append(table("Longer trainings of finalists that failed", ("training", "outcome", "cause"), rows, text=3))
    if lost := sum(run.journal.lost_attempts.values()):
        of = len(run.journal.lost_attempts)
        parts.append(element("p", f"{lost:,} attempts at {of:,} children were lost with their process and made again."))
    return joined(parts)


def _causes(failed: Sequence[Trial]) -> Markup:
    causes = Counter((str(trial.outcome), trial.cause) for trial in failed)
    first: dict[tuple[str, str], int] = {}
    for trial in failed:
        first.setdefault((str(trial.outcome), trial.cause), trial.proposal.trial_id)
    shown = causes.most_common(_CAUSES)
    rows = [(outcome, cause[:_CAUSE] or "-", f"{many:,}", first[outcome, cause]) for (outcome, cause), many in shown]
    rest = sum(causes.values()) - sum(many for _, many in shown)
    said = (
        f"Causes, the most frequent first; {rest:,} failures of {len(causes) - len(shown):,} other causes are left out"
    )
    caption = said if rest else "Causes, the most frequent first"
    return table(caption, ("outcome", "cause", "trials", "first trial"), rows, text=2)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "-"
