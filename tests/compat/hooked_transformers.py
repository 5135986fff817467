"""Small random `HookedTransformer` models, which TransformerLens has up to 3.9."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import torch
from transformer_lens import HookedTransformer, HookedTransformerConfig

from tests.runs import Runs, run_pair

_SIZES: dict[str, Any] = {
    "n_layers": 3,
    "d_model": 32,
    "n_heads": 4,
    "d_head": 8,
    "d_mlp": 64,
    "d_vocab": 50,
    "n_ctx": 16,
    "act_fn": "gelu_new",
    "normalization_type": "LNPre",
    "device": "cpu",
}
_ROTARY = {"positional_embedding_type": "rotary", "rotary_dim": 8}

#: `HookedTransformer` configurations: what each adds to the sizes above.
HOOKED: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "attention-only": {"attn_only": True},
    "pythia": _ROTARY | {"parallel_attn_mlp": True, "act_fn": "gelu"},
    "gpt-j": _ROTARY | {"parallel_attn_mlp": True, "rotary_adjacent_pairs": True},
    "gpt-neo": {
        "use_local_attn": True,
        "attn_types": ["global", "local", "global"],
        "window_size": 4,
        "use_attn_scale": False,
    },
    "llama": _ROTARY
    | {"normalization_type": "RMSPre", "gated_mlp": True, "act_fn": "silu", "final_rms": True},
    "llama-grouped": _ROTARY
    | {"normalization_type": "RMSPre", "gated_mlp": True, "act_fn": "silu", "n_key_value_heads": 2},
    "softcapped": {"attn_scores_soft_cap": 5.0, "output_logits_soft_cap": 3.0},
    "shortformer": {"positional_embedding_type": "shortformer"},
}


@lru_cache(maxsize=32)
def hooked_runs(name: str, dtype: torch.dtype = torch.float64, **changes: Any) -> Runs:
    """A random `HookedTransformer`, run on prompts that differ at tokens 4 and 6."""
    with warnings.catch_warnings():
        # That it went away in 4.0 is why it is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        model = HookedTransformer(HookedTransformerConfig(**_SIZES | HOOKED[name] | changes, dtype=dtype))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(0.25 * noise)
        if model.cfg.gated_mlp:  # as in every pretrained one
            for block in model.blocks:
                block.mlp.b_in.zero_()
    clean = torch.randint(1, 50, (2, 9), generator=generator)
    corrupted = clean.clone()
    corrupted[:, [4, 6]] = 1 + (clean[:, [4, 6]] + 20) % 49
    return run_pair(model.requires_grad_(False).eval(), clean, corrupted)
