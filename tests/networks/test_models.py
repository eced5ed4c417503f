"""What `--model` names: a name that is none, and what it may have meant."""

from __future__ import annotations

import pytest

from nasnet.networks.models import named_model
from nasnet.runtime.errors import SettingError


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("nasnet-a", "nasnet_a"),
        ("NASNet_A", "nasnet_a"),
        ("nasneta", "nasnet_a"),
        ("nasnet_aa", "nasnet_a"),
        ("NASNet-B", "nasnet_b"),  # what that one says is why there is none
        ("resnet-50", "resnet50"),
        ("amebanet_d", "amoebanet_d"),
        ("pnasnet", "pnasnet_5"),
        ("resnet21", None),
        ("vgg19", None),
        ("runs/serch/best/genotype.json", None),
        ("-", None),
    ],
)
def test_a_name_that_is_none_is_told_what_it_may_have_meant(wrong, near):
    with pytest.raises(SettingError) as caught:
        named_model(wrong)
    perhaps = "" if near is None else f"; {near}, perhaps"
    assert str(caught.value).startswith(f"model={wrong}: neither a file nor a known name{perhaps}; known: nasnet_a, ")


def test_a_file_that_is_no_genotype_is_told_with_what_was_expected(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"PK\x03\x04\xa7")
    with pytest.raises(SettingError, match=r": not JSON \(.*\); expected a genotype\.json, or the folder of a trained"):
        named_model(str(tmp_path / "model.keras"))
