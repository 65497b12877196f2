"""Text for people: untrusted text becomes harmless, numbers become readable."""

import pytest

from runner.text import (
    NO_BREAK_SPACE,
    counted,
    cut,
    did_you_mean,
    duration,
    listed,
    memory,
    one_line,
    printable,
    quoted,
    size,
    why,
    wrapped,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[1;31mb\x1b[0mc", "abc"),
        ("\x1b]8;;file:///x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;never ends", ""),
        ("\x1bPq#0;2;0\x1b\\sixel", "sixel"),
        ("\x1b(Bcharset\x1bc", "charset"),
        ("a\nb\u2028c\ud800d\x07", "a b c\\ud800d\\x07"),
        ("größe 5 µs 日本", "größe 5 µs 日本"),
        ("\x1b", ""),
    ],
)
def test_a_text_becomes_one_printable_line(text: str, expected: str) -> None:
    """Terminal sequences are dropped and other control characters spelt out."""
    assert one_line(text) == expected


def test_a_printable_text_keeps_its_lines() -> None:
    """All control characters except line breaks are spelt out."""
    assert printable("a\nb\r\x1b[31m") == "a\nb\\r\\x1b[31m"


def test_a_long_text_is_cut() -> None:
    """An ellipsis ends it."""
    assert [cut("abcd", width) for width in (4, 3, 1, 0)] == ["abcd", "ab…", "…", "…"]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.4, "0 s"),
        (99, "99 s"),
        (100, "2 min"),
        (1920, "32 min"),
        (5940, "99 min"),
        (6000, "1 h 40 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations_have_a_natural_unit(seconds: float, expected: str) -> None:
    """Seconds, minutes or hours, as a person would choose."""
    assert duration(seconds) == expected


def test_sizes_have_a_natural_unit() -> None:
    """Disks are counted in decimal units and memory in binary ones."""
    sizes = (0, 61_234, 851_000_000, 1_200_000_000)
    assert [size(one) for one in sizes] == ["0 MB", "61 kB", "851 MB", "1.20 GB"]
    assert [memory(one << 20) for one in (512, 4096, 1536)] == ["512 MiB", "4 GiB", "1.5 GiB"]


def test_nouns_agree_with_their_numbers() -> None:
    """One cell, but seven cells."""
    assert [counted(one, "cell") for one in (1, 7, 1000)] == ["1 cell", "7 cells", "1,000 cells"]
    assert counted(2, "entry", "entries") == "2 entries"


def test_lists_read_like_a_sentence() -> None:
    """The last item follows a word."""
    assert [listed(["a", "b", "c"][:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert listed(["a", "b"], "or") == "a or b"


def test_a_similar_word_is_suggested() -> None:
    """Nothing is suggested if no word is similar."""
    assert did_you_mean("blocs", ["blocks", "name"]) == "; did you mean `blocks`?"
    assert did_you_mean("--blcks", ["--seed", "--blocks"]) == "; did you mean `--blocks`?"
    assert not did_you_mean("--nonsense", ["--seed", "--blocks"])
    assert not did_you_mean("blocs", ["name"])


def test_a_quoted_address_has_no_password() -> None:
    """A message can end up in a log that everybody reads."""
    assert quoted("https://me:s3cret@host/simple") == '"https://host/simple"'
    assert quoted("a@b") == '"a@b"'


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(2, "No such file or directory", "a"), "a: No such file or directory"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("nobody knows"), "nobody knows"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "it is not UTF-8"),
        (KeyError("format"), 'the key "format" is missing'),
        (ValueError("it is odd"), "it is odd"),
    ],
)
def test_an_error_of_python_becomes_a_reason(error: Exception, said: str) -> None:
    """Nobody reads `[Errno 2]` or the quotes of a KeyError."""
    assert why(error) == said


def test_lines_are_broken_only_at_spaces() -> None:
    """A path or a command can be copied whole, and no-break spaces stay."""
    path = f"reports/{'x' * 40}/matrix.lock"
    assert wrapped("short", 20) == ["short"]
    assert wrapped(f"missing from {path}", 20) == ["missing from", f"  {path}"]
    assert wrapped("failing: one cell of many failed", 20, 9) == [
        "failing: one cell of",
        "         many failed",
    ]
    assert wrapped(f"  took 5{NO_BREAK_SPACE}s in all", 9) == [
        "  took",
        f"    5{NO_BREAK_SPACE}s",
        "    in",
        "    all",
    ]
