"""Networks made as fast as the first of them on this machine, once a workdir: clocks do not say the same twice."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cells.count import count
from nasnet.modes.compared.contenders import Contender
from nasnet.networks.latency.calls import Runtime
from nasnet.networks.latency.match import TOLERANCE, AsFast
from nasnet.networks.latency.measure import alone, measure_as_fast
from nasnet.networks.latency.table import Time
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.clock import doing
from nasnet.runtime.console import say
from nasnet.runtime.errors import UserError
from nasnet.runtime.files import write_json
from nasnet.runtime.schema import read_as

AS_FAST = "as_fast.json"
_REMEDY = "remove it, and the networks are timed anew"


def contenders_as_fast(contenders: Sequence[Contender], on: Runtime, workdir: Path) -> list[Contender]:
    """The networks, those after the first as fast as it, within 10%; what of it did not work is noted.

    What was measured is kept in the workdir, so that a run that goes on has the same networks.

    Raises:
        UserError: for a damaged file of what was measured.
    """
    first, *others = contenders
    path = workdir / AS_FAST
    kept = _read(path)
    keys = [_key(first, other, on) for other in others]
    missing = [other for key, other in zip(keys, others, strict=True) if key not in kept]
    if missing:
        say(f"measuring how fast these networks are on {on}, a picture at a time on one thread")
        with doing("making the networks as fast as the first"):
            made = alone(measure_as_fast, first.spec, [other.spec for other in missing], on)
        new = {_key(first, other, on): _to_json(found) for other, found in zip(missing, made, strict=True)}
        kept = {**kept, **new}
        write_json(path, {"version": 1, "networks": kept})
    try:
        found = [_as_fast(other, _from_json(kept[key], other), on) for key, other in zip(keys, others, strict=True)]
    except ValueError as error:
        raise UserError(f"{path}: not what was measured ({error}); {_REMEDY}") from error
    return [first, *found]


def _as_fast(contender: Contender, found: AsFast, on: Runtime) -> Contender:
    changed = ", ".join(f"{name} {value:g}" for name, value in found.changed.items())
    times = (
        f"{_ms(found.time)} a picture on {on}, {abs(found.off):.1%} {'above' if found.off > 0 else 'below'} the "
        f"first's {_ms(found.first)}"
    )
    by = f", by {changed}" if changed else ""
    how = "as fast:" if found.within else f"not matched within {TOLERANCE:.0%}, the nearest is"
    varied = (found.time.spread + found.first.spread) / 2 > TOLERANCE * found.first.median
    unsure = f"these times vary by more than {TOLERANCE:.0%} (kept in {AS_FAST}; {_REMEDY})" if varied else ""
    note = "; ".join(filter(None, (contender.note, f"{how} {times}{by}", unsure)))
    counts = count(found.spec.architecture, found.spec.image_shape)
    return Contender(contender.name, found.spec, counts, note, found.within)


def _ms(time: Time) -> str:
    return f"{1e3 * time.median:.3g} ms (+-{5e2 * time.spread:.2g})"


def _key(first: Contender, other: Contender, on: Runtime) -> str:
    said = json.dumps([first.spec.to_json(), other.spec.to_json(), on], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _to_json(found: AsFast) -> dict[str, Any]:
    times = {name: [time.median, time.spread] for name, time in (("time", found.time), ("first", found.first))}
    return {"spec": found.spec.to_json(), "changed": dict(found.changed), **times}


def _from_json(value: dict[str, Any], other: Contender) -> AsFast:
    """Of what the schema takes. Raises ValueError for what is no network of these pictures."""
    spec = NetworkSpec.from_json(value["spec"])
    if dataclasses.replace(other.spec, architecture=spec.architecture) != spec:
        raise ValueError("a network of other pictures")
    time, first = (Time(*map(float, value[name])) for name in ("time", "first"))
    return AsFast(spec, value["changed"], time, first)


def _read(path: Path) -> dict[str, Any]:
    return read_as("as_fast", path, _REMEDY)["networks"] if path.exists() else {}
