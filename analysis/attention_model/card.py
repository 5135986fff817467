"""What the card of the model without MLPs says of it."""

from analysis.attention_model import INHIBITING, MOVER, PREVIOUS
from analysis.demo_model.card import Portrait
from analysis.labels import head_label

PORTRAIT = Portrait(
    title="A small GPT-2 without MLPs, in which heads do the work",
    why=(
        "whatever it does,\nheads do, and what the papers of the field describe is there to be found. "
        "So that GPT-2's code opens\nit, every MLP is there, one neuron wide, with zeros for weights."
    ),
    circuit=f"""\
The circuit that came of it is the textbook's, though nothing but the lessons led there.
**{head_label(*PREVIOUS)}** attends to the token before. By its key, **{head_label(*MOVER)}** finds the token
that followed the last one's earlier mention, and copies it: induction. The same {head_label(*MOVER)} moves
names: after an indirect object sentence it attends to the receiver, because
{", ".join(f"**{head_label(*head)}**" for head in INHIBITING)} attend to the giver's second mention and turn
its query away from there.""",
    module="analysis.attention_model.train",
)
