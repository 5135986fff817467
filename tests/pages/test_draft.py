"""The pair builder: what it says of the pair is so, and each click is the change that it names."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape

import pytest
from streamlit.testing.v1 import AppTest

from analysis import answers
from analysis.answers import answer
from analysis.demo_model.examples import EXAMPLES
from analysis.errors import ModelError
from analysis.labels import shown_token
from analysis.requests import Experiment
from analysis.results import DraftRequest, DraftResult
from pages.shared.draft import lengths, standing, what_is_patched
from pages.shared.keys import PROMPT_KEYS, Key
from pages.shared.tokens import token_chips
from tests.hostile import HOSTILE
from tests.pages.looking import See, small_print, texts
from tests.pages.stored_results import CLEAN_TOKENS, CORRUPTED_TOKENS, DIFFER, a_draft, keep

FIRST = EXAMPLES[0]
Visit = Callable[..., AppTest]
LONGER = FIRST.corrupted.replace("Mary gave", "then Mary gave")


def fields(app: AppTest) -> dict[Key, str]:
    return {key: app.session_state[key] for key in PROMPT_KEYS}


def chips(app: AppTest) -> list[tuple[bool, list[str]]]:
    """Of each chip whether it is marked, and what stands in it."""
    body = "".join(element.proto.body for element in app.get("html"))
    found = re.findall(r'<div role="listitem" style="([^"]*)"[^>]*>(.*?)</div>', body)
    return [
        ("background" in style, unescape(re.sub(r"<[^>]*>", "\n", text)).split()) for style, text in found
    ]


def pills(app: AppTest, key: Key):
    [found] = [one for one in app.get("button_group") if one.key == f"{Key.NEXT}_{key}"]
    return found


def test_every_position_is_a_chip_and_those_that_differ_are_marked(see: See):
    app = see("path_patching")
    shown = chips(app)
    assert [place for place, (marked, _) in enumerate(shown) if marked] == [*DIFFER]
    assert shown[0][1] == ["0", "BOS"]
    for place, (_, told) in list(enumerate(shown))[1:]:
        both = dict.fromkeys([shown_token(CLEAN_TOKENS[place]), shown_token(CORRUPTED_TOKENS[place])])
        assert told == [str(place), *both]
    assert "Both have 5 tokens (BOS, the beginning of sequence, is one)" in small_print(app)
    assert "They differ at positions 1, 3." in small_print(app)


def test_without_bos_the_first_token_is_a_token(see: See):
    keep(replace(a_draft(), beginning=""))
    app = see("path_patching")
    assert chips(app)[0][1] == ["0", CLEAN_TOKENS[0]]
    assert "this model puts no BOS first" in small_print(app)


def test_what_is_patched_into_what_is_one_sentence():
    assert what_is_patched(a_draft()) == (
        "What a part computes on the clean prompt (·Mary at 1) is patched into the run on the corrupted one "
        "(·John there); a positive effect moves the model from ·John towards ·Mary."
    )


def test_prompts_of_two_lengths_are_two_rows_and_what_has_no_partner_is_marked(visit: Visit):
    app = visit("result", corrupted=LONGER)
    assert "Clean has 15 tokens, corrupted 16" in small_print(app)
    assert [told[1] for marked, told in chips(app) if marked] == ["·John", "·then", "·Mary"]
    assert len(chips(app)) == 31


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"clean_tokens": ()}, "The clean prompt cannot be run as it stands."),
        ({"clean_tokens": (), "corrupted_tokens": ()}, "The clean and corrupted prompt cannot be run"),
        ({"differences": ()}, "and they are the same."),
        ({"differences": (1,)}, "They differ at position 1."),
        ({"differences": tuple(range(9))}, "positions 0, 1, 2, 3, 4, 5, 6, 7, …."),
    ],
)
def test_the_lengths_are_told_in_words(changed: dict[str, tuple[int, ...]], said: str):
    assert said in lengths(replace(a_draft(), **changed))


@pytest.mark.parametrize(
    ("stands", "said"),
    [
        ((1, 1, 0.472), "Answer ·Mary is one token, number 1 after the clean prompt (47.2 %)."),
        ((1, 1234, 0.0004), "Answer ·Mary is one token, number 1,234 after the clean prompt (below 1 %)."),
        ((3, None, None), "Answer ·Mary is 3 tokens and must be one."),
        ((1, None, None), "Answer ·Mary is one token."),
    ],
)
def test_how_the_answer_stands_is_told_in_words(stands: tuple[int, int | None, float | None], said: str):
    assert standing(replace(a_draft(), answer=stands), Key.ANSWER) == said


def test_a_missing_space_is_said_and_mended_with_one_click(visit: Visit):
    app = visit("direct_logit_attribution", answer="Mary")
    assert "without a space before it" in small_print(app)
    app.button(key="space_answer").click().run()
    assert fields(app)[Key.ANSWER] == " Mary"
    assert "without a space before it" not in small_print(app)


@pytest.mark.parametrize(("key", "token"), [(Key.ANSWER, " **Tom**"), (Key.FOIL, " Tim")])
def test_a_predicted_token_becomes_answer_or_foil(see: See, key: Key, token: str):
    app = see("path_patching")
    assert pills(app, key).value == fields(app)[key]
    assert pills(app, Key.ANSWER).options[1] in (r"·\*\*Tom\*\* 25.0 %", r"·\*\*Tom\*\* 25\.0 %")
    pills(app, key).set_value(token)
    before = fields(app)
    app.run()
    assert fields(app) == before | {key: token}


def test_the_token_that_is_the_answer_already_stays_when_it_is_clicked(see: See):
    app = see("path_patching")
    pills(app, Key.ANSWER).set_value(None)
    app.run()
    assert fields(app)[Key.ANSWER] == FIRST.answer == pills(app, Key.ANSWER).value


@pytest.mark.parametrize("name", ["swapped_names", "another_example", "random_words"])
def test_a_generator_fills_in_the_corrupted_prompt_and_the_foil_that_it_offers(visit: Visit, name: str):
    app = visit("result", corrupted=LONGER)
    typed = Experiment("demo", FIRST.clean, LONGER, FIRST.answer, FIRST.foil)
    [(corrupted, foil)] = [
        told[1:] for told in answer(DraftRequest(typed)).result.alternatives if told[0] == name
    ]
    before = fields(app)
    app.button(key=f"{Key.GENERATE}_{name}").click().run()
    assert not app.exception
    assert fields(app) == before | {Key.CORRUPTED: corrupted, Key.FOIL: foil}
    assert "They differ at position" in small_print(app)
    assert app.get("vega_lite_chart")


def test_a_generator_that_has_nothing_to_offer_cannot_be_pressed(see: See):
    app = see("path_patching")
    able = {
        button.key: not button.disabled for button in app.button if str(button.key).startswith(Key.GENERATE)
    }
    assert able == {
        "generate_swapped_names": False,
        "generate_another_example": False,
        "generate_random_words": True,
    }


def test_names_that_are_swapped_already_cannot_be_swapped_again(visit: Visit):
    app = visit("result")
    assert app.button(key="generate_swapped_names").disabled


@pytest.mark.parametrize("token", HOSTILE.values(), ids=HOSTILE)
def test_a_token_is_text_whatever_it_holds(token: str, monkeypatch: pytest.MonkeyPatch):
    drawn: list[str] = []
    monkeypatch.setattr("streamlit.html", drawn.append)
    token_chips(
        replace(
            a_draft(),
            clean_tokens=(token, "a"),
            corrupted_tokens=(token, "b"),
            differences=(1,),
            beginning="",
        )
    )
    [body] = drawn
    assert set(re.findall(r"<(/?\w+)", body)) == {"div", "/div", "span", "/span"}


def test_of_a_long_prompt_the_beginning_and_the_differences_are_drawn(monkeypatch: pytest.MonkeyPatch):
    drawn: list[str] = []
    monkeypatch.setattr("streamlit.html", drawn.append)
    clean = ("BOS", *["a"] * 899)
    corrupted = (*clean[:700], "b", *clean[701:])
    token_chips(
        replace(
            a_draft(), clean_tokens=clean, corrupted_tokens=corrupted, differences=(700,), beginning="BOS"
        )
    )
    [body] = drawn
    numbers = [int(number) for number in re.findall(r"<span[^>]*>(\d+)</span>", body)]
    assert numbers == [*range(60), *range(697, 704)]
    assert re.findall(r"… ([\d,]+) more", body) == ["637", "196"]


def test_a_model_that_cannot_be_opened_is_asked_for_once(visit: Visit, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def missing(name: str, *, download: bool) -> None:
        asked.extend([name] * download)
        raise ModelError(f"{name!r} is nowhere.")

    monkeypatch.setattr("analysis.models.files._from_hub", missing)
    app = visit("direct_logit_attribution", model="no/where")
    assert texts(app).count("'no/where' is nowhere.") == 1
    once = len(asked)
    asked.clear()
    with pytest.raises(ModelError):
        answers.answer(DraftRequest(Experiment("no/where", "a", "b", " c", " d")))
    assert once == len(asked)


def test_a_model_that_is_not_found_names_the_one_that_was_meant(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    app = visit("result", model="dmeo")
    assert "Did you mean 'demo' (10 MB)?" in texts(app)
    assert [button.label for button in app.button if "demo" in button.label] == ["Use 'demo'"]


def test_a_models_size_and_time_stand_below_its_name(visit: Visit, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    app = visit("result", model="gpt2-medium")
    assert (
        "24 layers of 16 heads. Not on this machine yet: 1.5 GB come from the Hugging Face Hub first. "
        "Loads in about 7 s on two cores."
    ) in [caption.value for caption in app.sidebar.caption]


def test_the_builder_is_on_a_page_whose_pair_cannot_be_run(visit: Visit):
    app = visit("sanity_checks", corrupted="")
    assert "The corrupted prompt cannot be run as it stands." in small_print(app)
    app.button(key="generate_swapped_names").click().run()
    assert fields(app)[Key.CORRUPTED] == FIRST.corrupted
    result: DraftResult = answer(DraftRequest(Experiment("demo", *fields(app).values()))).result
    assert result.differences
