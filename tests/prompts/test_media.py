from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from promptstudio.errors import InputsError
from promptstudio.prompts.media import (
    SIZE_LIMIT,
    SUPPORTED,
    kind_of,
    media_from_bytes,
    media_from_data_uri,
    media_from_path,
    media_from_url,
    mime_type_of,
)

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00"
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"

FORMATS = [
    # bytes, file name, type
    (PNG, "a.png", "image/png"),
    (b"\xff\xd8\xff\xe0\x00\x10JFIF", "a.jpg", "image/jpeg"),
    (b"GIF89a\x01\x00", "a.gif", "image/gif"),
    (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "a.webp", "image/webp"),
    (WAV, "a.wav", "audio/wav"),
    (b"ID3\x04\x00", "a.mp3", "audio/mpeg"),
    (b"\xff\xfb\x90\x00", "a.mp3", "audio/mpeg"),
    (b"OggS\x00\x02", "a.ogg", "audio/ogg"),
    (b"fLaC\x00\x00", "a.flac", "audio/flac"),
    (b"\x00\x00\x00\x20ftypM4A \x00", "a.m4a", "audio/mp4"),
    (PDF, "a.pdf", "application/pdf"),
    (b"plain words", "a.txt", "text/plain"),
    (b"# title", "a.md", "text/markdown"),
    (b"a,b\n1,2", "a.csv", "text/csv"),
    (b'{"a": 1}', "a.json", "application/json"),
    ("نص عربي".encode(), "a.log", "text/plain"),
    (b"MZ is not only a signature", "notes.txt", "text/plain"),
    (b"BMW and other cars", "notes.txt", "text/plain"),
]


@pytest.mark.parametrize(("data", "name", "mime_type"), FORMATS)
def test_the_bytes_of_a_file_say_what_it_is(tmp_path, data, name, mime_type):
    path = tmp_path / name
    path.write_bytes(data)

    media = media_from_path(path, kind_of(mime_type))

    assert (media.mime_type, media.data, media.url, media.name) == (mime_type, data, None, name)


def test_the_bytes_win_over_the_name(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(PNG)

    assert media_from_path(path, "image").mime_type == "image/png"


MISMATCHES = [
    # bytes, name, asked for, words in the message, words in the hint
    (PDF, "scan.png", "image", "found application/pdf", "type: file"),
    (PNG, "photo.png", "file", "found image/png", "type: image"),
    (PNG, "photo.png", "audio", "found image/png", "type: image"),
    (WAV, "a.wav", "image", "found audio/wav", "type: audio"),
    (b"words", "a.png", "image", "found text/plain", "type: file"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.svg", "image", "found text/plain", ""),
    (b"PK\x03\x04\x14\x00", "a.docx", "file", "found application/zip", "convert it to PDF"),
    (b"\x00\x00\x00\x18ftypheic\x00", "a.heic", "image", "found image/heic", "convert it to PNG"),
    (b"\x00\x00\x00\x18ftypmp42\x00", "a.mp4", "audio", "found video/mp4", "convert it to WAV"),
    (b"\x7fELF\x02\x01\x01\x00", "a.txt", "file", "found application/x-executable", ""),
    (b"MZ\x90\x00\x03", "a.txt", "file", "found application/x-executable", ""),
    (b"RIFF\x24\x00\x00\x00AVI LIST\x00", "a.avi", "audio", "unknown binary format", ""),
    (b"text with \x00 in it", "a.txt", "file", "unknown binary format", ""),
    ("latin é".encode("latin-1"), "a.txt", "file", "unknown binary format", "UTF-8"),
    (b"", "a.png", "image", "empty", "PNG"),
]


@pytest.mark.parametrize("case", MISMATCHES)
def test_a_file_of_another_kind_is_refused_with_what_it_is(tmp_path, case):
    data, name, expect, fact, advice = case
    path = tmp_path / name
    path.write_bytes(data)

    with pytest.raises(InputsError) as caught:
        media_from_path(path, expect)

    assert name in caught.value.message
    assert fact in caught.value.message
    assert advice in (caught.value.hint or "")


def test_a_missing_file_a_folder_and_a_pipe_are_refused_without_waiting(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    for path, words in [
        (tmp_path / "gone.png", "No such file"),
        (tmp_path, "directory|regular"),
        (pipe, "not a regular file"),
    ]:
        with pytest.raises(InputsError, match=words):
            media_from_path(path, "image")


def test_an_endless_device_is_refused():
    with pytest.raises(InputsError, match="not a regular file"):
        media_from_path(Path("/dev/zero"), "image")


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "big.png"
    with path.open("wb") as stream:
        stream.write(PNG)
        stream.truncate(50 * 1024 * 1024)

    with pytest.raises(InputsError, match="50 MiB, the limit is 20 MiB"):
        media_from_path(path, "image")


def test_bytes_over_the_limit_are_refused():
    with pytest.raises(InputsError, match="the limit is 20 MiB"):
        media_from_bytes(PNG + bytes(SIZE_LIMIT), "image")


def test_a_shown_name_is_never_a_path_and_holds_no_control_characters(tmp_path):
    path = tmp_path / "صورة\u202egnp\x1b[31m.png"
    path.write_bytes(PNG)

    assert media_from_path(path, "image").name == "صورة_gnp_[31m.png"
    assert media_from_bytes(PNG, "image").name is None


# -- data: URIs


def test_a_data_uri_holds_what_its_bytes_say():
    body = base64.b64encode(PNG).decode()

    assert media_from_data_uri(f"data:image/png;base64,{body}", "image").data == PNG
    assert media_from_data_uri(f"data:image/jpeg;base64,{body}", "image").mime_type == "image/png"
    assert media_from_data_uri(f"DATA:;BASE64,{body}", "image").mime_type == "image/png"
    markdown = base64.b64encode(b"# title").decode()
    assert (
        media_from_data_uri(f"data:text/markdown;charset=utf-8;base64,{markdown}", "file").mime_type == "text/markdown"
    )


BAD_URIS = {
    "data:image/png,raw": "not a base64 data: URI",
    "data:image/png;base64": "not a base64 data: URI",
    "data:image/png;base64,!!!!": "not valid base64",
    "data:image/png;base64,iVBORw0KGgo": "not valid base64",
    "data:image/png;base64,صورة": "not valid base64",
    "data:image/png;base64,": "empty",
    "data:image/png;base64," + base64.b64encode(PDF).decode(): "found application/pdf",
    "data:image/png;base64," + "A" * (SIZE_LIMIT * 4 // 3 + 2000): "more than 20 MiB",
}


@pytest.mark.parametrize("uri", BAD_URIS, ids=lambda uri: uri[:40])
def test_a_broken_data_uri_is_refused_and_not_printed_whole(uri):
    with pytest.raises(InputsError) as caught:
        media_from_data_uri(uri, "image")

    assert BAD_URIS[uri] in caught.value.message
    assert len(caught.value.message) < 300


# -- URLs


def test_a_url_is_handed_on_and_never_fetched():
    media = media_from_url("https://example.com/a/photo.png?sig=abc", "image")

    assert (media.url, media.data) == ("https://example.com/a/photo.png?sig=abc", None)
    assert (media.mime_type, media.name) == ("image/png", "photo.png")
    assert media_from_url("http://example.com/photo", "image").mime_type == "application/octet-stream"
    assert media_from_url("https://مثال.example/صورة.png", "image").name == "صورة.png"


BAD_URLS = {
    "https://": "not a complete",
    "ftp://example.com/a.png": "not a complete",
    "file:///etc/passwd": "not a complete",
    "https://example.com/a b.png": "not a complete",
    "https://example.com/a\n.png": "not a complete",
    "https://[broken/a.png": "not a complete",
    "https://example.com/" + "a" * 9000: "not a complete",
    "https://user:password@example.com/a.png": "user name or password",
    "https://example.com/a.pdf": "found application/pdf",
}


@pytest.mark.parametrize("url", BAD_URLS, ids=lambda url: url[:40])
def test_a_url_that_cannot_work_is_refused(url):
    with pytest.raises(InputsError, match=BAD_URLS[url]) as caught:
        media_from_url(url, "image")

    assert "password@" not in caught.value.message


def test_every_supported_type_belongs_to_one_kind():
    everything = [mime_type for types in SUPPORTED.values() for mime_type in types]

    assert len(everything) == len(set(everything))
    assert all(mime_type in SUPPORTED[kind_of(mime_type)] for mime_type in everything)


def test_a_binary_of_no_known_format_has_no_type():
    assert mime_type_of(b"\x80\x81\x82\x00") is None
