"""The networks of a comparison: named by flags, made for the pictures, and as large as the first. No TensorFlow."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Literal

from cells.count import Counts, count
from nasnet.data.dataset import DataSet
from nasnet.modes.compared.models import compared_models, sizes_at
from nasnet.modes.flags import RunConfig
from nasnet.modes.inputs import of_models, spec_on
from nasnet.networks.config import NetworkConfig
from nasnet.networks.matching import TOLERANCE, matched
from nasnet.networks.matching import Match as NearestSize
from nasnet.networks.models import NamedModel, as_stored
from nasnet.networks.spec import NetworkSpec
from nasnet.reports.config import CompareConfig
from nasnet.runtime.clock import doing
from nasnet.training.config import TrainingConfig

Match = Literal["none", "params", "mult_adds", "latency"]
_UNITS = {"params": "parameters", "mult_adds": "mult-adds"}


@dataclasses.dataclass(frozen=True)
class Contender:
    """A network of a comparison, as it is trained.

    Attributes:
        name: as it was given.
        spec: the network.
        counts: of what is left after training.
        note: what is to be known of how it came to be; empty where there is nothing.
        matched: whether it is as large as it was to be made.
    """

    name: str
    spec: NetworkSpec
    counts: Counts
    note: str = ""
    matched: bool = True

    @property
    def described(self) -> str:
        """Its architecture in a few words, beside the name."""
        return self.spec.architecture.describe().removeprefix(self.name).strip() or "as published"


def contenders_of(config: RunConfig, data: DataSet) -> list[Contender]:
    """The networks in the order of the flag. Raises UserError for one that these pictures are too small for."""
    models = compared_models(config)
    found = [_contender(model, data, config, sizes_at(place, config)) for place, model in enumerate(models)]
    return as_large(found, config.group(CompareConfig).match, data)


def _contender(model: NamedModel, data: DataSet, config: RunConfig, network: NetworkConfig) -> Contender:
    """A network on these pictures; a folder's is the one that was trained there. Raises UserError if it cannot be."""
    own = as_stored(model)
    note = "" if own is model else "its network alone is taken and trained afresh, not its weights"
    with of_models(model):
        spec = spec_on(own, data, network, config.group(TrainingConfig))
    return Contender(model.name, spec, count(spec.architecture, spec.image_shape), note)


def as_large(contenders: Sequence[Contender], match: Match, data: DataSet) -> list[Contender]:
    """The networks, those after the first as large as it where that is asked for; what of it did not work is noted.

    How fast they are is not counted, but measured: `timed.contenders_as_fast`.
    """
    if match in ("none", "latency"):
        return list(contenders)
    first, *others = contenders
    target = first.counts.parameters if match == "params" else first.counts.mult_adds
    found = [first]
    with doing("making the networks as large as the first"):
        for contender in others:
            nearest = matched(contender.spec.architecture, data.image_shape, target, match)
            spec = dataclasses.replace(contender.spec, architecture=nearest.architecture)
            note = "; ".join(filter(None, (contender.note, _match_note(nearest, _UNITS[match]))))
            counts = count(nearest.architecture, data.image_shape)
            found.append(Contender(contender.name, spec, counts, note, nearest.within))
    return found


def _match_note(match: NearestSize, unit: str) -> str:
    changed = ", ".join(f"{name} {value:g}" for name, value in match.changed.items())
    if match.within:
        return f"matched by {changed}" if changed else ""
    near = f"{match.size:,} {unit}, {abs(match.off):.1%} {'above' if match.off > 0 else 'below'} the first"
    if not match.scales:
        return f"not matched, nothing makes it wider: {near}"
    return f"not matched within {TOLERANCE:.0%}, the nearest is {near}" + (f", by {changed}" if changed else "")


def hash_of(contenders: Sequence[Contender]) -> str:
    """SHA-256 of all networks, sizes and cells."""
    networks = [contender.spec.architecture.to_json() for contender in contenders]
    return hashlib.sha256(json.dumps(networks, sort_keys=True).encode()).hexdigest()
