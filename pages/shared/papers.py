"""The papers that the pages lean on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """A publication as it is cited; `gives` says what of it is used here."""

    cited: str
    title: str
    address: str
    gives: str


FRAMEWORK = Paper(
    "Elhage et al. 2021",
    "A Mathematical Framework for Transformer Circuits",
    "https://transformer-circuits.pub/2021/framework/index.html",
    "the residual stream as a sum of what parts write; queries, keys and values as what heads read",
)
LOGIT_LENS = Paper(
    "nostalgebraist 2020",
    "interpreting GPT: the logit lens",
    "https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru/interpreting-gpt-the-logit-lens",
    "the stream of each layer read as if it were the last",
)
IOI = Paper(
    "Wang et al. 2022",
    "Interpretability in the Wild: a Circuit for Indirect Object Identification in GPT-2 small",
    "https://arxiv.org/abs/2211.00593",
    "the task of the first example, and patching of the paths between heads",
)
PATH_PATCHING_PAPER = Paper(
    "Goldowsky-Dill et al. 2023",
    "Localizing Model Behavior with Path Patching",
    "https://arxiv.org/abs/2304.05969",
    "path patching as a test of a hypothesis",
)
EAP = Paper(
    "Syed et al. 2023",
    "Attribution Patching Outperforms Automated Circuit Discovery",
    "https://arxiv.org/abs/2310.10348",
    "every path estimated at once from gradients",
)
EAP_IG = Paper(
    "Hanna et al. 2024",
    "Have Faith in Faithfulness: Going Beyond Circuit Overlap When Finding Model Mechanisms",
    "https://arxiv.org/abs/2403.17806",
    "circuits judged by faithfulness; estimates by integrated gradients",
)
MIB = Paper(
    "Mueller et al. 2025",
    "MIB: A Mechanistic Interpretability Benchmark",
    "https://arxiv.org/abs/2504.13151",
    "faithfulness over all sizes of a circuit: CPR and CMD",
)
PAPERS = (LOGIT_LENS, FRAMEWORK, IOI, PATH_PATCHING_PAPER, EAP, EAP_IG, MIB)
