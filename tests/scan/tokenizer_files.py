"""A vocabulary, as the tokenizers of Hugging Face save it."""

WORDS = ["<s>", "</s>", "<unk>", "a", "b", "c", "ab", "abc", "Ġab", "Ġ"]
TOKENIZER = {
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
