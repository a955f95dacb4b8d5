"""What looks like a secret is blanked out, whatever its kind; the quick look that comes first misses none."""

from __future__ import annotations

import pytest

from promptstudio.prompts.secrets import _KINDS, redact

MIXED = "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5bC7dE9f"
SAMPLES = {
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    "Anthropic key": f"sk-ant-{MIXED}",
    "OpenRouter key": f"sk-or-{MIXED}",
    "OpenAI key": f"sk-proj-{MIXED}",
    "Stripe key": f"rk_live_{MIXED}",
    "Google key": f"AIza{MIXED[:35]}",
    "AWS key": "ASIAABCDEFGH12345678",
    "GitHub token": f"ghs_{MIXED}",
    "GitLab token": f"glpat-{MIXED}",
    "Slack token": f"xoxb-{MIXED}",
    "Hugging Face token": f"hf_{MIXED}",
    "Groq key": f"gsk_{MIXED}",
    "xAI key": f"xai-{MIXED}",
    "Perplexity key": f"pplx-{MIXED}",
    "JSON Web Token": f"eyJ{MIXED}.eyJ{MIXED}.{MIXED}",
    "password in a URL": "postgres://ada:tr0ub4dor@db.example/x",
}
NAMED = [f"API-KEY={MIXED}", f'"client_Secret": "{MIXED}"', f"Token: {MIXED}", f"passwd={MIXED}", f"Bearer {MIXED}"]


def test_there_is_a_sample_of_every_kind() -> None:
    assert set(SAMPLES) == set(_KINDS)


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_secret_of_every_kind_is_blanked_out(kind: str) -> None:
    hidden = redact(f"قبل {SAMPLES[kind]} بعد")
    assert f"[redacted: {kind}]" in hidden
    assert hidden.endswith(" بعد")


@pytest.mark.parametrize("text", [*(f"ghp_{MIXED} gho_{MIXED} ghu_{MIXED} ghr_{MIXED}".split()), f"github_pat_{MIXED}"])
def test_every_form_of_a_github_token_is_one(text: str) -> None:
    assert redact(text) == "[redacted: GitHub token]"


@pytest.mark.parametrize("text", NAMED)
def test_a_random_value_is_a_secret_where_its_name_says_so(text: str) -> None:
    assert "[redacted: secret]" in redact(text)


def test_other_texts_stay_as_they_are() -> None:
    for text in ("", "an ordinary sentence", MIXED, "the key is under the mat", "sk-learn-tutorial-for-beginners"):
        assert redact(text) == text
