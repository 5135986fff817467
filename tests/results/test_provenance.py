"""What every export says of where its numbers come from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.results import Provenance

BARE = Provenance(
    model="gpt2",
    fingerprint="ab12",
    versions={"torch": "2.1", "pathscope": "1.0"},
    device="cpu",
    dtype="float64",
    engine="hooks",
    created="2025-01-02 03:04",
    seconds=1.236,
)


def test_each_fact_stands_beside_its_own_label():
    assert BARE.rows() == {
        "model": "gpt2",
        "weights fingerprint": "ab12",
        "engine": "hooks",
        "replay against the model": "none made",
        "resolution": "no effects",
        "device": "cpu, float64, float32 products",
        "versions": "torch 2.1, pathscope 1.0",
        "computed": "2025-01-02 03:04, in 1.24 s",
    }


@pytest.mark.parametrize(
    ("field", "value", "label", "text"),
    [
        ("replay_gap", 1.234e-6, "replay against the model", "1.23e-06 logits"),
        ("replay_gap", 0.0, "replay against the model", "0.00e+00 logits"),
        ("resolution", 2.34e-5, "resolution", "2.3e-05: smaller is rounding"),
        ("resolution", 0.0, "resolution", "0.0e+00: smaller is rounding"),
        ("precision", "bfloat16", "device", "cpu, float64, bfloat16 products"),
        ("engine", "replay", "engine", "replay"),
    ],
)
def test_what_was_measured_is_told_with_its_unit(field, value, label, text):
    rows = replace(BARE, **{field: value}).rows()
    assert rows == BARE.rows() | {label: text}
