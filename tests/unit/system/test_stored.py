"""Stored JSON is read strictly, in every older format and in no newer one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.records import Record
from runner.system import stored
from runner.text import NO_BREAK_SPACE

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Record):
    """A record within another one."""

    at: datetime
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Record):
    """A record of format 3."""

    format: int = 3
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Record):
    """A record that holds one of two others."""

    of: Part | Whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Loose(Record):
    """A record that may lack everything."""

    at: datetime | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


def read(content: bytes) -> Whole:
    """Read a record, with ``pieces`` as the older name of ``parts``."""

    def upgrade(written: dict[str, object]) -> object:
        return {**{k: v for k, v in written.items() if k != "pieces"}, "parts": written["pieces"]}

    return stored.parse(Whole, content, 3, upgrade)


def test_a_record_comes_back_as_it_was_written() -> None:
    """Numbers, names and instants are equal."""
    whole = Whole(parts=(Part(at=NOW, counts={"a": 2**63}), Part(at=NOW)))
    assert read(stored.dump(whole)) == whole


def test_an_older_format_is_upgraded() -> None:
    """The record keeps the number of the format that it was written in."""
    assert read(b'{"format": 2, "pieces": []}') == Whole(format=2, parts=())


@pytest.mark.parametrize("version", [4, 10**30])
def test_a_newer_format_is_refused(version: int) -> None:
    """The sentence names both formats and the remedy, wherever the number stands in the file."""
    with pytest.raises(stored.NewerFormatError) as raised:
        read(b'{"parts": [], "more": 1, "format": %d}' % version)
    assert str(raised.value) == (
        f"was written by a newer matrix-runner (format {version}, this one reads up to 3): "
        "upgrade matrix-runner."
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "the whole file: Invalid JSON: EOF while parsing a value at line 1 column 0"),
        ('{"format": 3', "the whole file: Invalid JSON: EOF while parsing an object"),
        ("[" * 10_000, "the whole file: Invalid JSON: recursion limit exceeded"),
        ("[]", "the whole file: Input should be an object"),
        ("{}", "parts: Field required"),
        ('{"parts": [], "more": 1}', "more: Unexpected keyword argument"),
        ('{"parts": [{"at": 1}]}', "parts.0.at: "),
        ('{"parts": [{"at": "2026-01-01"}]}', "parts.0.at: "),
        (
            '{"parts": [{"at": "2026-01-01T00:00:00"}]}',
            "parts.0.at: Date needs a time zone and a usual year",
        ),
        (
            '{"parts": [{"at": "0001-01-01T00:00:00Z"}]}',
            "parts.0.at: Date needs a time zone and a usual year",
        ),
        (
            '{"parts": [{"at": "2026-01-01T00:00:00Z", "counts": {"a": 18446744073709551616}}]}',
            "parts.0.counts.a: Number is too large",
        ),
        (
            '{"parts": [{"at": "2026-01-01T00:00:00Z", "counts": {"\\u001b[31m\\n": 1.5}}]}',
            "parts.0.counts. : Input should be a valid integer",
        ),
    ],
)
def test_the_first_problem_is_a_sentence(content: str, problem: str) -> None:
    """It names the place in the file and is printable."""
    with pytest.raises(stored.InvalidError) as raised:
        read(content.encode())
    assert str(raised.value).startswith(problem)


@given(st.text(min_size=1, max_size=500))
def test_a_problem_is_one_printable_line_of_limited_length(name: str) -> None:
    """The keys in a damaged file may be any text."""
    whole = Whole(parts=(Part(at=NOW, counts={name: 1}),))
    with pytest.raises(stored.InvalidError) as raised:
        read(stored.dump(whole).replace(b": 1\n", b": null\n"))
    assert str(raised.value).replace(NO_BREAK_SPACE, " ").isprintable()
    assert len(str(raised.value)) <= stored.LONGEST_PROBLEM


def test_a_problem_names_the_place_and_not_our_classes() -> None:
    """Also where a file may hold one of two records."""
    with pytest.raises(stored.InvalidError, match=r"^of\.at: Field required$"):
        stored.parse(Choice, b'{"of": {"counts": {}}}', 1)


def test_a_seal_shows_every_change() -> None:
    """Spaces and the order of fields do not matter."""

    def is_genuine(content: bytes) -> bool | None:
        return stored.parse_sealed(Loose, content, 3)[1]

    loose = Loose(at=NOW, counts={"a": 2**63})
    content = stored.sealed(stored.dump(loose))
    assert stored.parse_sealed(Loose, content, 3) == (loose, True)
    written = json.loads(content)
    assert is_genuine(json.dumps(dict(reversed(written.items()))).encode())
    others: Mapping[str, object] = {"at": None, "counts": {}, "digest": "another"}
    for name, other in others.items():
        assert is_genuine(json.dumps({**written, name: other}).encode()) is False
        changed = json.dumps({key: written[key] for key in written if key != name}).encode()
        assert not is_genuine(changed)


@pytest.mark.parametrize("content", [b"", b"{", b"7", b"[1]", b'{"a": 1}', b"[" * 100_000])
def test_content_that_holds_no_record_is_refused_with_a_seal_or_without(content: bytes) -> None:
    """Reading it never fails in another way."""
    with pytest.raises(stored.InvalidError):
        stored.parse_sealed(Whole, content, 3)


def test_content_without_a_seal_says_nothing_about_changes() -> None:
    """It was written before files had one."""
    whole = Whole(parts=())
    assert stored.parse_sealed(Whole, stored.dump(whole), 3) == (whole, None)
