"""What a program says, as a reader may see it."""

import pytest

from fastapi_platform_preview.redaction import printable, redacted

KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("cannot connect to postgresql://u:secret@h/db (line 3)", "cannot connect to [secret] (line 3)"),
        ("DATABASE_PASSWORD=secret is wrong", "DATABASE_PASSWORD=[secret] is wrong"),
        ("the option --password is not known", "the option --password is not known"),
        ("{'password': 'hunter2'}", "{'password': [secret]}"),
        ("DB_PASSWORD='hunter2 two' is wrong", "DB_PASSWORD=[secret] is wrong"),
        ("Authorization: Bearer abcdefghijklmnopqrstuv", "[secret]"),
        (f"first\nthe key {KEY} is bad\nlast", "first\nthe key [secret] is bad\nlast"),
        ("cut off: -----BEGIN PRIVATE KEY-----\nMIIEvQ", "cut off: [secret]"),
        ("nothing to hide: image, port 8000", "nothing to hide: image, port 8000"),
    ],
)
def test_of_a_line_only_the_credential_is_hidden(said: str, shown: str):
    """An error without its words helps nobody."""
    assert redacted(said) == shown


@pytest.mark.parametrize("text", ["plain\n\ttext", "orders — größer ≥ 3 🙂", ""])
def test_what_people_write_stays_as_it_is(text: str):
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"), [("\x1b[31m", r"\x1b[31m"), ("\x9b2J", r"\x9b2J"), ("a\u202eb", r"a\u202eb"), ("\r", r"\r"),
                        ("\udc80", r"\udc80"), ("a\u2028b", r"a\u2028b")],
)
def test_what_a_terminal_would_obey_is_spelled_out(text: str, shown: str):
    assert printable(text) == shown
