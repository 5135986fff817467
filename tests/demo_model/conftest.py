"""The shipped model and tokenizer, loaded once and from the folder alone."""

import pytest
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from analysis.demo_model import DIRECTORY


@pytest.fixture(scope="session")
def model() -> PreTrainedModel:
    """The weights as they ship, in evaluation mode."""
    loaded = AutoModelForCausalLM.from_pretrained(DIRECTORY, use_safetensors=True, local_files_only=True)
    return loaded.eval()


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer as it ships."""
    return AutoTokenizer.from_pretrained(DIRECTORY, local_files_only=True)
