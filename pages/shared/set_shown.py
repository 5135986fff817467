"""What a prompt set shows, as it leaves."""

from __future__ import annotations

from typing import NamedTuple

from analysis.exports import Code, prompt_set_code, tensors_of_agreement
from analysis.requests import LayerNormMode, MetricName
from analysis.results import RunShown
from analysis.sets import RULE, Agreement, node_table
from pages.shared.choices import METRIC
from pages.shared.set_results import SetResults
from pages.shared.set_tables import pairs_table
from pages.shared.set_words import metrics_finding, paths_finding
from pages.shared.shown import Naming, Shown


class Asked(NamedTuple):
    """What is asked of every prompt of a set."""

    metric: MetricName
    layer_norm: LayerNormMode
    run: RunShown


def of_prompts(found: SetResults, asked: Asked) -> Shown:
    """The metric of each prompt on both runs."""
    from analysis.charts import metric_strip_chart

    metrics = found.metrics(asked.metric)
    return Shown(
        name="prompts",
        title=f"{METRIC.options[asked.metric]} of every prompt on both runs",
        told=found,
        experiment=found.overviews[0].request.experiment,
        sentence=metrics_finding(metrics, asked.metric),
        measured="Read off one forward pass of the model on each prompt, at the last position.",
        table=pairs_table(found, asked.metric),
        draw=lambda theme, _: metric_strip_chart(metrics, found.numbers, asked.metric, theme),
        codes=lambda named: _codes(found, asked, named),
    )


def of_agreement(found: SetResults, agreement: Agreement, called: str, unit: str, asked: Asked) -> Shown:
    """Effects of the same nodes, or paths, in every prompt."""
    from analysis.charts import agreement_chart

    numbers, origin = found.numbers, found.origin()
    return Shown(
        name=f"{called}s_over_prompts",
        title=f"The effect of each {called} over {agreement.n_prompts} prompts",
        told=found,
        experiment=found.overviews[0].request.experiment,
        sentence=paths_finding(agreement) if called == "path" else "",
        measured=f"Every effect is measured in every prompt. Robust: {RULE}",
        table=agreement.table(),
        draw=lambda theme, _: agreement_chart(agreement, f"effect ({unit})", theme, numbers),
        codes=lambda named: _codes(found, asked, named),
        tensors=lambda: tensors_of_agreement(agreement, numbers, origin),
    )


def of_prompt_maps(found: SetResults, asked: Asked) -> Shown:
    """What every node writes at the last token, prompt by prompt."""
    from analysis.charts import attribution_maps_chart, most_maps

    drawn = most_maps(found.nodes)
    of_all = "" if drawn == len(found.nodes) else f" The first {drawn} of {len(found.nodes)} are drawn."
    return Shown(
        name="attribution_by_prompt",
        title="What every node writes at the last token, in logits, on one colour scale for all prompts."
        + of_all,
        told=found,
        experiment=found.overviews[0].request.experiment,
        sentence="",
        measured="Direct logit attribution, exact: read off one forward pass of the model on each prompt.",
        table=node_table(found.nodes, found.numbers, asked.run),
        draw=lambda theme, _: attribution_maps_chart(
            found.nodes[:drawn], found.numbers[:drawn], asked.run, theme
        ),
        codes=lambda named: _codes(found, asked, named),
    )


def _codes(found: SetResults, asked: Asked, named: Naming) -> tuple[Code, ...]:
    experiments = [named(one.request.experiment) for one in found.overviews]
    return (prompt_set_code(experiments, *asked),)
