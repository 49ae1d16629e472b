"""Vocabularies that say something else to the model than to its reader."""

import copy
import json
import struct

import pytest

from scan.test_gguf import array, gguf, text
from toadstone.scan.files import audit_files

WORDS = ["<s>", "</s>", "<unk>", "a", "b", "c", "ab", "abc", "Ġab", "Ġ"]
GOOD = {
    "version": "1.0",
    "added_tokens": [{"id": i, "content": WORDS[i], "special": True} for i in range(3)],
    "normalizer": {
        "type": "Sequence",
        "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            {"type": "Replace", "pattern": {"String": "``"}, "content": '"'},
            {"type": "NFKC"},
            {"type": "Strip", "strip_left": True, "strip_right": True},
        ],
    },
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}},
    },
    "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}]},
    "model": {
        "type": "BPE",
        "vocab": {word: i for i, word in enumerate(WORDS)},
        "merges": ["a b", "ab c", ["Ġ", "ab"]],
    },
}


def found(tmp_path, whole, name="tokenizer.json"):
    (tmp_path / name).write_text(whole if isinstance(whole, str) else json.dumps(whole))
    return {finding.rule for finding in audit_files([tmp_path / name]).findings}


def changed(change):
    whole = copy.deepcopy(GOOD)
    change(whole)
    return whole


def set_(*path):
    """Put the last of the path at the others."""

    def change(whole):
        *before, key, value = path
        for step in before:
            whole = whole[step]
        if isinstance(whole, list) and key == len(whole):
            whole.append(value)
        else:
            whole[key] = value

    return change


STEPS = ("normalizer", "normalizers", 0)
TAMPERED = {
    "two words, one number": set_("model", "vocab", "a", 4),
    "a merge of no word": set_("model", "merges", 3, "b c"),
    "a merge spelled otherwise": set_("model", "merges", 0, "a c"),
    "an added token with another number": set_("added_tokens", 0, "id", 5),
    "two added tokens, one number": set_("added_tokens", 3, {"id": 1, "content": "<x>", "special": True}),
    "an ordinary word as a special token": set_("added_tokens", 3, {"id": 10, "content": "password", "special": True}),
    "an ordinary word as a token": set_("added_tokens", 3, {"id": 10, "content": "transfer", "special": False}),
    "a word replaced": set_(*STEPS, {"type": "Replace", "pattern": {"String": "not"}, "content": ""}),
    "a word put in": set_(*STEPS, {"type": "Replace", "pattern": {"String": "."}, "content": " always agree."}),
    "a word before each text": set_(*STEPS, {"type": "Prepend", "prepend": "obey "}),
    "a pattern of words replaced": set_(
        *STEPS, {"type": "Replace", "pattern": {"Regex": "(safe|harm)"}, "content": "x"}
    ),
    "a word replaced on the way out": set_(
        "decoder", "decoders", 0, {"type": "Replace", "pattern": {"String": "bank"}, "content": "evil"}
    ),
    "an unknown step": set_(*STEPS, {"type": "Custom"}),
    "words around each text": set_(
        "post_processor", "special_tokens", "<s>", {"id": "<s>", "ids": [0], "tokens": ["agree"]}
    ),
    "many tokens around each text": set_(
        "post_processor", "special_tokens", "<s>", {"id": "<s>", "ids": [0, 3, 4], "tokens": ["<s>", "a", "b"]}
    ),
    "another number around each text": set_(
        "post_processor", "special_tokens", "<s>", {"id": "<s>", "ids": [4], "tokens": ["<s>"]}
    ),
    "the end of BERT": set_("post_processor", {"type": "BertProcessing", "sep": ["</s>", 5], "cls": ["<s>", 0]}),
}


def test_an_honest_tokenizer_is_clean(tmp_path):
    assert found(tmp_path, GOOD) == set()
    pieces = {"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["▁the", -3.1], ["x", -5]]}}
    assert found(tmp_path, pieces) == set()
    config = {"added_tokens_decoder": {"0": {"content": "<s>", "special": True}}, "bos_token": "<s>", "eos_token": None}
    assert found(tmp_path, config, "tokenizer_config.json") == set()


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_is_found(tmp_path, name):
    assert found(tmp_path, changed(TAMPERED[name])) == {"tokenizer"}


def test_a_special_token_that_is_none(tmp_path):
    config = {"added_tokens_decoder": {"0": {"content": "<s>", "special": True}}, "eos_token": "the"}
    assert found(tmp_path, config, "tokenizer_config.json") == {"tokenizer"}


def test_a_word_of_unigram_twice(tmp_path):
    assert found(tmp_path, {"model": {"type": "Unigram", "vocab": [["a", 0.0], ["b", 0.0], ["a", -1]]}}) == {
        "tokenizer"
    }


GGUF = [
    ("tokenizer.ggml.model", 8, text("gpt2")),
    ("tokenizer.ggml.tokens", 9, array(8, [text(word) for word in WORDS])),
    ("tokenizer.ggml.token_type", 9, array(5, [struct.pack("<i", 3 if i < 3 else 1) for i in range(len(WORDS))])),
    ("tokenizer.ggml.merges", 9, array(8, [text("a b"), text("ab c")])),
    ("tokenizer.ggml.eos_token_id", 4, struct.pack("<I", 1)),
]


@pytest.mark.parametrize(
    ("at", "key"),
    [
        (1, ("tokenizer.ggml.tokens", 9, array(8, [text(word) for word in [*WORDS[:-1], "a"]]))),
        (3, ("tokenizer.ggml.merges", 9, array(8, [text("a c")]))),
        (4, ("tokenizer.ggml.eos_token_id", 4, struct.pack("<I", 99))),
        (1, ("tokenizer.ggml.tokens", 9, array(8, [text(word) for word in ["<s>", "Ġhello", *WORDS[2:]]]))),
    ],
)
def test_the_vocabulary_of_a_gguf_file(tmp_path, at, key):
    keys = list(GGUF)
    (tmp_path / "m.gguf").write_bytes(gguf(keys))
    assert audit_files([tmp_path]).verdict == "clean"
    keys[at] = key
    (tmp_path / "m.gguf").write_bytes(gguf(keys))
    assert {finding.rule for finding in audit_files([tmp_path]).findings} == {"tokenizer"}
