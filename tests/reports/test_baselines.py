"""Whether a search paid: the sentence, the table and the JSON, of drawn networks."""

import dataclasses

import numpy as np
import pytest

from nasnet.reports.baselines import Side, Verdict
from nasnet.reports.intervals import paired_difference


def side(name, share, seed=0, *, seeds=3, pictures=400, parameters=71_234, **more):
    """A network that gets about that share right; those of one `seed` differ on few pictures."""
    rng = np.random.default_rng(seed)
    hard = rng.uniform(size=pictures)
    right = {s: hard + 0.02 * np.random.default_rng((s, len(name))).normal(size=pictures) < share for s in range(seeds)}
    return Side(name, "N=1 F=8", parameters, 820_000, right, **more)


def verdict(*others, found=0.9, match="params", left_out=(), split="test", **more):
    first = side("found (trial 7)", found, **more)
    return Verdict("cell", first, others, left_out, split, "drawn", 100, match)


def test_a_clear_difference_is_told_with_its_interval_and_size():
    found = verdict(side("nasnet_a", 0.8), side("resnet20", 0.97))
    above, below = found.differences()
    assert above is not None
    assert below is not None
    assert above.half is not None
    assert below.half is not None
    assert found.sentence() == (
        f"the found cell is {100 * above.mean:.1f} +- {100 * above.half:.1f} points above nasnet_a and "
        f"{-100 * below.mean:.1f} +- {100 * below.half:.1f} points below resnet20 at 71 thousand parameters"
    )
    assert 8 < 100 * above.mean < 16
    assert above.half < 0.04
    assert found.lines()[-1] == found.sentence()


def test_no_difference_is_told_as_what_these_pictures_could_show():
    found = verdict(side("nasnet_a", 0.901), side("resnet20", 0.899), match="mult_adds")
    could = "no difference that these 400 pictures and 3 seeds could show"
    assert found.sentence().startswith(f"{could} between the found cell and ")
    assert found.sentence().endswith(" points) at 820 thousand mult-adds")
    both = verdict(side("nasnet_a", 0.901), side("resnet20", 0.7), match="none")
    assert f"points above resnet20; {could} to nasnet_a (" in both.sentence()
    fewer = verdict(side("nasnet_a", 0.901), side("resnet20", 0.899, seeds=2))
    assert " pictures and 2 to 3 seeds could show between " in fewer.sentence()


def test_one_seed_shows_nothing_and_nothing_to_compare_with_is_said():
    one = verdict(side("nasnet_a", 0.2, seeds=1), seeds=1)
    said = "too little to tell the found cell from nasnet_a (+69.5 points, one seed) at 71 thousand parameters"
    assert one.sentence() == said
    alone = verdict(left_out=["vgg16 is left out: too small"])
    assert alone.lines() == [
        "note: vgg16 is left out: too small",
        "whether the search paid is not known: there is nothing to hold the found cell against",
    ]
    gone = Side("nasnet_a", "", 1, 1, {}, {0: "nan", 1: "nan", 2: "nan"})
    failed = verdict(gone)
    assert failed.sentence() == (
        "whether the search paid is not known: no training of nasnet_a succeeded from a seed from which that of the "
        "found cell did"
    )
    assert sum("failed: nan" in line for line in failed.lines()) == 3
    others = [side("resnet20", 0.9)]
    found = Verdict("cell", dataclasses.replace(gone, name="found"), others, (), "test", "drawn", 9, "params")
    assert found.sentence() == "whether the search paid is not known: no training of the found cell succeeded"


def test_what_too_little_is_known_of_is_not_a_difference_that_pictures_could_not_show():
    """One seed that both have, though each has more; none; and the same pictures right, whose interval would be 0."""
    last = side("lenet5", 0.2)
    last = dataclasses.replace(last, right={2: last.right[2]}, failures={0: "nan", 1: "nan"})
    gone = Side("vgg16", "", 1, 1, {}, {0: "nan", 1: "nan", 2: "nan"})
    found = verdict(side("nasnet_a", 0.8), last, gone)
    above, rest = found.sentence().split("; ")
    assert above.endswith(" points above nasnet_a at 71 thousand parameters")
    of_lenet5, none = found.differences()[1:]
    assert of_lenet5 is not None
    assert none is None
    assert rest == (
        f"too little to tell it from lenet5 ({100 * of_lenet5.mean:+.1f} points, one seed) and vgg16 (no seed from "
        "which both succeeded)"
    )
    alike = verdict()
    alike = dataclasses.replace(alike, others=[dataclasses.replace(alike.found, name="nasnet_a")])
    assert alike.sentence().startswith("too little to tell the found cell from nasnet_a (+0.0 points, nothing varies)")
    assert alike.to_json()["networks"][1]["difference"] == {"mean": 0.0, "low": None, "high": None}
    assert alike.lines()[2].endswith("  +0.0")


def test_a_difference_that_is_there_is_not_told_as_none():
    """Of 40,000 pictures the found one has 15 more right, from all seeds."""
    right = np.arange(40_000) < 36_000
    first = Side("found", "", 99, 9, dict.fromkeys(range(3), right))
    other = Side("nasnet_a", "", 99, 9, dict.fromkeys(range(3), right & (np.arange(40_000) >= 15)))
    found = Verdict("cell", first, [other], (), "test", "drawn", 9, "none")
    assert found.sentence() == "the found cell is 0.04 +- 0.02 points above nasnet_a"
    other = dataclasses.replace(other, right=dict.fromkeys(range(3), np.roll(right, 5)))  # 5 lost, 5 won
    found = dataclasses.replace(found, others=[other])
    assert found.sentence().endswith(" nasnet_a (+0.00 +- 0.02 points)")
    assert found.lines()[2].endswith("  +0.00 +- 0.02")


def test_the_size_that_they_have_in_common_is_told_in_its_unit():
    for parameters, said in ((9_876, "9,876"), (71_234, "71 thousand"), (3_349_342, "3.35 million")):
        assert verdict(side("nasnet_a", 0.8), parameters=parameters).sentence().endswith(f" at {said} parameters")
    alike = verdict(side("nasnet_a", 0.8), match="latency").sentence()
    assert alike.endswith(" points above nasnet_a at the same median latency, within 10%")


@pytest.mark.parametrize(("least", "easy"), [(0.97, True), (0.9, False)])
def test_it_says_where_a_data_set_is_too_easy_and_where_valid_is_scored(least, easy):
    found = verdict(side("nasnet_a", least), found=0.98, split="valid")
    assert found.to_json()["too_easy"] is easy
    assert any("drawn is too easy" in line for line in found.lines()) is easy
    assert any("there is no test split" in line for line in found.lines())


def test_nine_in_ten_pictures_of_one_class_make_no_set_easy():
    """95% right are then half of what naming that class each time has wrong; 99.8% are a fiftieth."""
    for wrong, easy in ((48, False), (6, False), (2, True)):
        right = dict.fromkeys(range(2), np.arange(1_000) >= wrong)
        sides = Side("found", "", 9, 9, right), Side("nasnet_a", "", 9, 9, right)
        found = Verdict("cell", sides[0], sides[1:], (), "test", "drawn", 9, "none")
        assert found.too_easy
        found = dataclasses.replace(found, one_answer=0.9)
        assert found.too_easy is found.to_json()["too_easy"] is easy
        assert any("too easy" in line for line in found.lines()) is easy


def test_its_json_holds_what_the_table_shows():
    other = side("nasnet_a", 0.85, trial_id=3, failures={5: "nan"}, note="matched by filters 6")
    found = verdict(other)
    first, second = found.to_json()["networks"]
    assert first["difference"] is None
    accuracies = {str(seed): right.mean() for seed, right in other.right.items()}
    assert second["accuracies"] == accuracies
    assert second["mean"] == pytest.approx(np.mean(list(accuracies.values())))
    assert second["sd"] == pytest.approx(np.std(list(accuracies.values()), ddof=1))
    against = paired_difference(found.found.right, other.right)
    assert against is not None
    assert against.half is not None
    low, high = against.mean - against.half, against.mean + against.half
    assert second["difference"] == {"mean": against.mean, "low": low, "high": high}
    assert (second["trial_id"], second["failures"], second["note"]) == (3, {"5": "nan"}, "matched by filters 6")
    header, row_of_found, row = found.lines()[:3]
    assert header.split()[:3] == ["parameters", "mult-adds", "test"]
    assert row_of_found.rstrip().endswith(f"{np.std(list(first['accuracies'].values()), ddof=1):.4f}")
    assert row.endswith(f"{100 * against.mean:+.1f} +- {100 * against.half:.1f}")
