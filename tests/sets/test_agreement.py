"""Agreement over prompts, against numbers worked out by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from analysis.sets import LEAST_PROMPTS, RESAMPLES, Agreement, bootstrap_interval, standard_error
from analysis.sets.agreement import largest


def agreement(effect, below=None, strongest=None, whole=None) -> Agreement:
    effect = np.array(effect, dtype=float)
    return Agreement(
        labels=tuple("abcdefgh"[: effect.shape[1]]),
        effect=effect,
        below_resolution=np.zeros(effect.shape, dtype=bool) if below is None else np.array(below),
        strongest=np.ones(effect.shape, dtype=bool) if strongest is None else np.array(strongest),
        whole=np.full(len(effect), 8.0) if whole is None else np.array(whole, dtype=float),
    )


def test_mean_error_sign_and_rank_by_hand():
    # 1, 2, 3, 4, 5: mean 3, sample variance 10 / 4, error sqrt(2.5 / 5).
    found = agreement(
        [[1, -1], [2, 4], [3, -0.5], [4, 0], [5, -0.5]], strongest=[[True, False]] * 4 + [[True, True]]
    )
    assert found.mean.tolist() == pytest.approx([3.0, 0.4])
    assert standard_error(found.effect)[0] == pytest.approx(0.5**0.5)
    assert found.same_sign.tolist() == [5, 1]
    assert found.times_strongest.tolist() == [5, 1]
    assert found.robust.tolist() == [True, False]
    assert found.share.tolist() == pytest.approx([3 / 8, 0.05])


def test_the_interval_is_that_of_all_resamples_there_are():
    """Three prompts have 27 resamples: the bootstrap's percentiles are those of the whole list."""
    values = np.array([[0.0, 1.0], [0.0, 2.0], [3.0, 10.0]])
    means = np.array([np.mean(drawn, axis=0) for drawn in product(values, repeat=3)])
    # Of the first, all three are 3 in 1 of 27 resamples, more than 2.5 %, and all are 0 in 8 of 27.
    assert bootstrap_interval(values)[:, 0].tolist() == [0.0, 3.0]
    expected = np.quantile(means, [0.025, 0.975], axis=0, method="inverted_cdf")
    np.testing.assert_allclose(bootstrap_interval(values), expected)


def test_the_interval_does_not_depend_on_its_neighbours_and_is_the_same_each_time():
    values = np.random.default_rng(1).normal(size=(7, 600))
    every = bootstrap_interval(values)
    np.testing.assert_allclose(bootstrap_interval(values[:, 500:501])[:, 0], every[:, 500])
    np.testing.assert_array_equal(every, bootstrap_interval(values))
    # A normal sample of many: about two errors to each side.
    many = np.random.default_rng(2).normal(3.0, 1.0, size=(400, 1))
    low, high = bootstrap_interval(many)[:, 0]
    assert (high - low) / 2 == pytest.approx(1.96 * standard_error(many)[0], rel=0.05)
    assert RESAMPLES >= 1000 and bootstrap_interval(np.empty((5, 0))).shape == (2, 0)


def test_with_fewer_prompts_than_three_nothing_is_robust_and_there_is_no_interval():
    assert LEAST_PROMPTS == 3
    for n_prompts in (1, 2):
        found = agreement([[5.0]] * n_prompts)
        assert np.isnan(found.interval).all() and not found.robust.any()
        assert found.same_sign.tolist() == [n_prompts]
    assert np.isnan(standard_error(np.array([[5.0]]))).all()
    assert agreement([[5.0]] * 3).robust.all()


@pytest.mark.parametrize(
    "spoilt",
    [
        {"effect": [[1.0], [2.0], [-0.001], [3.0]]},
        {"below": [[False], [False], [True], [False]]},
        {"strongest": [[True], [True], [False], [False]]},
    ],
    ids=["a sign", "a resolution", "a rank in half of them"],
)
def test_each_part_of_the_rule_is_needed(spoilt):
    whole = {"effect": [[1.0], [2.0], [1.5], [3.0]], "strongest": [[True], [True], [True], [False]]}
    assert agreement(**whole).robust.all()
    assert not agreement(**whole | spoilt).robust.any()


def test_a_share_is_a_ratio_of_means_and_survives_a_prompt_with_nothing_to_share():
    # A mean of ratios would be (1/10 + 1/10 + 1/0.001) / 3 = 333.
    assert agreement([[1.0], [1.0], [1.0]], whole=[10, 10, 0.001]).share[0] == pytest.approx(3 / 20.001)


def test_there_is_no_share_of_a_difference_that_is_not_told_from_zero():
    assert np.isnan(agreement([[1.0], [1.0], [1.0]], whole=[10, -10, 0.1]).share).all()
    assert np.isnan(agreement([[1.0]], whole=[0.0]).share).all()
    assert agreement([[1.0]], whole=[4.0]).share.tolist() == [0.25]


def test_the_table_has_the_largest_mean_first_and_every_prompts_own_effect():
    table = agreement([[1, -4, 2], [1, -6, 2]]).table()
    assert table["item"].tolist() == ["b", "c", "a"]
    assert table["mean"].tolist() == [-5, 2, 1]
    assert table[["prompt_1", "prompt_2"]].to_numpy().tolist() == [[-4, -6], [2, 2], [1, 1]]
    assert table["prompts"].tolist() == [2, 2, 2]


def test_the_strongest_are_the_largest_in_size_of_each_prompt():
    effect = np.arange(12.0)[None] * [[1.0], [-1.0]]
    effect[1] = effect[1, ::-1]
    assert largest(effect).tolist() == [[False] * 2 + [True] * 10, [True] * 10 + [False] * 2]
    assert largest(np.zeros((1, 11))).sum() == 10
