"""Small configurations of the decoder families that TransformerLens opens, by name.

Each has a few thousand parameters, with the architecture's switches turned on (grouped keys and
values, sliding windows, softcaps, parallel blocks, multipliers ...), so that a family's own code
path runs.
"""

from __future__ import annotations

from typing import Any

CONTEXT_LENGTH = 64

Configuration = tuple[str, dict[str, Any]]

ROPE_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT_LENGTH,
    "tie_word_embeddings": False,
}
GPT_SIZES: dict[str, Any] = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": CONTEXT_LENGTH}

_OPT: dict[str, Any] = {
    "hidden_size": 32,
    "ffn_dim": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "word_embed_proj_dim": 32,
    "max_position_embeddings": CONTEXT_LENGTH,
}
_SHARED = ROPE_SIZES | {"num_key_value_heads": 2}
_HEADS = _SHARED | {"head_dim": 8}
_WINDOW = {"sliding_window": 4}
_HALF_ROTARY = {"partial_rotary_factor": 0.5}

#: Family name -> (Hugging Face ``model_type``, configuration). What most tests run over.
FAMILIES: dict[str, Configuration] = {
    "gpt2": ("gpt2", GPT_SIZES),
    "gpt-neo": (
        "gpt_neo",
        {
            "hidden_size": 32,
            "num_layers": 3,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1], [["global"], 1]],
            "window_size": 4,
            "max_position_embeddings": CONTEXT_LENGTH,
        },
    ),
    "gpt-j": ("gptj", GPT_SIZES | {"rotary_dim": 4}),
    "pythia": ("gpt_neox", ROPE_SIZES | {"rotary_pct": 0.5}),
    "opt": ("opt", _OPT),
    "phi": ("phi", ROPE_SIZES | _HALF_ROTARY),
    "llama": ("llama", ROPE_SIZES | {"num_key_value_heads": 4}),
    "llama-grouped": ("llama", _SHARED),
    "mistral": ("mistral", _SHARED | _WINDOW),
    "qwen2": ("qwen2", _SHARED),
    "qwen3": ("qwen3", _HEADS),
    "gemma2": (
        "gemma2",
        _HEADS
        | _WINDOW
        | {
            "query_pre_attn_scalar": 8,
            "attn_logit_softcapping": 5.0,
            "final_logit_softcapping": 3.0,
            "tie_word_embeddings": True,
        },
    ),
}

_FALCON = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
_GRANITE = {
    "residual_multiplier": 0.5,
    "embedding_multiplier": 2.0,
    "attention_multiplier": 0.5,
    "logits_scaling": 3.0,
}

#: Families of plain decoders and their variants: what differs from the twelve is a field.
_PLAIN: dict[str, Configuration] = {
    "arcee": ("arcee", _SHARED),
    "codegen": ("codegen", GPT_SIZES | {"rotary_dim": 4}),
    "cohere": ("cohere", _SHARED),
    "cohere with q/k norms": ("cohere", _SHARED | {"use_qk_norm": True}),
    "cohere2": (
        "cohere2",
        _SHARED | _WINDOW | {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    ),
    "ernie4_5": ("ernie4_5", _HEADS),
    "falcon": ("falcon", _FALCON),
    "gemma": ("gemma", _HEADS),
    "gemma3": ("gemma3_text", _HEADS | _WINDOW | {"query_pre_attn_scalar": 8}),
    "glm": ("glm", _HEADS | _HALF_ROTARY),
    "glm4": ("glm4", _HEADS | _HALF_ROTARY),
    "gpt-sw3": ("gpt-sw3", GPT_SIZES),
    "gpt2 scaled by layer": ("gpt2", GPT_SIZES | {"scale_attn_by_inverse_layer_idx": True}),
    "gpt2 unscaled": ("gpt2", GPT_SIZES | {"scale_attn_weights": False}),
    "gpt_bigcode": ("gpt_bigcode", GPT_SIZES),
    "granite": ("granite", _SHARED | _GRANITE),
    "hunyuan": ("hunyuan_v1_dense", _HEADS),
    "internlm3": ("internlm3", _HEADS),
    "iquestcoder": ("iquestcoder", _HEADS),
    "jais2": ("jais2", _HEADS),
    "llama with biases": ("llama", _SHARED | {"mlp_bias": True, "attention_bias": True}),
    "ministral3": ("ministral3", _HEADS),
    "nemotron": ("nemotron", _HEADS | _HALF_ROTARY),
    "olmo": ("olmo", _SHARED),
    "olmo clipped": ("olmo", _SHARED | {"clip_qkv": 1.0}),
    "phi3": ("phi3", _SHARED | _WINDOW),
    "pythia in sequence": ("gpt_neox", ROPE_SIZES | {"rotary_pct": 0.5, "use_parallel_residual": False}),
    "qwen2 with windows": (
        "qwen2",
        _SHARED | _WINDOW | {"use_sliding_window": True, "max_window_layers": 1},
    ),
    "seed_oss": ("seed_oss", _HEADS),
    "smollm3": ("smollm3", _SHARED | {"no_rope_layers": [1, 0, 1]}),
    "stablelm": ("stablelm", _SHARED | {"use_qkv_bias": True}),
    "stablelm with q/k norms": ("stablelm", _SHARED | {"qk_layernorm": True}),
    "stablelm in parallel": ("stablelm", _SHARED | {"use_parallel_residual": True}),
    "starcoder2": ("starcoder2", _SHARED | _WINDOW),
}

_EXPERTS = _HEADS | {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "num_local_experts": 4,
    "moe_intermediate_size": 16,
}

_MAMBA = {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 8, "mamba_n_groups": 1}

#: Families with a part that the replay does not have: experts, ALiBi, norms over heads, sinks ...
_OTHER: dict[str, Configuration] = {
    "afmoe": ("afmoe", _EXPERTS | {"num_dense_layers": 1}),
    "apertus": ("apertus", _SHARED),
    "bitnet": ("bitnet", _SHARED),
    "bloom": ("bloom", {"hidden_size": 32, "n_layer": 3, "n_head": 4}),
    "ernie4_5_moe": ("ernie4_5_moe", _EXPERTS | {"moe_num_experts": 4, "moe_k": 2}),
    "falcon with alibi": ("falcon", _FALCON | {"alibi": True, "multi_query": False, "parallel_attn": False}),
    "glm4_moe": ("glm4_moe", _EXPERTS | {"n_routed_experts": 4, "n_group": 1, "topk_group": 1}),
    "gpt_oss": ("gpt_oss", _EXPERTS | _WINDOW),
    "granitemoe": ("granitemoe", _EXPERTS),
    "granitemoehybrid without mamba": (
        "granitemoehybrid",
        _EXPERTS
        | _MAMBA
        | {
            "position_embedding_type": "rope",
            "shared_intermediate_size": 32,
            "layer_types": ["attention"] * 3,
        },
    ),
    "laguna": ("laguna", _EXPERTS),
    "llama4": ("llama4_text", _EXPERTS | {"intermediate_size_mlp": 64}),
    "minimax_m2": ("minimax_m2", _EXPERTS),
    "mixtral": ("mixtral", _EXPERTS),
    "modernbert-decoder": ("modernbert-decoder", ROPE_SIZES | {"local_attention": 4}),
    "mpt": ("mpt", {"d_model": 32, "n_heads": 4, "n_layers": 3, "max_seq_len": CONTEXT_LENGTH}),
    "nanochat": ("nanochat", _SHARED),
    "olmoe": ("olmoe", _EXPERTS),
    "opt with projections": ("opt", _OPT | {"word_embed_proj_dim": 16}),
    "qwen2_moe": ("qwen2_moe", _EXPERTS | {"shared_expert_intermediate_size": 16}),
    "qwen3_moe": ("qwen3_moe", _EXPERTS),
    "xglm": (
        "xglm",
        {
            "d_model": 32,
            "ffn_dim": 64,
            "num_layers": 3,
            "attention_heads": 4,
            "max_position_embeddings": CONTEXT_LENGTH,
        },
    ),
}

_LATENT = ROPE_SIZES | {
    "num_key_value_heads": 4,
    "head_dim": 4,
    "kv_lora_rank": 8,
    "q_lora_rank": 8,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 8,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "n_shared_experts": 1,
}
_STATES = {"hidden_size": 32, "num_hidden_layers": 3, "state_size": 8}
_LINEAR = {
    "layer_types": ["linear_attention", "full_attention", "full_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
_CONVOLUTION = {"layer_types": ["conv", "full_attention", "full_attention"]}
_PER_LAYER = {
    "vocab_size_per_layer_input": 320,
    "hidden_size_per_layer_input": 8,
    "global_head_dim": 8,
    "num_kv_shared_layers": 0,
}

#: Families in which a path between heads is not defined, or not by the names that this project reads.
_REFUSED: dict[str, Configuration] = {
    "bamba": ("bamba", _SHARED | {"attn_layer_indices": [1]} | _MAMBA),
    "deepseek_v2": ("deepseek_v2", _LATENT),
    "deepseek_v3": ("deepseek_v3", _LATENT),
    "deepseek_v4": ("deepseek_v4", _LATENT),
    "exaone4": ("exaone4", _HEADS | _WINDOW),
    "falcon_h1": (
        "falcon_h1",
        _HEADS | _MAMBA | {"num_key_value_heads": 4, "mamba_d_ssm": 32, "mamba_d_head": 8},
    ),
    "falcon_mamba": ("falcon_mamba", _STATES),
    "flex_olmo": ("flex_olmo", _EXPERTS),
    "gemma4": ("gemma4_text", _HEADS | _WINDOW | _PER_LAYER),
    "glm4_moe_lite": ("glm4_moe_lite", _LATENT),
    "glm_moe_dsa": ("glm_moe_dsa", _LATENT | {"index_topk": 4, "index_n_heads": 2, "index_head_dim": 8}),
    "hrm_text": ("hrm_text", _HEADS),
    "jamba": (
        "jamba",
        _SHARED
        | {
            "num_experts": 1,
            "mamba_d_state": 8,
            "use_mamba_kernels": False,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
        },
    ),
    "jetmoe": ("jetmoe", _EXPERTS | {"kv_channels": 8}),
    "lfm2": ("lfm2", _SHARED | _CONVOLUTION),
    "lfm2_moe": ("lfm2_moe", _EXPERTS | _CONVOLUTION | {"num_dense_layers": 1}),
    "mamba": ("mamba", _STATES),
    "mamba2": ("mamba2", _STATES | {"num_heads": 8, "head_dim": 8, "n_groups": 1}),
    "nemotron_h": (
        "nemotron_h",
        _HEADS
        | {
            "hybrid_override_pattern": "M*-",
            "mamba_num_heads": 4,
            "mamba_head_dim": 16,
            "ssm_state_size": 8,
            "n_groups": 1,
        },
    ),
    "olmo2": ("olmo2", _SHARED),
    "olmo3": ("olmo3", _SHARED | _WINDOW),
    "olmo_hybrid": ("olmo_hybrid", _SHARED | _LINEAR),
    "openai-gpt": ("openai-gpt", GPT_SIZES),
    "qwen3_5": ("qwen3_5_text", _HEADS | _LINEAR),
    "qwen3_5_moe": ("qwen3_5_moe_text", _EXPERTS | _LINEAR | {"shared_expert_intermediate_size": 16}),
    "qwen3_next": ("qwen3_next", _EXPERTS | _LINEAR | {"shared_expert_intermediate_size": 16}),
    "recurrent_gemma": ("recurrent_gemma", _SHARED | {"lru_width": 32, "attention_window_size": 4}),
    "rwkv": (
        "rwkv",
        {
            "hidden_size": 32,
            "num_hidden_layers": 3,
            "attention_hidden_size": 32,
            "context_length": CONTEXT_LENGTH,
        },
    ),
    "youtu": ("youtu", _LATENT),
    "zamba2": (
        "zamba2",
        _SHARED
        | {
            "mamba_d_state": 8,
            "n_mamba_heads": 4,
            "mamba_headdim": 16,
            "layers_block_type": ["mamba", "hybrid", "mamba"],
            "hybrid_layer_ids": [1],
            "num_mem_blocks": 1,
            "mamba_ngroups": 1,
        },
    ),
}

#: Every decoder family of transformers 5.23 that TransformerBridge 4.3 opens from a folder, by what
#: Pathscope does with it.
EVERY_FAMILY: dict[str, Configuration] = FAMILIES | _PLAIN | _OTHER | _REFUSED

#: Families whose own code cannot run in float64.
NOT_IN_FLOAT64 = ("ernie4_5_moe", "xglm")
