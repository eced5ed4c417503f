"""Whether a search paid: the sentence, the table and the JSON, of drawn networks."""

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
    assert found.sentence().startswith("no difference that these 400 pictures could show between the found cell and ")
    assert found.sentence().endswith(" points) at 820 thousand mult-adds")
    both = verdict(side("nasnet_a", 0.901), side("resnet20", 0.7), match="none")
    assert "points above resnet20; no difference that these 400 pictures could show to nasnet_a (" in both.sentence()


def test_one_seed_shows_nothing_and_nothing_to_compare_with_is_said():
    one = verdict(side("nasnet_a", 0.2, seeds=1), seeds=1)
    said = "one training each shows no difference between the found cell and nasnet_a (+69.5 points, one seed) at "
    assert one.sentence().startswith(said)
    alone = verdict(left_out=["vgg16 is left out: too small"])
    assert alone.lines() == [
        "note: vgg16 is left out: too small",
        "whether the search paid is not known: there is nothing to hold the found cell against",
    ]
    failed = verdict(Side("nasnet_a", "", 1, 1, {}, {0: "nan", 1: "nan", 2: "nan"}))
    assert "not known" in failed.sentence()
    assert sum("failed: nan" in line for line in failed.lines()) == 3


def test_the_size_that_they_have_in_common_is_told_in_its_unit():
    for parameters, said in ((9_876, "9,876"), (71_234, "71 thousand"), (3_349_342, "3.35 million")):
        assert verdict(side("nasnet_a", 0.8), parameters=parameters).sentence().endswith(f" at {said} parameters")


@pytest.mark.parametrize(("least", "easy"), [(0.97, True), (0.9, False)])
def test_it_says_where_a_data_set_is_too_easy_and_where_valid_is_scored(least, easy):
    found = verdict(side("nasnet_a", least), found=0.98, split="valid")
    assert found.to_json()["too_easy"] is easy
    assert any("drawn is too easy" in line for line in found.lines()) is easy
    assert any("there is no test split" in line for line in found.lines())


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
