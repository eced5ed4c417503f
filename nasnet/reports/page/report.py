"""The report of one search or of several, put together of its sections. No TensorFlow."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from nasnet.reports.page import plots
from nasnet.reports.page.compared import compared_section
from nasnet.reports.page.course import choice_section, controller_section, failure_section, reward_section
from nasnet.reports.page.html import Markup, element, figure, folded, is_number, joined, section, table
from nasnet.reports.page.outcome import baseline_section, cost_section, network_section, top_section
from nasnet.reports.page.run import SearchRun
from nasnet.reports.page.style import page
from nasnet.runtime.clock import clock

_PACKAGES = ("tensorflow", "keras", "numpy")
_WALL = (
    ("searching", "search and finalists"),
    ("controller", "of these, controller and journal"),
    ("baselines", "winner against baselines"),
    ("winner", "winner's training and export"),
)
"""Parts of `seconds.json`, and what they are."""
_SHOWN = 0.05
"""Seconds below which such a part was not there: they would be shown as 0.0."""


def report(runs: Sequence[SearchRun]) -> str:
    """The HTML of one search, or of several side by side and then each: a whole file that asks for no other."""
    if len(runs) == 1:
        title, lead, sections = f"Search {runs[0].name}", _lead(runs[0]), _sections("s", runs[0])
    else:
        title, lead = (
            f"{len(runs)} searches compared",
            [element("p", "By their journals, as they stand.", class_="lead")],
        )
        sections = [("compared", "Compared", section("compared", "Compared", compared_section(runs)))]
        for number, run in enumerate(runs, 1):
            parts = joined((*_lead(run), *(part for *_, part in _sections(f"s{number}", run))))
            whole = section(f"run-{number}", f"{number}. {run.name}", folded("All of this search", parts))
            sections.append((f"run-{number}", f"{number}. {run.name}", whole))
    when = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    footer = f"Drawn {when} from what the folders held then; nothing in this file is fetched, and nothing runs."
    return page(title, lead, sections, footer)


def _sections(name: str, run: SearchRun) -> list[tuple[str, str, Markup]]:
    parts = (
        ("network", "The network", network_section(name, run)),
        ("baselines", "Does it pay?", baseline_section(name, run)),
        ("reward", "Reward over trials", reward_section(name, run)),
        ("options", "What it moved to", choice_section(name, run)),
        ("controller", "The controller", controller_section(name, run)),
        ("top", "The best ten", top_section(run)),
        ("cost", "Accuracy and cost", cost_section(name, run)),
        ("failures", "Failures", failure_section(run)),
        ("seconds", "Where the seconds went", _seconds_section(name, run)),
        ("config", "Config and versions", _config_section(run)),
    )
    return [(f"{name}-{id_}", title, section(f"{name}-{id_}", title, part)) for id_, title, part in parts]


def _lead(run: SearchRun) -> list[Markup]:
    """What one reads first: how far it is, the best, what it is worth; and what could not be read."""
    values, trials, winner = run.setup.values, run.trials, run.winner
    failed = sum(trial.reward is None for trial in trials)
    said = f"{values.get('strategy')} in the space {values.get('space')}, on {_pictures(run)}, seed {run.setup.seed}."
    facts: list[tuple[str, str, str]] = [("trials", f"{len(trials):,}", f"of {run.planned:,}; {failed:,} failed")]
    if run.ranked:
        best = run.ranked[0]
        facts.append(("best reward", f"{best.reward:.4f}", f"trial {best.proposal.trial_id}"))
    if winner is not None and run.finalists:
        facts.append(("winner", f"trial {winner.proposal.trial_id}", "by the longer training of the finalists"))
    for split in ("valid", "test"):
        score = run.exported.get(split)
        if isinstance(score, Mapping) and is_number(score.get("accuracy")):
            facts.append(
                (f"{split} accuracy", f"{score['accuracy']:.4f}", f"{score.get('pictures')} pictures, of best/")
            )
    place, rows, regret = map(run.found.get, ("place", "rows", "regret"))
    if is_number(place) and is_number(rows) and is_number(regret):
        facts.append(("place in the table", f"{place:,}", f"of {rows:,}; regret {regret:.4g}"))
    of = [
        element("div", element("dt", what), element("dd", value, element("small", more))) for what, value, more in facts
    ]
    lines = [element("p", said, class_="lead"), element("dl", *of, class_="facts")]
    if len(trials) < run.planned:
        lines.append(
            element("p", f"{len(trials):,} of {run.planned:,} trials have ended: this is how it stands.", class_="note")
        )
    exported = run.exported.get("trial_id")
    if exported is not None and winner is not None and exported != winner.proposal.trial_id:
        lines.append(element("p", f"note: best/ is of trial {exported}, which won before.", class_="note"))
    return lines + [element("p", f"note: {note}", class_="note") for note in run.notes]


def _pictures(run: SearchRun) -> object:
    """What a search was on: pictures, or a table of results."""
    return run.setup.values.get("table") or run.setup.values.get("dataset")


def _seconds_section(name: str, run: SearchRun) -> Markup:
    """The children's seconds from the journal; the wall's, where the search has left them."""
    ok = sum(trial.seconds for trial in run.trials if trial.reward is not None)
    failed = sum(trial.seconds for trial in run.trials if trial.reward is None)
    longer = sum(of.seconds for of in run.journal.finalists.values())
    held = sum(float(of["seconds"]) for of in run.trained if is_number(of.get("seconds")))
    between = sum(of.seconds for number, of in run.journal.so_far.items() if number not in run.journal.trials)
    parts = {"trials": ok, "trials that failed": failed, "trials between rungs": between, "finalists": longer}
    parts["winner against baselines"] = held
    shown = {what: seconds for what, seconds in parts.items() if seconds}
    found: list[object] = []
    if shown:
        picture = plots.bars(f"{name}-seconds", "Seconds that children ran, by what they were", "seconds", shown)
        rows = [(what, f"{seconds:,.1f}", clock(seconds)) for what, seconds in shown.items()]
        numbers = table("Seconds of all children", ("children", "seconds", "clock"), rows)
        found.append(figure(picture, "Seconds that children ran, added up; several ran at a time.", numbers))
    else:
        found.append(element("p", "No seconds are known yet."))
    of = run.seconds.get("seconds")
    wall, slots = _numbers(of), _numbers(run.seconds).get("slots", 0.0)
    timing = _numbers(of.get("children")) if isinstance(of, Mapping) else {}
    if "searching" in wall and timing and slots:
        idle = max(0.0, slots * wall["searching"] - sum(timing.values()))
        inside = {**timing, "starting and waiting": idle}
        picture = plots.bars(f"{name}-inside", "Seconds of the workers, by what they did", "seconds", inside)
        rows = [(said, f"{wall[what]:,.1f}") for what, said in _WALL if wall.get(what, 0.0) >= _SHOWN]
        numbers = table("Seconds on the wall, of the last run", ("part", "seconds"), rows)
        workers = "1 worker" if slots == 1 else f"{slots:g} workers"
        said = f"What {workers} did in the {wall['searching']:,.0f} s of the search's last run."
        found.append(figure(picture, said, joined((numbers, table("Workers", ("part", "seconds"), _rounded(inside))))))
    return element("div", *found, class_="pair")


def _rounded(of: Mapping[str, float]) -> list[tuple[str, str]]:
    return [(what, f"{seconds:,.1f}") for what, seconds in of.items()]


def _numbers(of: object) -> dict[str, float]:
    return {k: float(v) for k, v in of.items() if is_number(v)} if isinstance(of, Mapping) else {}


def _config_section(run: SearchRun) -> Markup:
    made = run.exported.get("made_with")
    known = {str(what): str(of) for what, of in made.items()} if isinstance(made, Mapping) else {}
    here = {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}
    rows = [(name, known.get(name, "not written down"), of) for name, of in here.items()]
    settings = [(name, _said(value)) for name, value in run.setup.values.items()]
    return joined(
        (
            *_repeated(run),
            table("Versions", ("package", "made with", "of who drew this"), rows, text=3),
            folded(f"All {len(settings)} settings", table("Settings", ("setting", "value"), settings, text=2)),
        )
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _said(value: Any) -> str:  # noqa: ANN401 - of JSON
    return "unset" if value is None else str(value)


def _repeated(run: SearchRun) -> list[object]:
    if not run.setup.command:
        return [element("p", "A Python program made it, by nasnet.search with objects of its own.")]
    return [
        element("p", "This command repeats it, in a folder of its own:"),
        element("pre", element("code", run.setup.command), tabindex="0", aria_label="The command that repeats it"),
    ]
