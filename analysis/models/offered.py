"""The models worth offering by name, and which of several names was meant by another.

Nothing here imports torch, or looks at a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from analysis import attention_model, demo_model, induction_model
from analysis.demo_model import examples as of_the_demo
from analysis.induction_model import examples as of_induction
from analysis.labels import head_label

#: The catalogue names of the bundled models: the one that was trained, the one that was set by hand, and the
#: one that was trained without MLPs.
DEMO, INDUCTION, ATTENTION = demo_model.NAME, induction_model.NAME, attention_model.NAME
#: The folder of each bundled model.
BUNDLED: Mapping[str, Path] = {
    model.NAME: model.DIRECTORY for model in (demo_model, induction_model, attention_model)
}

#: As alike as two names have to be (of 1) for one to be taken for the other, mistyped.
_ALIKE = 0.65
_MOST = 3


@dataclass(frozen=True)
class CatalogueEntry:
    """A model to offer by name; any other Hugging Face id or local folder works as well.

    `megabytes` are those of its files, `millions` those of its parameters.
    """

    name: str
    title: str
    description: str
    megabytes: int
    millions: int


def entries() -> tuple[CatalogueEntry, ...]:
    """The models worth offering by name, the bundled ones first."""
    previous, induction = head_label(*induction_model.PREVIOUS), head_label(*induction_model.INDUCTION)
    return (
        CatalogueEntry(DEMO, "Demo", "Bundled, 4 layers of 8 heads; trained on the ready examples.", 10, 4),
        CatalogueEntry(
            INDUCTION,
            "Induction",
            "Bundled, 2 layers of 4 heads, weights set by hand as an induction circuit: the previous-token "
            f"head {previous} feeds the key of the induction head {induction}, which writes the answer.",
            4,
            1,
        ),
        CatalogueEntry(
            ATTENTION,
            "Attention",
            "Bundled, 4 layers of 8 heads and no MLPs, trained on the ready examples: the textbook's heads "
            f"appear. {head_label(*attention_model.MOVER)} moves names, and copies what followed before, as "
            f"the previous-token head {head_label(*attention_model.PREVIOUS)} tells its key.",
            6,
            1,
        ),
        CatalogueEntry(
            "gpt2", "GPT-2 small", "12 layers of 12 heads; the model of the IOI circuit.", 548, 124
        ),
        CatalogueEntry("gpt2-medium", "GPT-2 medium", "24 layers of 16 heads.", 1520, 355),
        CatalogueEntry(
            "EleutherAI/pythia-70m", "Pythia 70M", "6 layers of 8 heads; parallel blocks.", 166, 70
        ),
        CatalogueEntry(
            "EleutherAI/pythia-160m", "Pythia 160M", "12 layers of 12 heads; parallel blocks.", 375, 162
        ),
        CatalogueEntry(
            "HuggingFaceTB/SmolLM2-135M", "SmolLM2 135M", "30 layers of 9 heads; Llama design.", 269, 135
        ),
        CatalogueEntry(
            "Qwen/Qwen2.5-0.5B", "Qwen2.5 0.5B", "24 layers of 14 heads; grouped k and v.", 988, 494
        ),
        CatalogueEntry("Qwen/Qwen3-0.6B", "Qwen3 0.6B", "28 layers of 16 heads; normed q and k.", 1500, 596),
        CatalogueEntry(
            "google/gemma-2-2b",
            "Gemma 2 2B",
            "26 layers of 8 heads; gated, loading takes 45 GB.",
            10460,
            2614,
        ),
    )


def ready_examples(model: str) -> tuple[of_the_demo.Example, ...]:
    """The ready examples of a model: the one set by hand has its own, all others have those of the demo."""
    return of_induction.EXAMPLES if model.strip() == INDUCTION else of_the_demo.EXAMPLES


def nearest(name: str, others: Iterable[str] = ()) -> tuple[str, ...]:
    """The names of the catalogue and of `others` that `name` may have been meant for, the likeliest first.

    Compared are the names without their owners, and titles, without regard to case and marks.

    >>> nearest("openai/GPT-2"), nearest("pythia"), nearest("banana")
    (('gpt2',), ('EleutherAI/pythia-70m', 'EleutherAI/pythia-160m'), ())
    """
    spelt = {_plain(entry.title): entry.name for entry in entries()}
    spelt |= {_plain(other): other for other in (*(entry.name for entry in entries()), *others)}
    alike = get_close_matches(_plain(name), spelt, n=2 * _MOST, cutoff=_ALIKE)
    meant = dict.fromkeys(spelt[word] for word in alike)
    return tuple(other for other in meant if other != name)[:_MOST]


def size(megabytes: float) -> str:
    """A size of files as people read it.

    >>> size(548), size(1520)
    ('548 MB', '1.5 GB')
    """
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", re.split(r"[/\\]", name)[-1].lower())
