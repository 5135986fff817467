"""The logit lens beside the trajectory: what the model would say if it ended at a stage."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis import models
from analysis.answers.compute import compute
from analysis.experiment import prepare
from analysis.results import AttributionRequest
from analysis.store.store import Store
from tests.experiments import on


@pytest.mark.parametrize("family", ["gpt2", "llama-grouped", "pythia"])
def test_each_stage_is_what_the_model_says_where_it_ends_there(family: str, family_directory, tmp_path):
    """Oracle: the model's own final norm and unembedding, handed the stage in place of the last stream."""
    experiment = on(family_directory(family))
    found = compute(AttributionRequest(experiment, "layer"), Store.open(tmp_path))
    bridge = models.load(experiment.model).bridge
    pair = prepare(bridge, experiment)
    last = f"blocks.{bridge.cfg.n_layers - 1}.hook_resid_post"
    own = []
    with torch.no_grad():
        _, cache = bridge.run_with_cache(pair.clean)
        stages = [f"blocks.{layer}.hook_resid_pre" for layer in range(bridge.cfg.n_layers)]
        for stage in (*stages, last):
            logits = bridge.run_with_hooks(
                pair.clean, fwd_hooks=[(last, lambda stream, hook, seen=cache[stage]: seen)]
            )[0]
            own.append((logits[:, pair.answer] - logits[:, pair.foil]).double().numpy())
    at = [index for index, label in enumerate(found.labels) if not label.endswith("_mid")]
    lens = found.lens[at] + found.bias_difference
    np.testing.assert_allclose(lens, own, atol=2e-4 * np.abs(own).max())
    np.testing.assert_allclose(found.lens[-1], found.attribution[-1], atol=1e-4 * np.abs(own).max())
    assert np.abs(found.lens[0] - found.attribution[0]).max() > 1e-2 * np.abs(own).max()


def test_other_units_have_no_lens(family_directory, tmp_path):
    asked = AttributionRequest(on(family_directory("gpt2")), "head")
    assert compute(asked, Store.open(tmp_path)).lens.size == 0
