"""A norm of a sum, told apart into what each summand is given of it."""

from __future__ import annotations

import pytest
import torch

from analysis.decoder import Norm


@pytest.mark.parametrize("centred", [True, False], ids=["LayerNorm", "RMSNorm"])
@pytest.mark.parametrize("weight", [True, False], ids=["weight", "folded"])
def test_the_shares_of_a_normed_output_add_up_to_it(centred, weight):
    generator = torch.Generator().manual_seed(0)
    shares = torch.randn(4, 2, 3, 16, generator=generator, dtype=torch.float64)
    gain = torch.randn(16, generator=generator, dtype=torch.float64)
    norm = Norm(centred, eps=1e-5, weight=gain if weight else None)
    whole = shares.sum(dim=0)
    found = norm.share(shares, norm.scale(whole))
    assert torch.allclose(found.sum(dim=0), norm(whole), rtol=0, atol=1e-12)
