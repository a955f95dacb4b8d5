"""The `content` of a chat message as OpenAI writes it, all of it literal → parts of ours."""

from __future__ import annotations

from collections.abc import Iterator

from promptstudio.exchange.drafts import Draft
from promptstudio.exchange.spots import Spot
from promptstudio.exchange.writing import literal_to_jinja

DETAIL = "how closely a picture is looked at is up to the provider"


def literal_parts(draft: Draft, content: Spot) -> Iterator[dict[str, str]]:
    """Yield the parts of a text or a list of parts; media become inputs, what we have no part for is a loss."""
    if content.is_text():
        yield {"text": literal_to_jinja(content.text())}
        return
    for item in content.items():
        if item.is_text():
            yield {"text": literal_to_jinja(item.text())}
            continue
        kind = item.get("type")
        called = kind.text() if kind is not None else "text"
        if called in ("text", "input_text"):
            yield {"text": literal_to_jinja(item.need("text").text())}
        elif called in ("image_url", "input_image"):
            yield image_part(draft, item.need("image_url"))
        elif called == "input_audio":
            yield _audio_part(draft, item.need("input_audio"))
        elif called == "file" and item.need("file").is_map() and "file_data" in item.need("file").value:
            yield _file_part(draft, item.need("file"))
        else:
            item.drop(f"a part of the type {called!r:.40} has no counterpart")


def image_part(draft: Draft, image: Spot) -> dict[str, str]:
    url = image.need("url") if image.is_map() else image
    if image.is_map() and (detail := image.get("detail")) is not None:
        detail.drop(DETAIL)
    return draft.fixed_media("image", url.text(), url.path)


def _audio_part(draft: Draft, audio: Spot) -> dict[str, str]:
    kind = audio.get("format")
    suffix = kind.text() if kind is not None else "wav"
    mime_type = {"mp3": "audio/mpeg"}.get(suffix, f"audio/{suffix}")
    data = audio.need("data")
    return draft.fixed_media("audio", f"data:{mime_type};base64,{data.text()}", data.path)


def _file_part(draft: Draft, file: Spot) -> dict[str, str]:
    if (name := file.get("filename")) is not None:
        name.drop("a file is named by whoever gives it")
    data = file.need("file_data")
    return draft.fixed_media("file", data.text(), data.path)
