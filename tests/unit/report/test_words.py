"""How a report writes numbers, changes and verdicts."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from runner.records.study import PolicyLimit
from runner.report.records import Section
from runner.report.words import (
    amount,
    heading,
    median_and_range,
    number,
    printed,
    signed,
    with_unit,
)
from runner.summarise import Summary
from tests.support.judging import stored
from tests.support.reports import view_of
from tests.support.samples import METRICS

DASH = "\N{EM DASH}"
NO_BREAK = "\N{NO-BREAK SPACE}"

BASE = [1.004, 0.989, 1.008, 0.998, 1.013, 0.991, 0.997]
FORECAST = (
    "Even the last look, after 28 blocks, would probably not narrow the interval of time "
    "to \N{PLUS-MINUS SIGN}2.0 %; that takes about 786 blocks."
)
LIKE_BASE = [0.994, 1.009, 0.999, 1.012, 0.992, 1.003, 0.993]


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.83412, "s", "0.834"),
        (80.12, "us", "80.1"),
        (92.4149, "%", "92.41"),
        (851.4, "MB", "851"),
        (12345.6, "MB", "12,346"),
        (0.00123, "s", "0.00123"),
        (0.0, "s", "0"),
        (-1.5, "s", "\N{MINUS SIGN}1.50"),
        (None, "s", DASH),
    ],
)
def test_a_number_has_three_significant_digits(
    value: float | None, unit: str, expected: str
) -> None:
    """Per cent have two decimals, and ordinary values never have an exponent."""
    assert number(value, unit) == expected


def test_a_range_has_the_decimals_of_its_median() -> None:
    """The ends of a range are written like the number they belong to."""
    summary = Summary(cell="", metric="", n=7, n_failed=0, median=1.004, low=0.9951, high=1.0123)
    assert median_and_range(summary, METRICS[0]) == "1.00\n(1.00 to 1.01)".replace(" ", NO_BREAK)


@pytest.mark.parametrize(
    ("factor", "size", "with_sign"),
    [
        (1.44, "44 %", "+44 %"),
        (0.974, "2.6 %", "-2.6 %"),
        (1.0002, "0.02 %", "+0.02 %"),
        (378.5, "380x", "+380x"),
        (1 / 378.5, "380x", "-99.7 %"),
        (0.0003, "3,300x", "-99.97 %"),
        (1e300, "1e+300x", "+1e+300x"),
    ],
)
def test_a_share_never_exceeds_100_per_cent(factor: float, size: str, with_sign: str) -> None:
    """A change of a factor of ten and more is written as a multiple; a decrease stays a share."""
    change = math.log(factor)
    assert amount(change, METRICS[0]).replace(NO_BREAK, " ") == size
    expected = with_sign.replace("-", "\N{MINUS SIGN}", 1)
    assert signed(change, METRICS[0]).replace(NO_BREAK, " ") == expected


def test_published_numbers_keep_their_digits() -> None:
    """A published number gets no additional digits."""
    assert [printed(value) for value in (5.0, 93.27, 0.00001)] == ["5", "93.27", "0.00001"]


def test_microseconds_have_their_letter() -> None:
    """The unit ``us`` is printed with the Greek letter."""
    assert heading(METRICS[1]) == "time per sample (\N{MICRO SIGN}s)"


UP_TO_3 = (PolicyLimit(metric="seconds", change=0.03, relative=True),)


def answer(
    measured: Sequence[float | None],
    disturbed: Sequence[int] = (),
    policy: tuple[PolicyLimit, ...] = (),
) -> Section:
    """The answer of a report that compares ``b`` with ``a``."""
    run = stored({"a": BASE, "b": measured}, disturbed=disturbed)
    run = replace(run, run=replace(run.run, matrix=replace(run.run.matrix, policy=policy)))
    return next(one for one in view_of(run).sections if one.name == "answer")


def plain(text: str) -> str:
    """The text with ordinary spaces."""
    return text.replace(NO_BREAK, " ")


@pytest.mark.parametrize(
    ("measured", "head", "basis"),
    [
        (
            [1.44 * one for one in LIKE_BASE],
            "v b against a: time 44 % slower (41 % to 47 %; 0.998 s \N{RIGHTWARDS ARROW} 1.44 s).",
            "98.4 % interval, 7 blocks.",
        ),
        (
            [380 * one for one in LIKE_BASE],
            "v b against a: time 380x slower (370x to 390x; 0.998 s \N{RIGHTWARDS ARROW} 380 s).",
            "98.4 % interval, 7 blocks.",
        ),
        (
            LIKE_BASE,
            "v b against a: no difference beyond the margin in time.",
            "98.4 % interval, 7 blocks.",
        ),
        (
            [1, 1.3, 0.8, 1.2, 0.7, 1.1, 0.9],
            "v b against a: no clear difference yet in time.",
            "98.4 % interval, 7 blocks. " + FORECAST,
        ),
        (BASE, "v b against a: no difference beyond the margin in time.", "7 blocks."),
    ],
)
def test_an_answer_names_its_metric_its_interval_and_its_numbers(
    measured: list[float | None], head: str, basis: str
) -> None:
    """It can be understood without the sentences around it; the row says how it was computed."""
    found = answer(measured)
    assert plain(found.statements[0].head) == head
    assert plain(found.tables[0].rows[0].basis[0]) == basis


def test_without_numbers_there_is_no_verdict_but_a_reason() -> None:
    """What is known stands before the reason."""
    found = answer([None] * 7)
    assert found.title == "So far"
    assert found.statements == ()
    assert [plain(text) for text in found.tables[0].rows[0].texts[1:4]] == ["time", "0.998 s", DASH]
    assert found.notes == ("No verdict: no trial of v=b gave numbers (failed).",)


def test_a_forecast_within_the_looks_names_more_blocks() -> None:
    """As long as a later look can be expected to decide."""
    found = answer([one + 0.03 * (-1) ** at for at, one in enumerate(BASE)], policy=UP_TO_3)
    [forecast] = [one for one in found.statements[0].notes if " more blocks (" in one]
    assert "last look" not in forecast


def test_a_metric_that_replaces_another_is_explained() -> None:
    """On a busy host CPU time is compared, and the report says why."""
    found = answer([1.44 * one for one in LIKE_BASE], disturbed=range(1, 8))
    assert plain(found.statements[0].head).startswith(
        "v b against a: CPU time 44 % higher (+41 % to +47 %; "
    )
    expected = "time is judged by CPU time, because 14 of 14 trials stayed disturbed."
    assert expected in found.statements[0].notes


@pytest.mark.parametrize(
    ("factor", "head", "tone", "reason"),
    [
        (
            1.44,
            "Do not upgrade to v b (hold): time 44 % slower (41 % to 47 %; ",
            "bad",
            "The whole interval is beyond the limit.",
        ),
        (
            1.028,
            "Not clear yet whether to upgrade to v b (cannot tell): time 2.8 % slower (0.9 % to ",
            "open",
            "The limit lies inside the interval.",
        ),
        (
            0.9,
            "Upgrade to v b (adopt): time 10.0 % faster (8.2 % to 12 %; ",
            "good",
            "Even the bad end of the interval is within the limit.",
        ),
    ],
)
def test_a_decision_says_what_to_do(factor: float, head: str, tone: str, reason: str) -> None:
    """In one line, with the change and the numbers; the row has the reason."""
    found = answer([factor * one for one in LIKE_BASE], policy=UP_TO_3)
    assert plain(found.statements[0].head).startswith(head)
    assert found.statements[0].tone == tone
    assert found.tables[0].rows[0].basis[0] == reason


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1.224, "1.22 s"), (0.00133, "1.33 ms"), (2.5e-7, "250 ns"), (0.0, "0 s"), (None, DASH)],
)
def test_a_number_with_its_unit_is_easy_to_read(value: float | None, expected: str) -> None:
    """Short times have milliseconds, microseconds or nanoseconds."""
    assert plain(with_unit(value, METRICS[0])) == expected
