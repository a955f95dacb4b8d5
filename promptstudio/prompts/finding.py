"""Words → the prompts of the library in which all of them occur, the best first, each with where and how it was found.

Looked through are names, tags, descriptions, and what is sent to the model, partials included. Every file is read each
time; YAML is parsed only for those that can have the words at all, so a thousand prompts cost little more than reading
them. Needs neither Pydantic nor Jinja.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from promptstudio.config.settings import Settings
from promptstudio.errors import UserError
from promptstudio.prompts.library import default_name, prompt_paths
from promptstudio.prompts.textfile import read_text_file
from promptstudio.prompts.yamlfile import read_yaml
from promptstudio.words import UNSPACED, Excerpt, excerpt_of, fold_wide, forms_of

# Field → how much a word found in it counts.
WEIGHTS = {"name": 8, "tags": 4, "description": 2, "text": 1}
FIELDS = tuple(WEIGHTS)
_TERM = re.compile(r'"([^"]+)"|([^\s"]+)')
_WORD = re.compile(r"[^\W_]+")
_INCLUDED = re.compile(r"""\{%[-+]?\s*(?:include|import|from|extends)\s+["']([^"'\n]+)["']""")
_MAX_PARTIALS = 100  # for one prompt; more do not load anyway


@dataclass(frozen=True, slots=True)
class Term:
    """One thing to find. `pattern` looks for it in folded text, `whole` for it as a whole word.

    `traces` are texts of which one must stand in any file that has it.
    """

    pattern: re.Pattern[str]
    whole: re.Pattern[str]
    traces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """A field in which words were found; the excerpt is of the field's text."""

    field: str
    excerpt: Excerpt


@dataclass(frozen=True, slots=True)
class Found:
    """A prompt in which all words occur; `matches` in the order of the fields."""

    name: str
    path: Path
    shown_path: str
    description: str
    version: str | None
    tags: tuple[str, ...]
    score: float
    matches: tuple[Match, ...] = ()


@dataclass(frozen=True, slots=True)
class Findings:
    """What a search found: the best, how many in all, and the files that could not be looked through."""

    found: tuple[Found, ...] = ()
    total: int = 0
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Hit:
    """A prompt with all the words, its fields as texts, before anything is cut out of them for showing."""

    found: Found
    matched: frozenset[str]
    contents: Mapping[str, Sequence[str]]


@dataclass(slots=True)
class _Partials:
    """Text files below the prompts folder, each read once."""

    root: Path
    texts: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        if name not in self.texts:
            self.texts[name] = self._read(name)
        return self.texts[name]

    def _read(self, name: str) -> str:
        parts = PurePosixPath(name).parts
        if not parts or "\0" in name or name.startswith("/") or any(part.startswith((".", "~")) for part in parts):
            return ""
        path = self.root / name
        try:
            return read_text_file(path) if path.resolve().is_relative_to(self.root.resolve()) else ""
        except (UserError, OSError, RuntimeError):
            return ""  # lint says what is wrong with it

    def below(self, text: str) -> list[str]:
        """Return what a text includes, directly or through others."""
        names: dict[str, None] = {}
        waiting = _INCLUDED.findall(text)
        while waiting and len(names) < _MAX_PARTIALS:
            name = waiting.pop(0)
            if name not in names:
                names[name] = None
                waiting += _INCLUDED.findall(self.text(name))
        return [self.text(name) for name in names]


def terms_of(words: str) -> list[Term]:
    """Take apart what was typed: words, and phrases in double quotes."""
    terms = []
    for found in _TERM.finditer(words.replace("\0", " ")):
        phrase = found.group(1)
        text = fold_wide(" ".join((phrase or found.group(2)).split()))
        if text:
            terms.append(_term(text, is_phrase=phrase is not None))
    return terms


def _term(text: str, *, is_phrase: bool) -> Term:
    """A word is found at the beginning of a word; a phrase, and what has symbols in it, wherever it stands."""
    if is_phrase or not _WORD.fullmatch(text) or UNSPACED.search(text):
        anywhere = re.compile(r"\s+".join(re.escape(word) for word in text.split(" ")))
        return Term(anywhere, re.compile(rf"(?<!\w)(?:{anywhere.pattern})(?!\w)"), tuple(text.split()[:1]))
    forms = tuple(sorted(forms_of(text), key=len, reverse=True))
    wanted = "|".join(map(re.escape, forms))
    beginning = rf"(?<![^\W_])(?:{wanted})"
    return Term(re.compile(beginning), re.compile(rf"{beginning}(?![^\W_])"), forms)


def find_prompts(
    settings: Settings, words: str, *, fields: Sequence[str] = FIELDS, tags: Sequence[str] = (), limit: int = 1000
) -> Findings:
    """Return the `limit` best prompts that have each of the words in one of `fields`, and all the tags."""
    terms = terms_of(words)
    root = settings.prompts_dir
    if root is None or not terms:
        return Findings()
    partials = _Partials(root)
    hits: list[_Hit] = []
    unreadable: list[str] = []
    for path in prompt_paths(settings):
        shown_path = _shown(path, settings)
        try:
            text = read_text_file(path, shown=shown_path)
            if _may_have(terms, text, default_name(path, root), partials):
                hit = _look(path, shown_path, text, terms, fields, tags, root, partials)
                hits += [hit] if hit is not None else []
        except UserError:
            unreadable.append(shown_path)
    best = sorted(hits, key=lambda hit: (-hit.found.score, hit.found.name))[:limit]
    return Findings(tuple(_with_matches(hit, terms) for hit in best), len(hits), tuple(unreadable))


def _with_matches(hit: _Hit, terms: Sequence[Term]) -> Found:
    wanted = re.compile("|".join(term.pattern.pattern for term in terms))
    parts = [(field, excerpt_of(hit.contents[field], wanted, fold_wide)) for field in FIELDS if field in hit.matched]
    return replace(hit.found, matches=tuple(Match(field, part) for field, part in parts if part is not None))


def _shown(path: Path, settings: Settings) -> str:
    return path.relative_to(settings.root).as_posix() if settings.root else path.as_posix()


def _may_have(terms: Sequence[Term], text: str, name: str, partials: _Partials) -> bool:
    """Whether the words can be in a file at all; escapes in it (`\\u0627`) hide letters from a look at the raw text."""
    if "\\" in text:
        return True
    whole = fold_wide("\n".join([name, text, *partials.below(text)]))
    return all(any(trace in whole for trace in term.traces) for term in terms)


def _look(
    path: Path, shown_path: str, text: str, terms: Sequence[Term], fields: Sequence[str], tags: Sequence[str],
    root: Path, partials: _Partials,
) -> _Hit | None:  # fmt: skip
    value = read_yaml(text, file=shown_path).value
    if not isinstance(value, dict):
        return None
    own_name = value.get("name")
    name = (
        unicodedata.normalize("NFC", own_name) if isinstance(own_name, str) and own_name else default_name(path, root)
    )
    listed = value.get("tags")
    own_tags = tuple(tag for tag in listed if isinstance(tag, str)) if isinstance(listed, list) else ()
    if not set(tags) <= set(own_tags):
        return None
    said, version = value.get("description"), value.get("version")
    description = said if isinstance(said, str) else ""
    texts = list(_texts(value))
    contents = {
        "name": [name],
        "tags": [", ".join(own_tags)],
        "description": [description],
        "text": [*texts, *partials.below("\n".join(texts))],
    }
    chosen = {field: contents[field] for field in FIELDS if field in fields}
    score, matched = _score(terms, chosen)
    if not matched:
        return None
    kept = version if isinstance(version, str) else None
    return _Hit(Found(name, path, shown_path, description, kept, own_tags, score), frozenset(matched), contents)


def _score(terms: Sequence[Term], contents: Mapping[str, Sequence[str]]) -> tuple[float, set[str]]:
    """Return how good a match is and the fields that made it; no fields where a word is missing."""
    folded = {field: fold_wide("\n".join(texts)) for field, texts in contents.items()}
    score, matched = 0.0, set()
    for term in terms:
        hits = [field for field, text in folded.items() if term.pattern.search(text)]
        if not hits:
            return 0.0, set()
        matched.update(hits)
        score += max(WEIGHTS[field] * (1.5 if term.whole.search(folded[field]) else 1.0) for field in hits)
    return score, matched


def _texts(value: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a prompt says: its messages, those of its variants, its few-shot turns."""
    layers = [value]
    variants = value.get("variants")
    layers += [layer for layer in variants.values() if isinstance(layer, dict)] if isinstance(variants, dict) else []
    for layer in layers:
        yield from _strings([layer.get("system"), layer.get("prompt")])
        messages = layer.get("messages")
        for message in messages if isinstance(messages, list) else ():
            content = message.get("content") if isinstance(message, dict) else None
            parts = content if isinstance(content, list) else [content]
            yield from _strings([part.get("text") if isinstance(part, dict) else part for part in parts])
        yield from _strings(layer.get("examples"))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)
