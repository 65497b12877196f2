"""Text for people: untrusted text made printable, numbers with their nouns, sizes and durations.

Only the standard library's light modules are imported here, because every command needs this file.
"""

import re
from collections.abc import Iterable, Sequence

NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"

LONGEST_QUOTE = 60
MOST_SUGGESTIONS = 300
"""Comparing a word with more words than this takes too long."""

_LARGEST_READABLE = 99
_TERMINAL_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours and cursor movements
    r"|(?:\x1b[]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # titles, links
    r"|\x1b[ -/]*[0-~]?"  # all others
)


def printable(text: str) -> str:
    r"""Return the text with line breaks kept and other control characters spelt out: ``\x07``."""
    if _is_plain(text):
        return text
    return "".join(
        character if character.isprintable() or character in {"\n", NO_BREAK_SPACE}
        else character.encode("unicode_escape").decode()
        for character in text
    )  # fmt: skip


def one_line(text: str) -> str:
    """Return the text as one printable line.

    White space becomes spaces, terminal sequences are dropped, and other control characters are
    spelt out.
    """
    if _is_plain(text):
        return text
    plain = _TERMINAL_SEQUENCE.sub("", text).expandtabs()
    return printable(
        "".join(
            " " if character.isspace() and character != NO_BREAK_SPACE else character
            for character in plain
        )
    )


def _is_plain(text: str) -> bool:
    """Whether the text is one printable line, as nearly all texts are; this is a fast check."""
    return text.replace(NO_BREAK_SPACE, "").isprintable()


def shortened(text: str, limit: int = 240) -> str:
    """Return the text with runs of white space as one space, cut after ``limit`` characters."""
    return cut(" ".join(text.split()), limit)


def cut(text: str, limit: int) -> str:
    """Return at most ``limit`` characters; a longer text ends in an ellipsis."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + ELLIPSIS


def wrapped(text: str, width: int, hang: int | None = None) -> list[str]:
    """Return a line as lines that a terminal of this width need not break.

    It breaks only at spaces, so that paths and commands can be copied. Later lines are indented by
    ``hang`` spaces, by default a little more than the first.
    """
    import textwrap  # noqa: PLC0415  not needed by --version and --help

    if len(text) <= width:
        return [text]
    if hang is None:
        hang = len(text) - len(text.lstrip(" ")) + 2
    lines = textwrap.wrap(
        text,
        width,
        subsequent_indent=" " * hang,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )
    return lines or [""]


def without_password(text: str) -> str:
    """Return the text without the user and the password of an address in it."""
    return re.sub(r"(\w://)[^/\s@]*@", r"\1", text)


def without_comment(line: str) -> str:
    """Return a line of a requirements file without its comment and the space around it."""
    return re.sub(r"(^|\s)#.*", "", line).strip()


def quoted(text: str) -> str:
    """Return untrusted text in double quotes: one printable line of limited length."""
    import json  # noqa: PLC0415  not needed by --version and --help

    text = without_password(text)
    if len(text) > LONGEST_QUOTE:
        text = text[:LONGEST_QUOTE] + ELLIPSIS
    return json.dumps(text, ensure_ascii=not text.isprintable())


def why(error: Exception) -> str:
    """Return why something failed, as a part of a sentence: without numbers and names of Python."""
    if isinstance(error, UnicodeError):
        return "it is not UTF-8"
    if isinstance(error, KeyError):
        return f"the key {quoted(str(error.args[0]))} is missing"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def first_cause(error: Exception) -> str:
    """Return what failed first, in one line: ``requests`` nests the causes in a long text."""
    causes: list[object] = [error]
    for one in causes:  # it grows meanwhile
        if isinstance(one, OSError) and one.strerror:
            return one.strerror
        if isinstance(one, Exception):
            causes += [getattr(one, "reason", None), one.__cause__, *one.args[:1]]
    return shortened(one_line(str(error)), 200).rstrip(".")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean `x`?`` for the most similar known word, or an empty text."""
    import difflib  # noqa: PLC0415  needed only after a mistake
    import itertools  # noqa: PLC0415

    # The dashes of options would make all of them similar.
    words = {one.lstrip("-"): one for one in itertools.islice(known, MOST_SUGGESTIONS)}
    close = difflib.get_close_matches(word.lstrip("-")[:LONGEST_QUOTE], words, n=1)
    return f"; did you mean `{words[close[0]]}`?" if close else ""


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: ``1 cell``, ``7 cells``, ``1,000 trials``."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def listed(items: Sequence[str], word: str = "and") -> str:
    """Return a list as part of a sentence: ``a``, ``a and b``, ``a, b and c``."""
    if len(items) <= 1:
        return "".join(items)
    return f"{', '.join(items[:-1])} {word} {items[-1]}"


def unbroken(text: str) -> str:
    """Return the text with no-break spaces."""
    return text.replace(" ", NO_BREAK_SPACE)


def size(count: int) -> str:
    """Return a size on disk, in decimal units: ``61 kB``, ``851 MB``, ``1.20 GB``."""
    if 0 < count < 10**6:
        return f"{max(count / 10**3, 1):,.0f} kB"
    if count < 10**9:
        return f"{count / 10**6:,.0f} MB"
    return f"{count / 10**9:,.2f} GB"


def memory(count: int) -> str:
    """Return a size of memory, in binary units: ``512 MiB``, ``4 GiB``, ``1.5 GiB``."""
    if count < 2**30:
        return f"{count / 2**20:.0f} MiB"
    return f"{count / 2**30:.1f}".removesuffix(".0") + " GiB"


def duration(seconds: float) -> str:
    """Return how long something takes: ``41 s``, ``32 min``, ``2 h 05 min``."""
    if seconds <= _LARGEST_READABLE:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes <= _LARGEST_READABLE:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02} min"
