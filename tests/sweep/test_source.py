"""Where a source head writes something new, and where two runs differ by rounding alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from analysis.decoder import Norm
from analysis.sweep.replay import Suffix
from analysis.sweep.source import SourceWrites, first_changed_position, source_writes

BATCH, POSITIONS, HEADS, D_HEAD, D_MODEL = 2, 5, 3, 4, 6
W_O = torch.randn(HEADS, D_HEAD, D_MODEL, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def z_of_a_run(dtype: torch.dtype = torch.float64) -> Tensor:
    """Of very unlike sizes from prompt to prompt, position to position and head to head."""
    z = torch.randn(BATCH, POSITIONS, HEADS, D_HEAD, generator=torch.Generator().manual_seed(0)).to(dtype)
    z *= torch.tensor([1.0, 1e4])[:, None, None, None]
    z *= torch.tensor([1e4, 1.0, 1e4, 1.0, 1e4])[:, None, None]
    return z * torch.tensor([1e4, 1.0, 1e4])[:, None]


def writes_of(clean: Tensor, corrupted: Tensor, positions: Sequence[int] | None = None) -> SourceWrites:
    name = "blocks.0.attn.hook_z"
    return source_writes({name: clean}, {name: corrupted}, (W_O.to(clean),), (None,), positions)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_head_is_the_same_within_rounding_of_its_own_output_there_and_no_further(dtype):
    """Its own: neither another prompt, position nor head makes it coarser."""
    corrupted = z_of_a_run(dtype)
    size = corrupted[0, 3, 1].abs().max()
    for units, heard in ((4, False), (40, True)):
        clean = corrupted.clone()
        clean[0, 3, 1, 2] += units * torch.finfo(dtype).eps * size
        writes = writes_of(clean, corrupted)
        assert writes.silent(0, 1) is not heard
        assert writes.silent(0, 0) and writes.silent(0, 2)
        assert first_changed_position(writes) == (3 if heard else POSITIONS)


def test_the_first_changed_position_is_that_of_any_prompt_and_head():
    corrupted = z_of_a_run()
    clean = corrupted.clone()
    clean[0, 4] += 1.0
    clean[1, 2, 2, 3] += 1e3
    assert first_changed_position(writes_of(clean, corrupted)) == 2
    assert first_changed_position(writes_of(clean, corrupted, positions=[-1, 0])) == 4
    assert first_changed_position(writes_of(clean, corrupted, positions=[0, 1])) == POSITIONS


def test_the_patch_is_the_clean_minus_the_corrupted_write_at_the_positions_of_the_suffix():
    corrupted = z_of_a_run()
    clean = corrupted + torch.randn(
        corrupted.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )
    sources = torch.tensor([[0, 2], [0, 0]])
    found = writes_of(clean, corrupted, positions=[1, 3]).delta(sources, Suffix(2, POSITIONS, None))
    assert found.shape == (BATCH, 2, POSITIONS - 2, D_MODEL)
    for row, head in enumerate((2, 0)):
        expected = (clean - corrupted)[:, 3, head] @ W_O[head]
        assert torch.allclose(found[:, row, 1], expected, rtol=1e-9, atol=0)
        assert not found[:, row, [0, 2]].any()


@pytest.mark.parametrize("weight", [True, False], ids=["weight", "folded"])
def test_the_writes_of_all_heads_together_are_what_the_post_norm_gives_out(weight):
    """Each head's is its share at its run's own scale; the post-norms of TransformerLens are RMSNorms."""
    generator = torch.Generator().manual_seed(3)
    runs = torch.randn(2, BATCH, POSITIONS, HEADS, D_HEAD, generator=generator, dtype=torch.float64)
    gain = torch.randn(D_MODEL, generator=generator, dtype=torch.float64)
    norm = Norm(centred=False, eps=1e-5, weight=gain if weight else None)
    clean, corrupted = (z.flatten(2) @ W_O.flatten(0, 1) for z in runs)
    z, scale = "blocks.0.attn.hook_z", "blocks.0.ln1_post.hook_scale"
    every_head = torch.tensor([[0, head] for head in range(HEADS)])
    of_clean, of_corrupted = (
        {z: own_z, scale: norm.scale(output)} for own_z, output in zip(runs, (clean, corrupted), strict=True)
    )
    writes = source_writes(of_clean, of_corrupted, (W_O,), (norm,))
    found = writes.delta(every_head, Suffix(0, POSITIONS, None))
    assert torch.allclose(found.sum(dim=1), norm(clean) - norm(corrupted), rtol=0, atol=1e-12)
