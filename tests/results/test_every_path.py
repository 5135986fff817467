"""What is known of every path: measurements in the place of estimates, each where it belongs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.requests import HEAD_INPUTS
from analysis.results import KnownPaths
from tests.pages.stored_results import CORRUPTED_TOKENS, a_sweep, the_estimates, the_strongest


def test_what_is_measured_stands_in_place_of_its_estimate_and_nothing_else_changes():
    estimates, one = the_estimates(), the_strongest(0, 3, "k")
    known = KnownPaths.of(estimates, one)
    at = (1, *one.edges[0])
    assert known.effect[at] == one.effect[0] != estimates.estimate[at]
    assert known.measured[at] and known.measured.sum() == 1
    others = ~known.measured
    np.testing.assert_array_equal(known.effect[others], estimates.estimate[others])


def test_a_sweep_stands_at_its_own_input_even_where_only_some_of_it_is_measured():
    sweep = a_sweep(component="v", measured="some")
    known = KnownPaths.of(the_estimates(), sweep)
    np.testing.assert_array_equal(known.measured[2], sweep.measured)
    assert not known.measured[:2].any()
    np.testing.assert_array_equal(known.effect[2][sweep.measured], sweep.effect[sweep.measured])
    np.testing.assert_array_equal(
        known.effect[2][~sweep.measured], the_estimates().estimate[2][~sweep.measured]
    )


@pytest.mark.parametrize("component", HEAD_INPUTS)
def test_one_input_is_itself(component):
    known = KnownPaths.of(the_estimates(), the_strongest(0, 3, "k"))
    index = HEAD_INPUTS.index(component)
    shown = known.into(component)
    np.testing.assert_array_equal(shown.effect, known.effect[index])
    np.testing.assert_array_equal(shown.measured, known.measured[index])
    assert set(shown.component.ravel().tolist()) == {index}
    assert shown.corrupted_tokens == CORRUPTED_TOKENS


def test_together_each_pair_of_heads_has_the_strongest_of_its_three_paths_with_its_sign():
    known = KnownPaths.of(the_estimates(), the_strongest(0, 3, "k"))
    shown = known.together
    for edge in np.argwhere(~np.isnan(shown.effect)).tolist():
        three = known.effect[:, *edge].tolist()
        assert shown.effect[*edge] == max(three, key=abs)
        assert three[shown.component[*edge]] == shown.effect[*edge]
        assert shown.measured[*edge] == known.measured[shown.component[*edge], *edge]
    assert known.largest == np.nanmax(np.abs(known.effect))


def test_a_map_is_complete_once_every_path_of_it_is_measured():
    sweeps = [a_sweep(component=component) for component in HEAD_INPUTS]
    assert KnownPaths.of(the_estimates(), *sweeps).together.complete
    one = KnownPaths.of(the_estimates(), sweeps[0])
    assert one.into("q").complete and not one.into("k").complete and not one.together.complete


def test_a_model_of_one_layer_has_no_paths():
    estimates = the_estimates()
    known = KnownPaths.of(replace(estimates, estimate=np.full((3, 1, 4, 1, 4), np.nan)))
    assert known.largest == 0 and known.together.complete


def test_a_sweep_that_runs_takes_over_what_was_measured_before_it_and_nothing_else():
    sweep, one = a_sweep(component="k", measured="some"), the_strongest(0, 3, "k")
    at = tuple(one.edges[0].tolist())
    sweep.values[at] = np.nan
    known = KnownPaths.of(the_estimates(), one)
    whole = known.completing(sweep)
    assert whole.effect[at] == one.effect[0] and whole.measured[at]
    assert whole.measured.sum() == sweep.measured.sum() + 1
    others = sweep.measured
    np.testing.assert_array_equal(whole.values[others], sweep.values[others])
    assert known.completing(a_sweep(component="q")).measured.sum() == a_sweep().measured.sum()
