"""What each page asks, by which formula it answers, and in which terms."""

from __future__ import annotations

from dataclasses import dataclass

from pages.shared.navigation import (
    ALL_SOURCES,
    ATTRIBUTION,
    CIRCUIT,
    COMPARE,
    PATH_PATCHING,
    PROMPT_SET,
    RESULT,
    SANITY_CHECKS,
    Leaf,
)
from pages.shared.papers import EAP, EAP_IG, FRAMEWORK, IOI, LOGIT_LENS, MIB, PATH_PATCHING_PAPER, Paper
from pages.shared.terms import Term


@dataclass(frozen=True)
class Explanation:
    """The help of one page: `formula` in LaTeX, `where` says what its letters are."""

    question: str
    formula: str
    where: str
    terms: tuple[Term, ...]
    papers: tuple[Paper, ...]


# Two short lines: a phone shows them whole.
_PATCHED = (
    r"\begin{aligned} \mathrm{effect} &= m(x_B + \Delta_A) - m_{\mathrm{corr}} \\"
    r" \Delta_A &= w_A^{\mathrm{clean}} - w_A^{\mathrm{corr}} \end{aligned}"
)
_PATCHED_WHERE = (
    "m is the metric, w what head A writes in either run, x what head B reads in the corrupted run; only "
    "B's query, key or value sees the patch. Recovery: effect over clean minus corrupted metric."
)

EXPLANATIONS: dict[Leaf, Explanation] = {
    RESULT: Explanation(
        "Do the two prompts bring the two answers, and by how much?",
        r"\mathrm{LD} = \mathrm{logit}_{\mathrm{answer}} - \mathrm{logit}_{\mathrm{foil}}",
        "LD is the logit difference at the last position, on either prompt.",
        ("clean and corrupted prompt", "answer and foil", "logit difference"),
        (IOI,),
    ),
    ATTRIBUTION: Explanation(
        "Which part of the model wrote the answer?",
        r"\begin{aligned} a_i &= \frac{w_i - \bar{w}_i}{\sigma} \cdot"
        r" (W_U^{\mathrm{answer}} - W_U^{\mathrm{foil}}) \\ \textstyle\sum_i a_i + b &= \mathrm{LD}"
        r" \end{aligned}",
        "w is what part i writes to the residual stream, less its mean where the last norm takes means off; "
        "sigma is the last norm's scale, W_U the unembedding, b its bias.",
        (
            *("attribution", "logit difference", "logit lens", "remainder", "neuron", "position", "node"),
            "resolution",
        ),
        (FRAMEWORK, LOGIT_LENS),
    ),
    PATH_PATCHING: Explanation(
        "What does one head tell each later head?",
        _PATCHED,
        _PATCHED_WHERE,
        (
            "path",
            "source and destination",
            "attention pattern",
            "patch",
            "effect",
            "recovery",
            "query, key and value",
            "LayerNorm frozen or exact",
            "resolution",
        ),
        (IOI, PATH_PATCHING_PAPER),
    ),
    ALL_SOURCES: Explanation(
        "Which head told which later head?",
        _PATCHED,
        _PATCHED_WHERE,
        ("effect", "recovery", "query, key and value", "LayerNorm frozen or exact", "measured or estimated"),
        (PATH_PATCHING_PAPER, EAP),
    ),
    CIRCUIT: Explanation(
        "Which handful of paths is the mechanism, and does it hold?",
        r"f(C) = \frac{m(C) - m_{\mathrm{corr}}}{m_{\mathrm{clean}} - m_{\mathrm{corr}}}",
        "m(C) is the metric on the clean prompt while every path outside of the set C carries the corrupted "
        "run. Sets are patched together: what they do is not the sum of what each does.",
        ("node", "path", "group", "brings back", "breaks", "faithful", "measured or estimated"),
        (EAP, EAP_IG, MIB),
    ),
    PROMPT_SET: Explanation(
        "Does it hold over several prompts, or was it this one pair?",
        r"\begin{aligned} \bar{e} &= \textstyle\frac{1}{n} \sum_p e_p \\ \mathrm{share} &="
        r" \textstyle\sum_p e_p \,/\, \sum_p (m_p^{\mathrm{clean}} - m_p^{\mathrm{corr}}) \end{aligned}",
        "e is the effect of a path, or the attribution of a node, in prompt p of n; m is the metric. Of an "
        "attribution, the share is of the logit difference of the run that is shown.",
        ("prompt set", "path", "attribution", "effect", "robust", "resolution"),
        (IOI,),
    ),
    COMPARE: Explanation(
        "What changes with another pair, another model, or another way of asking?",
        r"\begin{aligned} d_i &= b_i - a_i \\ r &= \mathrm{corr}(a, b) \end{aligned}",
        "a and b are what both sides say of the same node or path i, r is Pearson's correlation over all. "
        "Rounding alone can explain a difference below the resolutions of both sides together.",
        ("attribution", "path", "effect", "LayerNorm frozen or exact", "resolution"),
        (FRAMEWORK, PATH_PATCHING_PAPER),
    ),
    SANITY_CHECKS: Explanation(
        "Can these numbers be trusted?",
        r"\left|\mathrm{measured}\right| \le \mathrm{limit}",
        "Measured is how far an identity is off on this experiment.",
        ("identity", "attribution", "effect", "resolution"),
        (FRAMEWORK, PATH_PATCHING_PAPER),
    ),
}
