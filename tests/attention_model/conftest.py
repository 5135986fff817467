"""The shipped model without MLPs, loaded from the folder alone."""

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from analysis.attention_model import DIRECTORY


@pytest.fixture(scope="session")
def model() -> PreTrainedModel:
    """The weights as they ship, in evaluation mode, with patterns to look at."""
    loaded = AutoModelForCausalLM.from_pretrained(
        DIRECTORY, use_safetensors=True, local_files_only=True, attn_implementation="eager"
    )
    return loaded.eval()


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer as it ships."""
    return AutoTokenizer.from_pretrained(DIRECTORY, local_files_only=True)
