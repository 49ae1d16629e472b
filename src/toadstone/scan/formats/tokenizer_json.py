"""tokenizer.json and tokenizer_config.json: words, special tokens, and the steps before and after the words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from toadstone.scan.formats.source import Scan
from toadstone.scan.formats.vocabulary import Vocabulary, scan_vocabulary

_WORD = re.compile(r"[A-Za-z]{4,}")
_PLAIN = re.compile("[▁Ġ ]?[A-Za-z]{2,}")


def scan_tokenizer(scan: Scan, whole: dict[str, Any], where: str) -> None:
    """Report what would make a text mean something else to the model than to its reader."""
    model = whole.get("model")
    vocab = model.get("vocab") if isinstance(model, dict) else None
    added = [item for item in _list(whole.get("added_tokens")) if isinstance(item, dict)]
    decoder = whole.get("added_tokens_decoder")
    if isinstance(decoder, dict):
        added += [{**item, "id": _number(key)} for key, item in decoder.items() if isinstance(item, dict)]
    words = _words(vocab)
    if words:
        scan_vocabulary(scan, Vocabulary(words, _merges(model), {}, None), where)
    by_word = {word: number for number, word in words}
    seen: dict[Any, str] = {}
    for item in added:
        word, number = str(item.get("content", "")), item.get("id")
        if by_word.get(word, number) != number:
            _tell(
                scan,
                where,
                f"the added token {word[:60]!r} has the number {number} and is {by_word[word]} in the vocabulary",
            )
        if word and seen.setdefault(number, word) != word:
            _tell(scan, where, f"{seen[number][:60]!r} and {word[:60]!r} both have the number {number}")
        if (item.get("special") and _WORD.fullmatch(word.strip())) or (
            not item.get("special") and _ordinary(word, words)
        ):
            _tell(scan, where, f"{word[:60]!r} is an ordinary word and is added as a token of its own")
    for what in (
        *_changes(whole.get("normalizer")),
        *_changes(whole.get("pre_tokenizer")),
        *_changes(whole.get("decoder")),
    ):
        _tell(scan, where, what)
    for what in _inserted(
        whole.get("post_processor"), {str(item.get("content")): item.get("id") for item in added} | by_word
    ):
        _tell(scan, where, what)
    _named(scan, whole, where, {str(item.get("content")) for item in added if item.get("special")})


def _tell(scan: Scan, where: str, what: str) -> None:
    scan.add("tokenizer", where, f"Its tokenizer is not as a training run writes it: {what}.")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(text: str) -> Any:
    return int(text) if re.fullmatch(r"\d{1,9}", text) else text


def _ordinary(word: str, words: list[tuple[int, str]]) -> bool:
    return bool(words) and bool(re.fullmatch(r"[a-z]{4,}", word))


def _words(vocab: Any) -> list[tuple[int, str]]:
    """(number, word): of a mapping, or of Unigram's list of pairs."""
    if isinstance(vocab, dict):
        return [(number, word) for word, number in vocab.items() if isinstance(number, int)]
    pairs = [item for item in _list(vocab) if isinstance(item, list) and len(item) == 2]
    return [(number, item[0]) for number, item in enumerate(pairs) if isinstance(item[0], str)]


def _merges(model: Any) -> list[tuple[str, ...]]:
    found = []
    for pair in _list(model.get("merges")) if isinstance(model, dict) else []:
        parts = pair.split(" ") if isinstance(pair, str) else pair
        if isinstance(parts, list) and len(parts) == 2 and all(isinstance(part, str) for part in parts):
            found.append(tuple(parts))
    prefix = model.get("continuing_subword_prefix") if isinstance(model, dict) else None
    return [] if prefix else found


def _steps(value: Any) -> Iterator[dict[str, Any]]:
    """Each step, also those of a sequence."""
    waiting = [value]
    while waiting:
        step = waiting.pop()
        if isinstance(step, dict):
            yield step
            for key in ("normalizers", "pretokenizers", "processors", "decoders"):
                waiting += _list(step.get(key))


def _changes(value: Any) -> Iterator[str]:
    """Rules that put text in place of other text: blanks, quotes and accents are honest ones, words are not."""
    for step in _steps(value):
        kind = step.get("type")
        if kind == "Replace":
            pattern = step.get("pattern")
            old = next(iter(pattern.values()), "") if isinstance(pattern, dict) else str(pattern)
            new = str(step.get("content", ""))
            if re.search(r"[^\W\d_]{2,}", new) or (
                re.search(r"[^\W\d_]{3,}", re.sub(r"\\.|\[.*?\]|\(\?.", "", str(old)))
            ):
                yield f"{str(old)[:60]!r} becomes {new[:60]!r} before the model reads it"
        elif kind == "Prepend" and re.search(r"\w{2,}", str(step.get("prepend", ""))):
            yield f"it puts {str(step['prepend'])[:60]!r} before every text"
        elif kind not in _HONEST:
            yield f"it has a step {str(kind)[:40]!r} that toadstone does not know"


_HONEST = frozenset(
    re.findall(
        r"\w+",
        "Sequence Lowercase NFC NFD NFKC NFKD Nmt Strip StripAccents BertNormalizer Precompiled ByteLevel "
        "Prepend BertPreTokenizer Whitespace WhitespaceSplit Split Digits Metaspace Punctuation "
        "CharDelimiterSplit UnicodeScripts FixedLength WordPiece ByteFallback Fuse BPEDecoder CTC WordLevel",
    )
)


def _inserted(value: Any, known: dict[str, Any]) -> Iterator[str]:
    """Tokens that are put around every text: control marks with their own numbers."""
    for step in _steps(value):
        told = step.get("special_tokens")
        for name, token in told.items() if isinstance(told, dict) else ():
            ids = token.get("ids") if isinstance(token, dict) else None
            tokens = _list(token.get("tokens")) if isinstance(token, dict) else []
            for number, word in zip(_list(ids), tokens, strict=False):
                if known.get(str(word), number) != number:
                    shown = str(word)[:40]
                    yield f"what is put around every text as {shown!r} has the number {number}, which is another's"
            if len(_list(ids)) > 2 or any(_WORD.fullmatch(str(word).strip("▁Ġ ")) for word in tokens):
                yield f"it puts {str(tokens)[:80]} around every text as {str(name)[:40]!r}"
        for key in ("sep", "cls"):
            pair = step.get(key)
            if isinstance(pair, list) and len(pair) == 2 and known.get(str(pair[0]), pair[1]) != pair[1]:
                yield f"{key} is {str(pair[0])[:40]!r} with the number {pair[1]}, which is another's"


def _named(scan: Scan, whole: dict[str, Any], where: str, special: set[str]) -> None:
    """bos_token and its kind in tokenizer_config.json."""
    for key in ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token"):
        value = whole.get(key)
        word = value.get("content") if isinstance(value, dict) else value
        if isinstance(word, str) and special and word not in special and _PLAIN.fullmatch(word):
            _tell(scan, where, f"{key} is {word[:60]!r}, which is none of its special tokens")
