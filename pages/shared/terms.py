"""What the terms of the field mean here: hovered over at a control or a number, listed in the help."""

from __future__ import annotations

from typing import Literal

from analysis.sets import RULE

Term = Literal[
    "clean and corrupted prompt",
    "answer and foil",
    "logit difference",
    "attribution",
    "logit lens",
    "remainder",
    "neuron",
    "path",
    "patch",
    "effect",
    "recovery",
    "query, key and value",
    "LayerNorm frozen or exact",
    "measured or estimated",
    "resolution",
    "brings back",
    "breaks",
    "faithful",
    "robust",
    "identity",
]

TERMS: dict[Term, str] = {
    "clean and corrupted prompt": "Two prompts of one length in tokens; what differs between them is what is "
    "asked about. The clean one brings the answer.",
    "answer and foil": "One token each: what the clean prompt should bring, and what the other one should.",
    "logit difference": "Logit of the answer minus logit of the foil, at the last position: positive where "
    "the model prefers the answer. It is the logarithm of the ratio of their probabilities.",
    "attribution": "What a part writes along the direction answer minus foil, under the last norm's scale. "
    "All parts and the unembedding bias add up to the logit difference.",
    "logit lens": "The residual stream after each sublayer, read as if it were the last.",
    "remainder": "All that the parts shown do not hold: embeddings, MLPs and biases of attention.",
    "neuron": "One dimension of an MLP's hidden layer. It writes its activation times its own direction; "
    "with the output bias the neurons add up to what the MLP writes.",
    "path": "From what one part writes straight to what a later part reads, through no part between.",
    "patch": "One run is computed with a value from the other run in one place.",
    "effect": "The metric with the patch, minus the metric of the corrupted run. Positive moves up.",
    "recovery": "The effect as a share of the change between the runs: 0 % is the corrupted run, 100 % the "
    "clean one. Paths overlap, so shares need not add up to 100 %.",
    "query, key and value": "What a head reads: the query says what it looks for, the key where it is found, "
    "the value what is moved from there.",
    "LayerNorm frozen or exact": "Frozen: the norm before the patched input keeps the corrupted run's scale, "
    "so that patches add up. Exact: it is recomputed.",
    "measured or estimated": "Measured: the model was run with the patch. Estimated: one backward pass tells "
    "about how all patches would do.",
    "resolution": "Below it rounding alone can explain what is measured.",
    "brings back": "On the corrupted prompt only these paths carry the clean run: the share of the change "
    "that comes back.",
    "breaks": "On the clean prompt these paths carry the corrupted run: the share of the change that goes.",
    "faithful": "On the clean prompt every other path carries the corrupted run: the share of the change "
    "that is left. The strict score.",
    "robust": RULE,
    "identity": "What must hold for any model and any prompts, whatever the numbers are.",
}


def meaning_of(*terms: Term) -> str:
    """The meanings of `terms`, one after the other."""
    return " ".join(TERMS[term] for term in terms)
