"""The model does induction by the circuit that was set, and every analysis finds it and no other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from analysis import answers, find_circuit
from analysis.circuit import known_circuit
from analysis.demo_model.examples import Example
from analysis.induction_model import DIRECTORY
from analysis.induction_model.examples import EXAMPLES
from analysis.induction_model.tokenizer import build_tokenizer
from analysis.metrics import LogitDifference
from analysis.models import INDUCTION, load
from analysis.nodes import Graph
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES, Experiment, Request
from analysis.results import (
    AllSourcesRequest,
    GraphRequest,
    NodeAttributionRequest,
    NodeRequest,
    OverviewRequest,
    SanityRequest,
    StrongestPathsRequest,
)
from analysis.warm import warm

KEY, VALUE, QUERY = EXAMPLES[:3]
#: What is changed in each example leads to the logits over these edges and no others.
CIRCUITS = {
    KEY: {("embed", "L0H2.v"), ("L0H2", "L1H3.k"), ("L1H3", "logits")},
    VALUE: {("embed", "L1H3.v"), ("L1H3", "logits")},
    QUERY: {("embed", "L1H3.q"), ("L1H3", "logits")},
}
#: Float32 at logits of ten.
ROUNDING = 1e-5

pytestmark = pytest.mark.usefixtures("own_store")


def asked(request: Request[Any]) -> Any:
    """The answer to a question of any kind, long work included."""
    assert warm(request) is None
    found = answers.stored(request)
    assert found is not None
    return found.result


def on(example: Example) -> Experiment:
    return Experiment(INDUCTION, example.clean, example.corrupted, example.answer, example.foil)


def by_hugging_face(*texts: str) -> tuple[Tensor, list[Tensor]]:
    """Logits after the last token of each text, and the attention patterns of each layer."""
    tokenizer = build_tokenizer()
    tokens = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text)["input_ids"]] for text in texts])
    model = AutoModelForCausalLM.from_pretrained(DIRECTORY, attn_implementation="eager").eval()
    with torch.inference_mode():
        run = model(tokens, output_attentions=True)
    return run.logits[:, -1], list(run.attentions)


def test_what_followed_last_time_follows_again_and_else_no_word_is_preferred():
    tokenizer = build_tokenizer()
    logits, _ = by_hugging_face("A B C D A", "A B river D river", "E B C D A")
    words = [tokenizer(f" {word}")["input_ids"][0] for word in ("B", "D", "C", "ocean", "A", "river")]
    expected = torch.tensor([[10.0, 0, 0, 0, 0, 0], [0, 10.0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
    torch.testing.assert_close(logits[:, words], expected, atol=ROUNDING, rtol=0)
    rest = sorted(set(range(len(tokenizer))) - set(tokenizer.convert_tokens_to_ids(_spaced(tokenizer))))
    assert logits[:, rest].max() <= -1 and logits[:, rest].min() >= -4 - ROUNDING


def _spaced(tokenizer: Any) -> list[str]:
    return [entry for entry in tokenizer.get_vocab() if entry.startswith("Ġ") and len(entry) > 1]


def test_attention_is_the_textbooks():
    """The token before on a diagonal, twice; and a stripe where the row repeats, else the first token."""
    _, (first, second) = by_hugging_face("A B C D E F A B C D")
    n = first.shape[-1]
    previous = torch.eye(n).roll(-1, dims=1).tril()
    previous[0, 0] = 1.0
    for head in (1, 2):
        torch.testing.assert_close(first[0, head], previous, atol=1e-6, rtol=0)
    stripe = torch.zeros(n, n)
    stripe[:, 0] = 1.0
    for query in (7, 8, 9, 10):  # the second A, B, C and D look at what stood after the first ones
        stripe[query, 0], stripe[query, query - 5] = 0.0, 1.0
    torch.testing.assert_close(second[0, 3], stripe, atol=1e-6, rtol=0)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_the_examples_give_answer_and_foil_by_ten_logits(example: Example):
    result = asked(OverviewRequest(on(example)))
    assert result.metrics["logit_difference"] == pytest.approx((10.0, -10.0), abs=ROUNDING)
    assert (result.clean_top[0][0], result.corrupted_top[0][0]) == (example.answer, example.foil)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_every_identity_holds(example: Example):
    result = asked(SanityRequest(on(example)))
    assert result.passed and len(result.checks) > 15


@pytest.mark.parametrize("example", CIRCUITS, ids=lambda example: example.title)
def test_the_graph_and_the_search_find_the_circuit_and_nothing_else(example: Example):
    table = asked(GraphRequest(on(example))).table()
    worth = dict(zip(zip(table["writer"], table["reader"], strict=True), table["share"], strict=True))
    assert {edge for edge, share in worth.items() if abs(share) > ROUNDING} == CIRCUITS[example]
    assert all(worth[edge] == pytest.approx(1.0, abs=ROUNDING) for edge in CIRCUITS[example])
    bridge = load(INDUCTION).bridge
    clean, corrupted = (bridge.to_tokens(text) for text in (example.clean, example.corrupted))
    metric = LogitDifference(*(bridge.to_single_token(text) for text in (example.answer, example.foil)))
    found = find_circuit(bridge, clean, corrupted, metric, faithfulness=0.99)
    assert set(found.labels) == CIRCUITS[example] and found.reached
    known = known_circuit(INDUCTION, Graph(2, 4))
    assert known is not None
    if example is KEY:
        heads, edges = known.heads_agreement(found.labels), known.edges_agreement(found.labels)
        assert (heads.precision, heads.recall, edges.precision, edges.recall) == (1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
def test_the_one_path_from_head_to_head_is_into_the_key_and_carries_the_answer(layer_norm):
    paths = asked(StrongestPathsRequest(on(KEY), layer_norm)).table()
    first, others = paths.iloc[0], paths.iloc[1:]
    assert (first["source"], first["destination"], first["component"]) == ("L0H2", "L1H3", "k")
    assert first["recovery"] == pytest.approx(1.0, abs=ROUNDING)
    assert others["below_resolution"].all()
    for component in HEAD_INPUTS:
        effect = asked(AllSourcesRequest(on(KEY), component, layer_norm)).effect
        expected = np.zeros((2, 4, 2, 4))
        if component == "k":
            expected[0, 2, 1, 3] = 20.0
        np.testing.assert_allclose(np.nan_to_num(effect), expected, atol=10 * ROUNDING)


def test_the_induction_head_alone_writes_the_answer_and_its_decoy_nothing():
    result = asked(NodeAttributionRequest(on(KEY)))
    last = dict(zip(result.labels, result.attribution[:, :, -1].T, strict=True))
    np.testing.assert_allclose(last.pop("L1H3"), [10, -10], atol=ROUNDING)
    np.testing.assert_allclose(list(last.values()), 0, atol=ROUNDING)


def test_the_key_is_what_moves_the_gaze():
    """Patched into the key alone, the corrupted run's last token looks where the clean one's looks."""
    result = asked(NodeRequest(on(KEY), "L1H3", ("L0H2", "L1H3.k")))
    clean, corrupted, patched = result.attention[:, -1]
    assert (clean.argmax(), corrupted.argmax(), patched.argmax()) == (4, 6, 4)
    assert result.edge_worth == pytest.approx([1.0, 1.0], abs=ROUNDING)
    decoy = asked(NodeRequest(on(KEY), "L1H3", ("L0H1", "L1H3.k")))
    np.testing.assert_array_equal(decoy.attention[2], decoy.attention[1])
    assert decoy.edge_worth == pytest.approx([0.0, 0.0], abs=ROUNDING)
