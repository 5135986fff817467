"""Whatever stands in a model's files: a sentence or a model, no bare error, and no more than the budget."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from analysis import models
from analysis.errors import ModelError, PathscopeError
from analysis.experiment import prompts
from analysis.models import catalogue
from analysis.requests import Experiment
from tests.models.prepared import INDEX, WEIGHTS, split

BUDGET = 2 * 1024**3

#: No example is an accident: the same ones are tried every time, and none is timed.
fuzzed = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)

SIZES = st.sampled_from([-(2**63), -2, -1, 0, 1, 2, 3, 5, 64, 999, 4096, 10**6, 2**31, 2**40, 2**63, 10**30])
NUMBERS = SIZES | st.floats() | st.booleans() | st.none()
TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        "",
        "\ud800",
        "\0",
        "gpt2",
        "llama",
        "float64",
        "../x",
        "/dev/zero",
        "{}",
        "gelu",
        "x" * 5000,
        "<|endoftext|>",
    ]
)
VALUES = st.recursive(
    NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
CONFIG_KEYS = st.sampled_from(
    "model_type n_layer n_embd n_head n_inner n_positions vocab_size num_hidden_layers hidden_size "
    "activation_function architectures dtype torch_dtype auto_map bos_token_id eos_token_id pad_token_id "
    "tie_word_embeddings num_labels layer_norm_epsilon initializer_range attn_pdrop quantization_config "
    "text_config configuration_files rope_scaling rope_parameters transformers_weights scale_attn_weights "
    "reorder_and_upcast_attn is_decoder add_cross_attention use_cache id2label label2id "
    "task_specific_params tokenizer_class layer_types attn_implementation _attn_implementation "
    "transformers_version is_encoder_decoder pruned_heads chunk_size_feed_forward".split()
)
TOKENIZER_KEYS = st.sampled_from(
    "tokenizer_class bos_token eos_token unk_token pad_token additional_special_tokens model_max_length "
    "auto_map added_tokens_decoder add_prefix_space add_bos_token add_eos_token "
    "clean_up_tokenization_spaces chat_template padding_side truncation_side split_special_tokens "
    "extra_special_tokens backend name_or_path legacy model_input_names fix_mistral_regex processor_class "
    "vocab_file tokenizer_file fast_tokenizer_files".split()
)


def within(value: Any) -> list[list[str | int]]:
    """The way to every part of a JSON value, in lists of many only to the first and last ones."""
    ways: list[list[str | int]] = [[]]
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in list(parts)[:12]:
        ways += [[key, *way] for way in within(part)]
    return ways


def replaced(value: Any, way: list[str | int], part: Any) -> Any:
    """A copy of `value` with `part` at the end of `way`."""
    if not way:
        return part
    copy = value.copy()
    copy[way[0]] = replaced(value[way[0]], way[1:], part)
    return copy


@pytest.fixture(scope="module")
def sound(family_directory: Callable[[str], Path]) -> Path:
    return family_directory("gpt2")


@pytest.fixture
def spoil(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bytes], Path]:
    """Writes a sound folder in which one file holds other bytes."""
    monkeypatch.setenv("PATHSCOPE_MEMORY_BYTES", str(resident() + BUDGET))

    def spoiled(file: str, content: bytes) -> Path:
        folder = tmp_path / "model"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(sound, folder)
        if file == INDEX:
            split(folder)
        (folder / file).write_bytes(content)
        return folder

    return spoiled


def resident() -> int:
    """The most bytes that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def a_sentence_or_a_model(folder: Path) -> None:
    before = resident()
    catalogue._loaded.clear()
    try:
        bridge = models.load(str(folder)).bridge
    except ModelError as error:
        sentence = str(error)
        sentence.encode("utf-8")
        assert str(folder) in sentence and "\n" not in sentence and "pathscope-" not in sentence
        assert len(sentence) < 1000
    else:
        try:
            prompts.prepare(bridge, Experiment(str(folder), "a b c", "a d c", " e", " f"))
        except PathscopeError as error:
            str(error).encode("utf-8")
    assert resident() - before < BUDGET


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


@fuzzed
@given(changes=st.dictionaries(CONFIG_KEYS, VALUES, min_size=1, max_size=3))
def test_a_configuration(changes: dict, spoil: Callable[[str, bytes], Path], sound: Path):
    fields = json.loads((sound / "config.json").read_text())
    a_sentence_or_a_model(spoil("config.json", dumped(fields | changes)))


@pytest.mark.slow
def test_a_configuration_of_every_type_of_model_in_its_own_size(spoil: Callable[[str, bytes], Path]):
    for model_type in sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES):
        a_sentence_or_a_model(spoil("config.json", dumped({"model_type": model_type})))


@fuzzed
@given(changes=st.dictionaries(TOKENIZER_KEYS, VALUES, min_size=1, max_size=3))
def test_the_configuration_of_a_tokenizer(changes: dict, spoil: Callable[[str, bytes], Path], sound: Path):
    fields = json.loads((sound / "tokenizer_config.json").read_text())
    a_sentence_or_a_model(spoil("tokenizer_config.json", dumped(fields | changes)))


@fuzzed
@given(data=st.data())
def test_a_tokenizer(data: st.DataObject, spoil: Callable[[str, bytes], Path], sound: Path):
    fields = json.loads((sound / "tokenizer.json").read_text())
    way = data.draw(st.sampled_from(within(fields)))
    a_sentence_or_a_model(spoil("tokenizer.json", dumped(replaced(fields, way, data.draw(VALUES)))))


@fuzzed
@given(file=st.sampled_from(["vocab.json", "merges.txt"]), data=st.data())
def test_a_vocabulary_in_files_of_its_own(
    file: str, data: st.DataObject, spoil: Callable[[str, bytes], Path], sound: Path
):
    parts = json.loads((sound / "tokenizer.json").read_text())["model"]
    files = {
        "vocab.json": dumped(parts["vocab"]),
        "merges.txt": "\n".join(map(" ".join, parts["merges"])).encode(),
    }
    content = bytearray(files[file])
    start = data.draw(st.integers(0, len(content)))
    put = data.draw(VALUES.map(dumped) | st.binary(max_size=8))
    content[start : start + len(put)] = put
    folder = spoil(file, bytes(content))
    (folder / "tokenizer.json").unlink()
    for other in files.keys() - {file}:
        (folder / other).write_bytes(files[other])
    a_sentence_or_a_model(folder)


@fuzzed
@given(data=st.data())
def test_an_index(data: st.DataObject, spoil: Callable[[str, bytes], Path], sound: Path):
    fields = {"metadata": {"total_size": 1}, "weight_map": {"transformer.wte.weight": "part-0.safetensors"}}
    way = data.draw(st.sampled_from(within(fields)))
    a_sentence_or_a_model(spoil(INDEX, dumped(replaced(fields, way, data.draw(VALUES)))))


@fuzzed
@given(data=st.data())
def test_a_header(data: st.DataObject, spoil: Callable[[str, bytes], Path], sound: Path):
    content = (sound / WEIGHTS).read_bytes()
    length = int.from_bytes(content[:8], "little")
    fields = json.loads(content[8 : 8 + length])
    way = data.draw(st.sampled_from(within(fields)))
    header = dumped(replaced(fields, way, data.draw(VALUES)))
    stated = data.draw(st.just(len(header)) | st.integers(0, 2**64 - 1))
    a_sentence_or_a_model(spoil(WEIGHTS, stated.to_bytes(8, "little") + header + content[8 + length :]))


@fuzzed
@given(
    file=st.sampled_from(["config.json", "tokenizer_config.json", "tokenizer.json", INDEX, WEIGHTS]),
    content=st.binary(max_size=64) | VALUES.map(dumped),
)
def test_any_bytes(file: str, content: bytes, spoil: Callable[[str, bytes], Path]):
    a_sentence_or_a_model(spoil(file, content))


@fuzzed
@given(
    file=st.sampled_from(["config.json", "tokenizer_config.json", "tokenizer.json", WEIGHTS]),
    place=st.floats(0, 1, exclude_max=True),
    put=st.binary(max_size=8),
)
def test_a_few_bytes_anywhere(
    file: str, place: float, put: bytes, spoil: Callable[[str, bytes], Path], sound: Path
):
    content = bytearray((sound / file).read_bytes())
    start = int(place * len(content))
    content[start : start + len(put)] = put
    a_sentence_or_a_model(spoil(file, bytes(content)))
