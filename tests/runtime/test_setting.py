"""Every setting of every config, at and around each of its bounds."""

from __future__ import annotations

import dataclasses
import importlib
import math
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.config import BadSetting, FailureConfig, PolicyGradientConfig
from nasnet.estimators.config import ChildConfig
from nasnet.modes.flags import MODES, groups_of
from nasnet.runtime.errors import SettingError, UserError
from nasnet.runtime.setting import broken_rule, field_kinds, setting

ROOT = Path(__file__).parent.parent.parent
FILES = [*sorted((ROOT / "nasnet").glob("*/config.py")), ROOT / "controller" / "config.py"]
MODULES = [importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts)) for path in FILES]
CONFIGS = [
    found
    for module in MODULES
    for found in vars(module).values()
    if isinstance(found, type) and dataclasses.is_dataclass(found) and found.__module__ == module.__name__
    if found is not ChildConfig  # what a child has of a TrainingConfig: nothing of it is set by itself
]
REFUSED = (SettingError, BadSetting)
WITH = {"tune_trials": {"tuner": "grid"}, "objective": {"latency_ms": 5.0}}
"""What a field goes with: another value of another field."""


def fields_of(kinds=(int, float, bool, str), configs=None):
    """(config, field) for each field that takes one of these types; a Literal takes str."""
    return [
        pytest.param(config, field, id=f"{config.__name__}.{field.name}")
        for config in (CONFIGS if configs is None else configs)
        for field in dataclasses.fields(config)
        if (field_kinds(config)[field.name][0] if not is_literal(config, field) else str) in kinds
    ]


def is_literal(config, field):
    return isinstance(field_kinds(config)[field.name][0], str)


def made(config, field, value):
    return getattr(config(**{field.name: value, **WITH.get(field.name, {})}), field.name)


def around(kind, bound):
    """The values of a type next to a bound: below, at and above it."""
    if kind is int:
        return bound - 1, bound, bound + 1
    return math.nextafter(bound, -math.inf), float(bound), math.nextafter(bound, math.inf)


def test_all_configs_are_found_and_all_are_in_a_mode():
    assert len(CONFIGS) == 26
    assert set(CONFIGS) == set(groups_of(MODES))


@pytest.mark.parametrize(("config", "field"), fields_of())
def test_a_field_has_a_help_and_a_default_that_it_takes(config, field):
    assert len(field.metadata["help"]) > 10
    assert "--" not in field.metadata["help"]
    assert broken_rule(field_kinds(config)[field.name], field.metadata, field.default) is None


@pytest.mark.parametrize(("config", "field"), fields_of((int, float)))
def test_a_number_has_a_range_and_each_bound_holds(config, field):
    bounds = {name: field.metadata.get(name) for name in ("least", "above", "most", "below")}
    bounds = {name: bound for name, bound in bounds.items() if bound is not None}
    assert bounds, "a number without a range"
    kind = field_kinds(config)[field.name][0]
    taken = {"least": (False, True, True), "above": (False, False, True)}
    taken |= {"most": (True, True, False), "below": (True, False, False)}
    for name, bound in bounds.items():
        if math.isinf(bound):
            assert made(config, field, 1e300) == 1e300
            assert made(config, field, -1e300) == -1e300
            continue
        for value, good in zip(around(kind, bound), taken[name], strict=True):
            if good:
                assert made(config, field, value) == value
                continue
            with pytest.raises(REFUSED, match=rf"^{field.name}={value}: must be .*{bound}") as caught:
                made(config, field, value)
            assert caught.value.name == field.name
            assert caught.value.value == value


@pytest.mark.parametrize(("config", "field"), fields_of((int, float)))
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_is_finite(config, field, value):
    with pytest.raises(REFUSED, match=rf"^{field.name}={value}: must be "):
        made(config, field, value)


@pytest.mark.parametrize(("config", "field"), [p for p in fields_of((str,)) if is_literal(*p.values)])
def test_a_choice_is_one_of_its_words(config, field):
    choices = field_kinds(config)[field.name]
    for choice in choices:
        # The rule that REINFORCE makes one pass is a field's beside.
        extra = {"update_epochs": 1} if config is PolicyGradientConfig else WITH.get(field.name, {})
        assert getattr(config(**{field.name: choice, **extra}), field.name) == choice
    for value in ("no-such-word", choices[0].upper(), 1):
        line = re.escape(f"{field.name}={value}: must be one of {', '.join(choices)}")
        with pytest.raises(REFUSED, match=f"^{line}$"):
            config(**{field.name: value})


@pytest.mark.parametrize(
    ("config", "field"), fields_of(configs=[c for c in CONFIGS if c.__module__.startswith("nasnet.")])
)
def test_a_value_has_its_field_s_type(config, field):
    kinds = field_kinds(config)[field.name]
    wrong = {int: ("3", 1.5, True), float: ("3", True), bool: ("on", 1), str: (1, True)}
    for value in wrong.get(kinds[0], ()):
        with pytest.raises(SettingError, match=f"^{field.name}={value}: must be (a|true|text)"):
            made(config, field, value)
    if field.default is not None:
        with pytest.raises(SettingError, match=f"^{field.name}=None: must be set$"):
            made(config, field, None)


NUMBERS = st.one_of(st.floats(), st.integers(-3, 3), st.sampled_from([0.0, 1.0, -0.0, 1e-300]))


@given(number=NUMBERS, data=st.data())
def test_the_controller_s_own_check_says_what_the_one_of_the_others_says(number, data):
    config = data.draw(st.sampled_from([FailureConfig, PolicyGradientConfig]))
    kinds = field_kinds(config)
    field = data.draw(st.sampled_from(dataclasses.fields(config)))
    value = int(number) if kinds[field.name][0] is int and math.isfinite(number) else number
    value = data.draw(st.sampled_from(["ppo", "zero", "none"])) if is_literal(config, field) else value
    rule = broken_rule(kinds[field.name], field.metadata, value)
    if kinds[field.name][0] is int and isinstance(value, float):
        rule = "must be 1 or more and finite"  # types are the other's alone
    said = None
    try:
        config(
            **{
                field.name: value,
                **({"update_epochs": 1} if config is PolicyGradientConfig and field.name != "update_epochs" else {}),
            }
        )
    except BadSetting as error:
        said = error.rule
    assert said == rule


def test_what_a_bound_says():
    @dataclasses.dataclass
    class Made:
        share: float = setting(0.5, "a share of something", above=0, most=1)
        count: int = setting(1, "a count of something", least=1)
        any_number: float = setting(0.0, "any number at all", above=-math.inf)

    kinds, said = field_kinds(Made), {field.name: field.metadata for field in dataclasses.fields(Made)}
    assert broken_rule(kinds["share"], said["share"], 0.0) == "must be above 0 and at most 1"
    assert broken_rule(kinds["share"], said["share"], math.nan) == "must be above 0 and at most 1 and finite"
    assert broken_rule(kinds["count"], said["count"], 10**400) is None
    assert broken_rule(kinds["count"], said["count"], -(10**400)) == "must be 1 or more"
    assert broken_rule(kinds["any_number"], said["any_number"], math.inf) == "must be finite"


def test_an_error_s_line_names_settings_as_it_is_asked_to_and_travels():
    error = SettingError("source", "x", "holds nothing", see=("weights", "image_size"))
    assert isinstance(error, UserError)
    assert str(error) == "source=x: holds nothing (see weights, image_size)"
    assert error.line(str.upper) == "SOURCE=x: holds nothing (see WEIGHTS, IMAGE_SIZE)"
    assert str(UserError("too many pictures", see=("image_size",))) == "too many pictures (see image_size)"
    for sent in (error, UserError("too many", see=("trials",)), UserError("plain"), BadSetting("clip", 2, "must be 1")):
        got = pickle.loads(pickle.dumps(sent))
        assert (type(got), str(got), vars(got)) == (type(sent), str(sent), vars(sent))
