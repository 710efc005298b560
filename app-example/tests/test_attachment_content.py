"""Names and types of uploads, without a service."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.attachments.content import NAME_MAX, display_name, media_type

pytestmark = pytest.mark.control("upload-restrictions")


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("photo.png", "photo.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\photo.png", "photo.png"),
        ("a\r\nSet-Cookie: b=c.png", "a Set-Cookie: b=c.png"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),
        ("nul\0byte.png", "nulbyte.png"),
        (".htaccess", "htaccess"),
        ("..", "attachment"),
        ("", "attachment"),
        ("/", "attachment"),
        ("ü" * 200 + ".png", "ü" * 96 + ".png"),
        ("u\u0308.png", "\u00fc.png"),
    ],
)
def test_a_name_is_made_harmless(sent: str, shown: str) -> None:
    assert display_name(sent) == shown


@given(st.text())
def test_no_name_is_harmful(sent: str) -> None:
    shown = display_name(sent)
    assert 1 <= len(shown) <= NAME_MAX
    assert not {"/", "\\"} & set(shown)
    assert all(unicodedata.category(c)[0] != "C" for c in shown)
    assert not shown.startswith(".")
    assert display_name(shown) == shown


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"GIF89a", None),
        (b"MZ\x90\0", None),
        (b"#!/bin/sh\n", None),
        (b"", None),
    ],
)
def test_the_content_says_what_a_file_is(head: bytes, found: str | None) -> None:
    assert media_type(head + bytes(64) if head else head) == found
