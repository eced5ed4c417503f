"""What a run was made from: the pictures of each split by name, size and content, and the classes. No TensorFlow."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from nasnet.data.splits import Split
from nasnet.runtime.schema import check

VERSION = 1
_NAMED = 3  # pictures whose names a line says
SPLITS = ("train", "valid", "test")


@dataclasses.dataclass(frozen=True)
class Fingerprint:
    """A data set's content. Where it lies, and how it was asked for, is not in it: data that moved is the same data.

    Attributes:
        classes: names of the classes, in the data set's own order.
        pictures: split -> name of a picture -> "<size in bytes>:<first 16 hex digits of the SHA-256 of its bytes>". A
            file's name is its path below the data set's folder. A picture of an array goes by its class and its hash,
            so that a row more or less renames no other. Of a test split of its own there is what a listing tells:
            sizes, and no hash of a folder's pictures.
    """

    classes: tuple[str, ...] = ()
    pictures: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What `data.json` holds."""
        pictures = {split: dict(named) for split, named in self.pictures.items()}
        return {"version": VERSION, "classes": list(self.classes), "pictures": pictures}

    @classmethod
    def from_json(cls, value: Any) -> Fingerprint:  # noqa: ANN401 - whatever a JSON file held
        """Reads what `to_json` wrote. Raises ValueError for anything else."""
        check(value, "data")
        return cls(tuple(value["classes"]), value["pictures"])

    def difference(self, now: Fingerprint) -> str | None:
        """What `now` has otherwise, in one line, such as "2 pictures added (cat/a.png, cat/b.png), 1 removed (...)".

        None where both are the same pictures in the same splits and classes.
        """
        was, found = self._by_name(), now._by_name()
        gone, new = [name for name in was if name not in found], [name for name in found if name not in was]
        renamed = _renamed({name: was[name] for name in gone}, {name: found[name] for name in new})
        taken = set(renamed.values())
        gone, new = [name for name in gone if name not in renamed], [name for name in new if name not in taken]
        both = [name for name in was if name in found]
        parts = [
            _counted("added", new),
            _counted("removed", gone),
            _counted("changed", [name for name in both if was[name][1] != found[name][1]]),
            _counted("renamed", [f"{old} -> {name}" for old, name in renamed.items()]),
            _counted(
                "in another split",
                [
                    f"{name}: {was[name][0]} -> {found[name][0]}"
                    for name in both
                    if was[name][0] != found[name][0] and was[name][1] == found[name][1]
                ],
            ),
        ]
        said = ["pictures: " + ", ".join(part for part in parts if part)] if any(parts) else []
        for word, classes in (("is gone", self._without(now)), ("is new", now._without(self))):
            if classes:
                said.append(f"class{'es' * (len(classes) > 1)} {_some(list(map(repr, classes)))} {word}")
        if not said and self.classes != now.classes:
            said.append(f"the classes have another order: {_some(list(now.classes))}")
        return "; ".join(said) or None

    def trained_on(self, split: Split) -> int:
        """How many of a split's pictures have the bytes of a picture of "train"."""
        hashes = {content.rpartition(":")[2] for content in self.pictures.get("train", {}).values()} - {""}
        return sum(known in hashes for known in split.hashes)

    def after(self, earlier: Fingerprint | None) -> Fingerprint:
        """What a network was trained on in all that began with weights trained on `earlier`, None if that is not known.

        Of "train" alone, and each content once.
        """
        train = dict(self.pictures.get("train", {}))
        seen = set(train.values())
        for name, content in (earlier.pictures.get("train", {}) if earlier else {}).items():
            if content not in seen:
                train[name if name not in train else f"{name} ({content})"] = content
        return Fingerprint(self.classes, {"train": train})

    def _by_name(self) -> dict[str, tuple[str, str]]:
        """Name -> (split, content)."""
        return {name: (split, content) for split, named in self.pictures.items() for name, content in named.items()}

    def _without(self, other: Fingerprint) -> list[str]:
        return [name for name in self.classes if name not in other.classes]


def _renamed(gone: Mapping[str, tuple[str, str]], new: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Old name -> new one, where the same content is in the same split."""
    free: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    for name, content in new.items():
        free[content].append(name)
    return {name: free[content].pop(0) for name, content in gone.items() if free.get(content) and content[1][-1] != ":"}


def _counted(what: str, names: list[str]) -> str:
    return f"{len(names)} {what} ({_some(sorted(names))})" if names else ""


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + ", ..." * (len(names) > _NAMED)


def named_contents(names: Sequence[str], sizes: Sequence[int], hashes: Sequence[str]) -> dict[str, str]:
    """A split's part of `Fingerprint.pictures`; a name that comes twice has "#2" after it."""
    contents: dict[str, str] = {}
    times: dict[str, int] = collections.Counter()
    for name, size, known in zip(names, sizes, hashes, strict=True):
        times[name] += 1
        contents[name if times[name] == 1 else f"{name}#{times[name]}"] = f"{size}:{known}"
    return contents
