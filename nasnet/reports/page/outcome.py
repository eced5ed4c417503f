"""Sections of a report that say what came of a search: its network, the best trials, their costs, what they beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cells.drawing import cell, chain
from cells.genotype.cell import CellGenotype
from cells.genotype.chain import ChainGenotype
from nasnet.estimators.table import Choices
from nasnet.reports.baselines import EASY, ON_VALID, digits_of
from nasnet.reports.comparison import millions, short
from nasnet.reports.intervals import Interval
from nasnet.reports.page import plots
from nasnet.reports.page.html import NOTHING, Markup, element, figure, is_number, joined, table
from nasnet.reports.page.run import SearchRun
from nasnet.reports.page.style import keys
from nasnet.reports.page.svg import drawing
from nasnet.reports.pareto import Point, front

_TOP, _BEST_COUNTED, _OTHERS_COUNTED = 10, 80, 80


def network_section(name: str, run: SearchRun) -> Markup:
    """The network that was found: both cells, a chain's layers, or the options of a table."""
    winner = run.winner
    if winner is None:
        return element("p", "No trial has succeeded: there is no network to show.")
    genotype, number = run.genotype(winner), winner.proposal.trial_id
    if isinstance(genotype, CellGenotype):
        title = f"The Normal Cell and the Reduction Cell of trial {number}"
        picture = drawing(cell.draw(genotype), f"{name}-network", title)
        rows = [(kind, block, *words) for kind, of in _cells(genotype) for block, words in enumerate(of)]
        head = ("cell", "block", "reads", "by", "and", "by", "combined by")
        numbers = table("Its blocks. State 0 is the cell's newest input, 1 the one before", head, rows, text=7)
    elif isinstance(genotype, ChainGenotype):
        title = f"The layers of trial {number}"
        picture = drawing(_chain(genotype, run), f"{name}-network", title)
        rows = [(index, *_layer(layer)) for index, layer in enumerate(genotype.layers)]
        numbers = table("Its layers", ("layer", "reads", "filter", "filters", "stride", "pooling"), rows, text=6)
    elif isinstance(genotype, Choices):
        return table(f"Trial {number}", ("decision", "option"), genotype.options, text=2)
    else:
        rows = list(enumerate(winner.proposal.tokens))
        return table(f"The tokens of trial {number}", ("decision", "token"), rows)
    scrolls = element("div", picture, class_="scroll", tabindex="0", role="region", aria_label=title)
    return figure(scrolls, f"{title}. Data flows upwards.", numbers)


def _chain(genotype: ChainGenotype, run: SearchRun) -> str:
    try:
        return chain.draw(genotype, image_shape=None if run.spec is None else run.spec.image_shape)
    except ValueError:
        return chain.draw(genotype)


def _cells(genotype: CellGenotype) -> list[tuple[str, list[tuple[object, ...]]]]:
    return [
        (kind, [(f"state {b.left}", b.left_op, f"state {b.right}", b.right_op, b.combine) for b in of.blocks])
        for kind, of in (("Normal", genotype.normal), ("Reduction", genotype.reduction))
    ]


def _layer(layer: Any) -> tuple[object, ...]:  # noqa: ANN401 - a ConvLayer
    reads = ", ".join(map(str, layer.inputs)) or "the image"
    pool = "-" if layer.pool is None else f"{layer.pool.kind} {layer.pool.size}x{layer.pool.size}/{layer.pool.stride}"
    return reads, f"{layer.height}x{layer.width}", layer.filters, f"{layer.stride_height}x{layer.stride_width}", pool


def top_section(run: SearchRun) -> Markup:
    """The ten best trials, with what they cost and what became of them when they were trained longer."""
    top = run.ranked[:_TOP]
    if not top:
        return element("p", "No trial has succeeded.")
    longer = {finalist.trial.proposal.trial_id: finalist for finalist in run.finalists}
    laddered = run.setup.values.get("rungs") is not None
    slow = any("latency_ms" in trial.figures for trial in top)
    rows: list[list[object]] = []
    for place, trial in enumerate(top, 1):
        number, point = trial.proposal.trial_id, run.point(trial)
        finalist = longer.get(number)
        row: list[object] = [f"{place}", number, f"{trial.reward:.4f}"]
        if slow:
            row += [f"{trial.accuracy:.4f}", f"{trial.figures.get('latency_ms', float('nan')):.3g}"]
        if laddered:
            row += [trial.rung]
        row += ["-" if finalist is None else f"{finalist.rank_by:.4f}"]
        row += ["-", "-"] if point is None else [f"{point.parameters:,}", millions(point.mult_adds)]
        rows.append([*row, f"{trial.seconds:.1f}", trial.cause])
    head = ["place", "trial", "reward", *(["accuracy", "ms"] if slow else []), *["rung"] * laddered, "trained longer"]
    head += ["parameters", "mult-adds", "seconds", "note"]
    caption = f"The best {len(top)} of {len(run.ranked):,} trials that succeeded"
    if run.spec is None:
        caption += "; costs are known once a network has been written down"
    return table(caption, head, rows)


def points_of(run: SearchRun) -> tuple[list[Point], str]:
    """Points to draw, and which they are: the front of all trials where a file has that, and some of the rest."""
    if run.spec is None or run.space is None:
        return [], ""
    ranked = run.ranked
    chosen = {trial.proposal.trial_id: trial for trial in ranked[:_BEST_COUNTED]}
    rest = ranked[_BEST_COUNTED:]
    step = max(1, -(-len(rest) // _OTHERS_COUNTED))
    chosen |= {trial.proposal.trial_id: trial for trial in rest[::step]}
    chosen |= {finalist.trial.proposal.trial_id: finalist.trial for finalist in run.finalists}
    found = {number: point for number, trial in chosen.items() if (point := run.point(trial))}
    known = run.journal.so_far
    of_file = {p.trial_id: p for p in run.front if p.trial_id in known and known[p.trial_id].accuracy == p.accuracy}
    points = [*(found | of_file).values()]
    if len(points) >= len(ranked):
        return points, f"All {len(ranked):,} trials that succeeded"
    which = f"the best {_BEST_COUNTED} and others evenly"
    also = "; those of pareto.csv, the front of all trials when the search last ended" if of_file else ""
    return points, f"{len(points):,} of {len(ranked):,} trials that succeeded: {which}{also}"


def cost_section(name: str, run: SearchRun) -> Markup:
    """Accuracy against what it costs, and the finalists."""
    parts: list[object] = []
    points, which = points_of(run)
    finalists = run.finalists
    if points:
        marked_ids = [of.trial.proposal.trial_id for of in finalists] or [run.ranked[0].proposal.trial_id]
        costs = ["parameters", "mult_adds"] + (["latency_ms"] if all(p.latency_ms for p in points) else [])
        # Where there are rungs, only those that came to the highest one were trained alike.
        rungs = run.journal.so_far
        alike = [i for i, point in enumerate(points) if rungs[point.trial_id].rung == run.ranked[0].rung]
        pictures = []
        for cost in costs:
            label = {"parameters": "parameters", "mult_adds": "mult-adds a picture", "latency_ms": "ms a picture"}[cost]
            pairs = [(float(getattr(point, cost)), point.accuracy) for point in points]
            on = [alike[i] for i in front([pairs[i][1] for i in alike], [pairs[i][0] for i in alike])]
            places = {point.trial_id: place for place, point in enumerate(points)}
            marked = {places[number]: str(number) for number in marked_ids[:3] if number in places}
            title = f"Accuracy of trials against {label}, and their Pareto front"
            picture = plots.cost_plot(f"{name}-{cost}", title, label, pairs, on, marked)
            rows = [
                (f"trial {points[i].trial_id}", f"{points[i].accuracy:.4f}", f"{getattr(points[i], cost):,}")
                for i in on
            ]
            numbers = table(f"The front, the cheapest first ({len(rows)} points)", ("trial", "accuracy", label), rows)
            pictures.append(figure(picture, f"Accuracy in the search against {label}.", numbers))
        parts.append(element("div", *pictures, class_="pair"))
        what = "finalists" if finalists else "the best trial"
        of_front = "Pareto front" if len(alike) == len(points) else "Pareto front, of the highest rung"
        parts.append(keys(("dot", "one", "a trial"), ("line", "two", of_front), ("dot", "ink", f"diamonds: {what}")))
        parts.append(
            element("p", f"{which}. Costs are of the network that a trial would be exported as.", class_="note")
        )
    elif run.ranked:
        parts.append(
            element("p", "Parameters and mult-adds are not known: no network of this search has been written down.")
        )
    parts.append(_finalist_table(run))
    return joined(parts)


def _finalist_table(run: SearchRun) -> Markup:
    if not run.finalists:
        asked = run.setup.values.get("finalists")
        why = "have not ended" if asked and run.space is not None and run.ranked else "were not asked for"
        return element("p", f"Longer trainings of the best trials {why}.")
    rows = []
    for of in run.finalists:
        point = run.point(of.trial)
        sizes = ("-", "-") if point is None else (f"{point.parameters:,}", millions(point.mult_adds))
        failed = f", {of.failed} failed, counted as {of.worst:.4f}" if of.failed else ""
        starts = " ".join(f"{reward:.4f}" for reward in of.rewards) + failed
        mean = "-" if not of.rewards else f"{of.rank_by:.4f}"
        rows.append((f"trial {of.trial.proposal.trial_id}", starts, f"{of.trial.reward:.4f}", mean, *sizes))
    head = ("finalist", "each start", "reward in the search", "ranked by", "parameters", "mult-adds")
    return table("Finalists, the best first: trained longer from fresh starts", head, rows, text=2)


def baseline_section(name: str, run: SearchRun) -> Markup:
    """The winner beside other networks of its size, trained alike; so far as that has come."""
    held = run.exported.get("baselines")
    networks = held.get("networks") if isinstance(held, Mapping) else None
    if isinstance(held, Mapping) and isinstance(networks, list) and all(map(_is_network, networks)) and networks:
        return _held(name, held, networks)
    seen: dict[str, list[float]] = {}
    for of in run.trained:
        label = str(of.get("training", {}).get("label", "")) if isinstance(of.get("training"), Mapping) else ""
        if is_number(accuracy := of.get("accuracy")):
            seen.setdefault(label.partition("_")[2].rpartition("_seed_")[0], []).append(accuracy)
    if not seen:
        return element("p", "The winner has not been held against other networks.")
    picture = plots.spreads(
        f"{name}-baselines", "Valid accuracy of each training so far", "valid accuracy", _short(seen)
    )
    rows = [(network, len(values), f"{sum(values) / len(values):.4f}") for network, values in seen.items()]
    numbers = table("So far, on valid", ("network", "trainings", "mean accuracy"), rows)
    return figure(
        picture, "So far, on the pictures that the search ranked by; test comes when all have ended.", numbers
    )


def _is_network(of: object) -> bool:
    return (
        isinstance(of, Mapping)
        and {"name", "parameters", "mult_adds", "accuracies", "difference"} <= set(of)
        and isinstance(of["accuracies"], Mapping)
        and all(map(is_number, (*of["accuracies"].values(), of["parameters"], of["mult_adds"])))
    )


def _held(name: str, held: Mapping[str, Any], networks: Sequence[Mapping[str, Any]]) -> Markup:
    split = "test" if held.get("split") == "test" else "valid"
    rows = []
    for of in networks:
        values = list(of["accuracies"].values())
        none = "none succeeded" if of.get("failures") else "-"  # of one that nothing was held against none was made
        mean = f"{sum(values) / len(values):.4f}" if values else none
        each = " ".join(f"{value:.4f}" for value in values)
        rows.append(
            (of["name"], each, mean, f"{of['parameters']:,}", millions(of["mult_adds"]), _points(of["difference"]))
        )
    head = ("network", "each seed", f"{split} accuracy", "parameters", "mult-adds", "found minus it, points (95%)")
    numbers = table(f"{held.get('pictures')} {split} pictures, {held.get('steps')} steps each", head, rows, text=2)
    seeds = [(short(str(of["name"])), list(of["accuracies"].values())) for of in networks]
    title = f"{split} accuracy of the winner and its baselines, each seed and the mean"
    known = any(values for _, values in seeds)
    picture = plots.spreads(f"{name}-baselines", title, f"{split} accuracy", seeds) if known else NOTHING
    notes = [element("p", f"{of['name']}: {of['note']}", class_="note") for of in networks if of.get("note")]
    notes += [element("p", f"note: {why}", class_="note") for why in _doubts(held, split, networks)]
    left_out = held.get("left_out")
    notes += [element("p", f"note: {why}", class_="note") for why in left_out] if isinstance(left_out, list) else []
    said = str(held.get("sentence", ""))
    return joined(
        (
            element("p", said[:1].upper() + said[1:] + "."),
            figure(picture, title[:1].upper() + title[1:] + ".", numbers),
            *notes,
        )
    )


def _doubts(held: Mapping[str, Any], split: str, networks: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the screen says beside the table: what failed, and why the figures may say less than they seem to."""
    found: list[str] = []
    for of in networks:
        if isinstance(failures := of.get("failures"), Mapping):
            found += [f"{of['name']}, seed {seed}, failed: {cause}" for seed, cause in failures.items()]
    if split == "valid":
        found.append(ON_VALID)
    if held.get("too_easy") is True:
        found.append(f"these pictures are too easy to tell good networks apart: each has {EASY:.0%} or more right")
    return found


def _points(found: object) -> str:
    """A difference of accuracies in points with its interval."""
    if not isinstance(found, Mapping) or not is_number(found.get("mean")):
        return "-"
    mean, low, high = found["mean"], found.get("low"), found.get("high")
    if not is_number(low) or not is_number(high):
        return f"{100 * mean:+.1f} (no interval)"
    digits = digits_of(Interval(mean, (high - low) / 2))
    return f"{100 * mean:+.{digits}f} ({100 * low:+.{digits}f} to {100 * high:+.{digits}f})"


def _short(of: Mapping[str, Sequence[float]]) -> list[tuple[str, Sequence[float]]]:
    return [(short(name), values) for name, values in of.items()]
