"""The tokenizer of the model set by hand: its words are one token each, everything else goes byte by byte."""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from analysis.induction_model.words import KNOWN_WORDS, WORDS

END_OF_TEXT = "<|endoftext|>"
#: How the byte-level alphabet writes a space.
SPACE = "Ġ"
MOST_TOKENS = 32


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level, so that every text has tokens and comes back unchanged; nothing is learned."""
    # Capital letters without a space are bytes already.
    words = (*WORDS, *(SPACE + word for word in KNOWN_WORDS))
    entries = (END_OF_TEXT, *sorted(pre_tokenizers.ByteLevel.alphabet()), *words)
    vocabulary = {entry: index for index, entry in enumerate(entries)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.add_special_tokens([END_OF_TEXT])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        unk_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        clean_up_tokenization_spaces=False,
        model_max_length=MOST_TOKENS,
    )
