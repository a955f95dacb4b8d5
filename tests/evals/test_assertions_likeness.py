"""Text metrics: reference values, edge cases, every script; and the assertions made of them."""

from __future__ import annotations

import math
import random
from array import array
from typing import Any

import pytest

from promptstudio.evals.assertions import Setting
from promptstudio.evals.assertions.embedding import OfflineEmbedder, cosine
from promptstudio.evals.assertions.overlap import (
    bleu,
    common_length,
    gleu,
    levenshtein_distance,
    levenshtein_similarity,
    meteor,
    rouge_l,
    rouge_n,
)
from promptstudio.evals.assertions.stem import stem
from promptstudio.evals.schema import Answer, Case
from promptstudio.prompts.word_tokens import tokens, words
from promptstudio.providers.embed import Embeddings
from promptstudio.providers.ngrams import ngram_vector
from tests.evals.assertion_samples import inverted, scored

SAT, IS = "the cat sat on the mat", "the cat is on the mat"


@pytest.mark.parametrize(
    ("value", "reference"),
    [
        (bleu(SAT, [IS]), 0.37992),  # sacrebleu
        (rouge_l(SAT, IS), 0.83333),  # rouge-score
        (rouge_n(SAT, IS), 0.83333),
        (rouge_n(SAT, IS, n=2), 0.6),
        (levenshtein_similarity(SAT, IS), 0.86364),  # rapidfuzz
        (gleu(SAT, [IS]), 0.5),  # nltk
        (meteor(SAT, [IS]), 0.80667),  # nltk, without WordNet
        (bleu(SAT, [SAT]), 1.0),
        (bleu("the cat", ["the cat"]), 1.0),  # orders 3 and 4 are left out
        (bleu("dog", [SAT]), 0.0),
        (bleu("the cat sat", [SAT]), math.exp(1 - 6 / 3)),
        (bleu("a b c d", ["a b x y", "x y c d"]), math.exp(sum(map(math.log, (1.0, 2 / 3, 1 / 4, 1 / 4))) / 4)),
        (bleu("a a", ["a b", "a c"]), (1 / 2 * 1 / 2) ** 0.5),  # clipped by the reference that has most
        (rouge_n("the the the", "the cat", measure="precision"), 1 / 3),  # clipped
        (rouge_n("the cat", SAT, measure="recall"), 2 / 6),
        (rouge_l("a b c d", "d c b a"), 0.25),
        (meteor("cats were running", ["cat were run"]), 1 - 0.5 / 27),
        (levenshtein_similarity("", ""), 1.0),
        (levenshtein_similarity("", "abc"), 0.0),
    ],
)
def test_a_metric_has_its_published_value(value: float, reference: float) -> None:
    assert value == pytest.approx(reference, abs=5e-6)


def test_the_bit_parallel_distances_are_those_of_the_table() -> None:
    def table(one: str, other: str) -> tuple[int, int]:
        edits, common = list(range(len(other) + 1)), [0] * (len(other) + 1)
        for i, a in enumerate(one, 1):
            before, below = edits, common
            edits, common = [i], [0]
            for j, b in enumerate(other, 1):
                edits.append(min(before[j] + 1, edits[-1] + 1, before[j - 1] + (a != b)))
                common.append(below[j - 1] + 1 if a == b else max(below[j], common[-1]))
        return edits[-1], common[-1]

    chance = random.Random(7)
    for _ in range(400):
        one, other = ("".join(chance.choice("abآש") for _ in range(chance.randint(0, 12))) for _ in range(2))
        assert (levenshtein_distance(one, other), common_length(list(one), list(other))) == table(one, other)


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("The cat's mat, don't!", ["the", "cat's", "mat", ",", "don't", "!"]),
        ("'quoted' x_y 3.14", ["'", "quoted", "'", "x", "_", "y", "3", ".", "14"]),
        ("مرحـبًا، يا عالم!", ["مرحبًا", "،", "يا", "عالم", "!"]),
        ('שָׁלוֹם, צה"ל', ["שָׁלוֹם", ",", "צה'ל"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("東京です", ["東", "京", "で", "す"]),
        ("CAFE\u0301", ["café"]),
        ("don’t", ["don't"]),
        ("\u200fمرحبا\u200e \u200b", ["مرحبا"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("", []),
    ],
)
def test_words_of_every_script_stay_whole(text: str, cut: list[str]) -> None:
    assert tokens(text) == cut
    assert [word for word in words(text) if not word[0].isalnum()] == []


def test_the_reference_values_hold_for_the_same_sentence_in_arabic_and_hebrew() -> None:
    for said, wanted in (
        ("القط جلس على السجادة هنا اليوم", "القط كان على السجادة هنا اليوم"),
        ("החתול ישב על השטיח פה היום", "החתול היה על השטיח פה היום"),
    ):
        assert rouge_l(said, wanted) == pytest.approx(5 / 6)
        assert bleu(said, [wanted]) == pytest.approx((5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)


def test_stems_are_those_of_the_paper() -> None:
    pairs = (
        "caresses:caress ponies:poni cats:cat agreed:agre plastered:plaster motoring:motor sing:sing sized:size "
        "hopping:hop falling:fall filing:file happy:happi sky:sky relational:relat conditional:condit "
        "vietnamization:vietnam hopefulness:hope triplicate:triplic electrical:electr adjustment:adjust "
        "adoption:adopt probate:probat rate:rate controll:control as:as مكتبات:مكتبات"
    )
    assert {pair: stem(pair.partition(":")[0]) for pair in pairs.split()} == {
        pair: pair.partition(":")[2] for pair in pairs.split()
    }


ROWS: list[tuple[Any, str, str, float | None]] = [
    ({"levenshtein": IS}, SAT, "pass", 1.0),
    ({"levenshtein": "dog"}, SAT, "fail", 0.0),
    ({"type": "levenshtein", "value": IS, "threshold": 3}, SAT, "pass", 1.0),
    ({"type": "levenshtein", "value": IS, "threshold": 2}, SAT, "fail", 0.0),
    ({"type": "levenshtein", "value": IS, "threshold": 0}, IS, "pass", 1.0),
    ({"type": "levenshtein", "value": IS, "threshold": 0}, SAT, "fail", 0.0),
    ({"type": "levenshtein", "value": ["dog", IS]}, SAT, "pass", 1.0),
    ({"type": "levenshtein", "value": IS, "options": {"measure": "similarity"}}, SAT, "pass", 19 / 22),
    (
        {"type": "levenshtein", "value": IS, "threshold": 0.9, "options": {"measure": "similarity"}},
        SAT,
        "fail",
        19 / 22,
    ),
    ({"rouge-n": IS}, SAT, "pass", 5 / 6),
    ({"type": "rouge-n", "value": IS, "threshold": 0.9}, SAT, "fail", 5 / 6),
    ({"type": "rouge-n", "value": IS, "options": {"n": 2}}, SAT, "fail", 0.6),
    ({"type": "rouge-n", "value": "the cat", "options": {"measure": "recall"}}, SAT, "pass", 1.0),
    ({"rouge-l": ["dog", IS]}, SAT, "pass", 5 / 6),
    ({"bleu": IS}, SAT, "fail", 0.37992),
    ({"type": "bleu", "value": IS, "threshold": 0.3799}, SAT, "pass", 0.37992),
    ({"gleu": IS}, SAT, "pass", 0.5),
    ({"meteor": IS}, SAT, "pass", 0.80667),
    ({"type": "meteor", "value": IS, "options": {"gamma": 0}}, SAT, "pass", 5 / 6),
    ({"similar": IS}, IS, "pass", 1.0),
    ({"similar": "quite another thing"}, IS, "fail", None),
    ({"rouge-n": IS}, "", "fail", 0.0),
    ({"bleu": IS}, "", "fail", 0.0),
    ({"meteor": IS}, " ?! ", "fail", 0.0),
    ({"gleu": IS}, "", "fail", 0.0),
]


@pytest.mark.parametrize(("item", "said", "outcome", "value"), ROWS, ids=[str(row)[:90] for row in ROWS])
def test_an_assertion_on_likeness_and_its_not_form(item: Any, said: str, outcome: str, value: float | None) -> None:
    score, opposite = scored(item, said), scored(inverted(item), said)

    assert score.outcome == outcome, score.reason
    assert score.score is not None
    if value is not None:
        assert score.score == pytest.approx(value, abs=5e-6)
    assert opposite.outcome == {"pass": "fail", "fail": "pass"}[outcome]
    assert opposite.score == pytest.approx(1 - score.score)


@pytest.mark.parametrize("name", ["levenshtein", "rouge-n", "rouge-l", "bleu", "gleu", "meteor", "similar"])
def test_without_a_value_the_expected_output_of_the_case_is_the_reference(name: str) -> None:
    assert scored(name, SAT, case=Case("c", expected_output=SAT)).outcome == "pass"
    assert scored(name, SAT, case=Case("c", expected_output=["no", SAT])).outcome == "pass"
    assert scored(name, SAT).outcome == "error"
    assert scored(f"not-{name}", SAT).outcome == "error"


def test_texts_that_are_too_long_to_compare_are_an_error() -> None:
    assert scored({"levenshtein": "b" * 60_000}, "a" * 60_000).outcome == "error"
    assert scored({"not-bleu": "b"}, "a" * 1_000_001).outcome == "error"


def test_the_offline_embedder_sees_spelling_is_named_and_never_changes() -> None:
    near = cosine(ngram_vector("refund the invoice"), ngram_vector("refunding an invoice"))
    far = cosine(ngram_vector("refund the invoice"), ngram_vector("weather tomorrow"))
    assert near is not None
    assert far is not None
    assert near > 0.6
    assert far < 0.3
    assert near == pytest.approx(0.71207, abs=1e-4)
    assert cosine(ngram_vector("استرداد الفاتورة"), ngram_vector("استرداد الفواتير")) == pytest.approx(
        0.65233, abs=1e-4
    )
    assert scored({"similar": "a"}, "a").details == {"embedder": "offline/ngrams-v1"}
    assert scored({"type": "similar", "value": "a", "options": {"model": "openai/x"}}, "a").outcome == "error"
    assert OfflineEmbedder().name == "offline/ngrams-v1"


class Meaning:
    """An embedder of two dimensions; `broken` is what it does wrong."""

    name = "sample/meaning"

    def __init__(self, broken: str = "") -> None:
        self.broken = broken

    async def embed(self, texts: Any, model: str | None = None, dimensions: int | None = None) -> Embeddings:
        if self.broken == "raises":
            raise ConnectionError("no network")
        vectors = [[1.0, 0.0] if "car" in text or "automobile" in text else [0.0, 1.0] for text in texts]
        wrong = {
            "zeros": [[0.0, 0.0]] * len(texts),
            "lengths": [[1.0], *vectors[1:]],
            "nan": [[math.nan, 1.0]] * 2,
            "infinite": [[math.inf, 1.0]] * 2,
            "empty": [[], *vectors[1:]],
            "few": vectors[1:],
        }
        return Embeddings(tuple(array("f", one) for one in wrong.get(self.broken, vectors)), self.name)


def test_another_embedder_can_take_its_place_and_what_it_does_wrong_is_never_a_pass() -> None:
    assert scored({"similar": "a car"}, "an automobile", setting=Setting(embedder=Meaning())).score == 1.0
    for broken, outcome in (
        *(("raises", "error"), ("lengths", "error"), ("few", "error")),
        *(("zeros", "unscored"), ("nan", "unscored"), ("infinite", "unscored"), ("empty", "unscored")),
    ):
        for name in ("similar", "not-similar", "similar:dot", "not-similar:dot", "similar:euclidean"):
            setting = Setting(embedder=Meaning(broken))
            assert scored({name: "a car"}, Answer("a bike"), setting=setting).outcome == outcome
