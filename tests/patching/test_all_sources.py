"""All sources in pieces: the most promising paths first, and what was shown stays as it was."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.patching.all_sources import most_promising_first
from tests.chart_samples import all_sources


def test_paths_come_by_the_estimated_size_of_their_effect_whatever_its_sign():
    estimate = all_sources().estimate
    order = most_promising_first(estimate)
    assert {*map(tuple, order.tolist())} == {*map(tuple, np.argwhere(~np.isnan(estimate)).tolist())}
    sizes = np.abs(estimate[tuple(order.T)])
    assert (np.diff(sizes) <= 0).all()
    assert (estimate[tuple(order.T)] < 0).any() and (estimate[tuple(order.T)] > 0).any()


def test_without_an_estimate_no_path_is_promising():
    assert most_promising_first(np.full((2, 3, 2, 3), np.nan)).shape == (0, 4)


def test_a_result_that_was_handed_out_does_not_change_when_more_is_measured():
    before = all_sources(measured=0.0)
    edges = np.array([[0, 1, 2, 3], [0, 0, 1, 2]])
    after = before.filled([{"edges": edges, "values": np.array([0.5, -0.25])}])
    assert before.n_done == 0 and np.isnan(before.values).all()
    assert after.n_done == 2
    assert after.values[0, 1, 2, 3] == pytest.approx(0.5) and after.values[0, 0, 1, 2] == pytest.approx(-0.25)
