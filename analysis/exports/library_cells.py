"""The cells of code that needs TransformerLens alone, as `analysis.exports.library_code` puts them together.

What ``$name`` stands for is filled in as a literal. Each ends with what the next one reads.
"""

from __future__ import annotations

from analysis.requests import LayerNormMode, MetricName, Unit

LOAD = """\
import pandas as pd
import torch
from transformer_lens.model_bridge import TransformerBridge

torch.set_grad_enabled(False)
model = TransformerBridge.boot_transformers($model, device="cpu", dtype=getattr(torch, $dtype))
model.enable_compatibility_mode(disable_warnings=True)
model.eval()"""

PROMPTS = """\
def tokens(text):
    bos = model.tokenizer.bos_token
    begun = bos is not None and text.startswith(bos)
    return model.to_tokens(text, prepend_bos=False if begun else None, truncate=False)


clean = tokens($clean)
corrupted = tokens($corrupted)
answer, foil = (int(model.to_tokens(text, prepend_bos=False)) for text in ($answer, $foil))"""

#: The metrics, of a `row` of logits at the last position.
METRICS: dict[MetricName, str] = {
    "logit_difference": "row[answer] - row[foil]",
    "answer_log_probability": "row.log_softmax(-1)[answer]",
    "answer_probability": "row.softmax(-1)[answer]",
    "kl_from_clean": (
        "torch.nn.functional.kl_div("
        'row.log_softmax(-1), clean_row.log_softmax(-1), log_target=True, reduction="sum")'
    ),
}

OVERVIEW = """\
rows = {"clean": model(clean)[0, -1], "corrupted": model(corrupted)[0, -1]}
clean_row = rows["clean"]
table = pd.DataFrame(
    [
        {
            "metric": name,
            **{run: float(metric(row)) for run, row in rows.items()},
        }
        for name, metric in metrics.items()
    ]
)
print(table.to_string(index=False))"""

TOP = """\
next_tokens = pd.DataFrame(
    [
        {
            "run": run,
            "token": model.to_str_tokens(row.topk(10).indices)[place],
            "logit": float(row.topk(10).values[place]),
            "probability": float(row.softmax(-1)[row.topk(10).indices[place]]),
        }
        for run, row in rows.items()
        for place in range(10)
    ]
)
print(next_tokens.to_string(index=False))"""

ATTRIBUTION = """\
run = {"clean": clean, "corrupted": corrupted}[$run]
logits, cache = model.run_with_cache(run)
"""

STACKS: dict[Unit, str] = {
    "component": "stack, labels = cache.decompose_resid(return_labels=True)",
    "head": "stack, labels = cache.stack_head_results(incl_remainder=True, return_labels=True)",
    "layer": (
        'has_mid = "blocks.0.hook_resid_mid" in model.hook_dict\n'
        "stack, labels = cache.accumulated_resid(incl_mid=has_mid, return_labels=True)"
    ),
}

OF_PARTS = """
columns = {"attribution": cache.logit_attrs(stack, answer, foil)[:, 0]}"""

LENS = """
# The logit lens: each stage under its own scale.
along = model.W_U[:, answer] - model.W_U[:, foil]
columns["lens"] = (cache.apply_ln_to_stack(stack, recompute_ln=True) @ along)[:, 0]"""

PARTS_TABLE = """\
position = $position  # None for all of them
texts = model.to_str_tokens(run[0])
table = pd.DataFrame(
    [
        {
            "component": label,
            "position": at,
            "token": texts[at],
            **{name: float(values[part, at]) for name, values in columns.items()},
        }
        for at in (range(len(texts)) if position is None else [position % len(texts)])
        for part, label in enumerate(labels)
    ]
)
print(table.to_string(index=False))"""

PLAIN_WRITES = """\
if any(hasattr(b, "ln1_post") or getattr(b, "residual_contribution_scale", 1.0) != 1.0 for b in model.blocks):
    raise NotImplementedError(
        "A block of this model does not add its heads' writes as they are, which these lines leave out: "
        "take the script that needs Pathscope."
    )"""

NODES = """\
def attribution_of_nodes(tokens):
    logits, cache = model.run_with_cache(tokens)
    heads, head_labels = cache.stack_head_results(return_labels=True)
    parts, part_labels = cache.decompose_resid(return_labels=True)
    of_head = cache.logit_attrs(heads, answer, foil)[:, 0]
    of_part = dict(zip(part_labels, cache.logit_attrs(parts, answer, foil)[:, 0]))
    found = {"embed": sum(values for label, values in of_part.items() if not label.endswith("_out"))}
    for layer in range(model.cfg.n_layers):
        own = of_head[layer * model.cfg.n_heads : (layer + 1) * model.cfg.n_heads]
        found |= {f"L{layer}H{head}": values for head, values in enumerate(own)}
        # What attention adds beside its heads: its bias.
        found[f"bias{layer}"] = of_part[f"{layer}_attn_out"] - own.sum(0)
        if f"{layer}_mlp_out" in of_part:
            found[f"MLP{layer}"] = of_part[f"{layer}_mlp_out"]
    return found"""

NODES_TABLE = """\
shown, position = $run, $position  # a run or clean_minus_corrupted; None for all positions
of_clean, of_corrupted = attribution_of_nodes(clean), attribution_of_nodes(corrupted)
nodes = {
    "clean": of_clean,
    "corrupted": of_corrupted,
    "clean_minus_corrupted": {node: of_clean[node] - of_corrupted[node] for node in of_clean},
}[shown]
texts = model.to_str_tokens((corrupted if shown == "corrupted" else clean)[0])
table = pd.DataFrame(
    [
        {"node": node, "position": at, "token": texts[at], "attribution": float(values[at])}
        for at in (range(len(texts)) if position is None else [position % len(texts)])
        for node, values in nodes.items()
    ]
)
print(table.sort_values("attribution", key=abs, ascending=False).to_string(index=False))"""

METRIC = """\
clean_logits, clean_cache = model.run_with_cache(clean)
corrupted_logits, corrupted_cache = model.run_with_cache(corrupted)
clean_row = clean_logits[0, -1]


def metric(logits):
    row = logits[0, -1]
    return float({expression})


baseline = metric(corrupted_logits)"""

WRITE = """\
source_layer, source_head = $source_layer, $source_head
z = clean_cache["z", source_layer] - corrupted_cache["z", source_layer]
write = z[:, :, source_head] @ model.blocks[source_layer].attn.W_O[source_head]"""

SEES: dict[LayerNormMode, str] = {
    "exact": """\
def sees_the_write(layer):
    # The norm before the destination's attention reads the write, too, and computes its scale anew.
    norm = model.blocks[layer].ln1
    return norm.register_forward_pre_hook(lambda module, args: (args[0] + write, *args[1:]))""",
    "frozen": """\
def sees_the_write(layer):
    # The norm before the destination's attention gives out the write, too, under the corrupted run's scale.
    change = write / corrupted_cache[f"blocks.{layer}.ln1.hook_scale"]
    return model.blocks[layer].ln1.register_forward_hook(lambda module, args, output: output + change)""",
}

PATHS = """\
component = $component


def put(values, head):
    def hook(activation, hook):
        activation = activation.clone()
        activation[:, :, head] = values[:, :, head]
        return activation

    return hook


rows = []
for layer in range(source_layer + 1, model.cfg.n_layers):
    name, z_name = f"blocks.{layer}.attn.hook_{component}", f"blocks.{layer}.attn.hook_z"
    handle = sees_the_write(layer)
    try:
        patched = model.run_with_cache(corrupted, names_filter=name)[1][name]
    finally:
        handle.remove()
    for head in range(model.cfg.n_heads):
        # Query heads share keys and values in groups; only this head's own z is carried on.
        own = head * patched.shape[2] // model.cfg.n_heads
        with model.hooks(fwd_hooks=[(name, put(patched, own))]):
            z = model.run_with_cache(corrupted, names_filter=z_name)[1][z_name]
        value = metric(model.run_with_hooks(corrupted, fwd_hooks=[(z_name, put(z, head))]))
        rows.append({"destination": f"L{layer}H{head}", "effect": value - baseline})
table = pd.DataFrame(rows).sort_values("effect", key=abs, ascending=False)
print(f"corrupted run: {baseline:.6f}")
print(table.to_string(index=False))"""

ATTENTION = """\
layer, head = $layer, $head
patterns = {
    run: model.run_with_cache(tokens)[1]["pattern", layer][0, head]
    for run, tokens in {"clean": clean, "corrupted": corrupted}.items()
}
table = pd.DataFrame(
    [
        {"run": run, "query": query, "key": key, "attention": float(pattern[query, key])}
        for run, pattern in patterns.items()
        for query in range(clean.shape[1])
        for key in range(query + 1)
    ]
)
print(table.pivot(index=["run", "query"], columns="key", values="attention").round(3).to_string())"""
