from __future__ import annotations

import subprocess
import sys

import pytest

from promptstudio.prompts import tokens
from promptstudio.prompts.tokens import estimate_message_tokens, estimate_tokens, vocabulary_path
from promptstudio.types import Media, Message, Part

# Counted with tiktoken's own cl100k_base.
COUNTED = {
    "": 0,
    "hello world": 2,
    "The quick brown fox jumps over the lazy dog.": 10,
    "a": 1,
    "<|endoftext|>": 7,
}
TEXTS = {
    "English": "The quick brown fox jumps over the lazy dog, and everyone who watched it agreed on the weather.",
    "Arabic": "هذا نص عربي قصير يصف كيف يمكن للنموذج أن يجيب عن الأسئلة بلغة واضحة ومفهومة للجميع.",
    "Hebrew": "זהו טקסט קצר בעברית שמתאר כיצד המודל יכול לענות על שאלות בשפה ברורה ומובנת לכולם.",
    "Russian": "Это короткий текст на русском языке, который описывает, как модель может отвечать на вопросы.",
    "Chinese": "这是一段简短的中文文字,描述模型如何用清楚的语言回答问题。",
    "Korean": "이것은 모델이 질문에 답하는 방법을 설명하는 짧은 한국어 글입니다.",
    "Hindi": "यह एक छोटा हिंदी पाठ है जो बताता है कि मॉडल प्रश्नों का उत्तर कैसे दे सकता है।",
    "JSON": '{"category": "billing", "urgency": 3, "items": [1, 22, 333]}',
}


@pytest.mark.parametrize("text", COUNTED)
def test_tokens_are_counted_as_cl100k_base_does(text):
    assert estimate_tokens(text) == COUNTED[text]


@pytest.mark.parametrize("name", TEXTS)
def test_the_table_of_scripts_is_near_the_vocabulary(name, monkeypatch):
    counted = estimate_tokens(TEXTS[name])
    monkeypatch.setattr(tokens, "_encoding", lambda: None)

    assert counted * 0.6 <= estimate_tokens(TEXTS[name]) <= counted * 1.6


def test_without_the_vocabulary_an_estimate_is_still_given(monkeypatch, tmp_path):
    for broken in (None, tmp_path / "gone", tmp_path):
        monkeypatch.setattr(tokens, "vocabulary_path", lambda broken=broken: broken)
        assert tokens._ranks() is None
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"aGVsbG8= 1\n")
    monkeypatch.setattr(tokens, "vocabulary_path", lambda: damaged)
    assert tokens._ranks() is None


def test_a_lone_surrogate_does_not_stop_the_count():
    assert estimate_tokens("a\ud800b") >= 1


@pytest.mark.parametrize("unit", ["a", " ", "\n", "-", "1", "א", "😀", "ab ", "\u202e", "aA1-", "\x00"])
def test_a_megabyte_of_repetition_is_counted_in_bounded_time(unit):
    # A quadratic count of this size would take minutes; the CPU limit is the test.
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (10, 10))\n"
        "from promptstudio.prompts.tokens import estimate_tokens\n"
        f"text = {unit!r} * (1_000_000 // {len(unit)})\n"
        "print(estimate_tokens(text), estimate_tokens(text * 10))"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    one, ten = map(int, process.stdout.split())
    assert 1_000 <= one <= 3_000_000
    assert ten == pytest.approx(one * 10, rel=0.02)


def test_messages_cost_their_texts_their_media_and_a_little_each():
    plain = estimate_message_tokens([Message.of("user", "hello world")])
    photo = Part("image", media=Media("image/png", data=b"x"))
    notes = Part("file", media=Media("text/plain", data=b"hello world"))
    report = Part("file", media=Media("application/pdf", data=b"x" * 20_000))
    sound = Part("audio", media=Media("audio/wav", data=b"x" * 16_000))

    assert estimate_message_tokens([]) == 0
    assert plain == 2 + tokens.MESSAGE_TOKENS + tokens.REPLY_TOKENS
    for part, least in [(photo, 100), (notes, 2), (report, 1000), (sound, 10)]:
        assert estimate_message_tokens([Message("user", (Part("text", "hello world"), part))]) >= plain + least


def test_counting_imports_neither_litellm_nor_a_network_library():
    code = (
        "import sys\nfrom promptstudio.prompts.tokens import estimate_tokens\n"
        "assert estimate_tokens('hello world') == 2\n"
        "print([name for name in ('litellm', 'requests', 'httpx', 'openai') if name in sys.modules])"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert process.stdout.strip() == "[]"
    assert vocabulary_path() is not None
