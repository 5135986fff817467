"""What a comparison is told in: one sentence of what changed most, and the names of what differs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analysis.compare import Comparison
from pages.shared.compare_sides import Side, differences
from pages.shared.compare_words import ATTRIBUTED, PATCHED, finding, rounding
from tests.pages.test_compare import MINUS, OF_A, OF_B


def compared(a: list[float], b: list[float], resolution: float = 0.0) -> Comparison:
    labels = tuple(f"L0H{head}" for head in range(len(a)))
    return Comparison(labels, np.array(a), np.array(b), "logits", (resolution, 0.0))


def test_the_sentence_says_what_changed_most_and_how_alike_both_are():
    assert finding(compared([2.1, 1.0, -1.0], [0.3, 1.1, -0.9]), ATTRIBUTED) == (
        "L0H0's attribution falls from +2.10 to +0.30 logits, the largest change of 3 nodes; the correlation "
        f"of A and B is {np.corrcoef([2.1, 1.0, -1.0], [0.3, 1.1, -0.9])[0, 1]:.2f}."
    )
    assert finding(compared([-1.0, 2.0], [1.0, 2.0]), PATCHED).startswith(
        f"The effect of L0H0 rises from {MINUS}1.00 to +1.00 logits"
    )
    assert finding(compared([1.0], [2.0]), ATTRIBUTED) == (
        "L0H0's attribution rises from +1.00 to +2.00 logits; a correlation of A and B is not defined."
    )


def test_nothing_is_found_where_nothing_differs():
    assert "A and B do not differ: of 2 nodes no attribution changes." in finding(
        compared([1.0, 2.0], [1.0, 2.0]), ATTRIBUTED
    )
    same = compared([1.0, 2.0], [1.0, 2.001], 0.01)
    assert "no effect changes by more than rounding alone can explain (1e-02 logits)" in finding(
        same, PATCHED
    )
    assert rounding(same).startswith("2 of 2 differences are below 1e-02 logits")
    assert rounding(compared([1.0], [2.0])) == ""
    assert finding(compared([], []), PATCHED) == "There is no path in both A and B."


def test_what_differs_is_named_and_a_folder_by_its_own_name():
    a = Side(OF_A, "clean", "last", "frozen")
    b = Side(replace(OF_B, model="/home/ann/mine"), "corrupted", "3", "exact")
    assert differences(a, a) == []
    assert differences(a, b)[0] == "the model mine"
    assert differences(a, b)[2:] == ["the run: corrupted", "position 3", "the LayerNorm: exact"]
