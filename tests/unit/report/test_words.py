"""How a report writes numbers, changes and verdicts."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from runner.records.study import PolicyLimit
from runner.report.records import Statement
from runner.report.view import view
from runner.report.words import amount, heading, median_and_range, number, printed, signed
from runner.summarise import Summary
from tests.support.judging import stored
from tests.support.samples import METRICS

DASH = "\N{EM DASH}"
NO_BREAK = "\N{NO-BREAK SPACE}"

BASE = [1.004, 0.989, 1.008, 0.998, 1.013, 0.991, 0.997]
FORECAST = (
    "Even the last look, after 28 blocks, would probably not narrow the interval to "
    "\N{PLUS-MINUS SIGN}2.0 %; that takes about 786 blocks."
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


def statements(
    title: str, measured: Sequence[float | None], disturbed: Sequence[int] = ()
) -> list[Statement]:
    """The statements in a section of a report that compares ``b`` with ``a``, up to 3 % slower."""
    run = stored({"a": BASE, "b": measured}, disturbed=disturbed)
    policy = (PolicyLimit(metric="seconds", change=0.03, relative=True),)
    run = replace(run, run=replace(run.run, matrix=replace(run.run.matrix, policy=policy)))
    [section] = [one for one in view(run).sections if one.title == title]
    return [
        Statement(one.head.replace(NO_BREAK, " "), one.text.replace(NO_BREAK, " "), one.notes)
        for one in section.statements
    ]


@pytest.mark.parametrize(
    ("measured", "head", "text"),
    [
        (
            [1.44 * one for one in LIKE_BASE],
            "time: b is 44 % slower than a (41 % to 47 %)",
            "98.4 % interval, 7 blocks.",
        ),
        (
            [380 * one for one in LIKE_BASE],
            "time: b is 380x slower than a (370x to 390x)",
            "98.4 % interval, 7 blocks.",
        ),
        (
            LIKE_BASE,
            "time: no difference larger than 3 % between b and a (1.9 % faster to 1.9 % slower)",
            "98.4 % interval, 7 blocks.",
        ),
        (
            [1, 1.3, 0.8, 1.2, 0.7, 1.1, 0.9],
            "time: no clear difference yet between b and a (27 % faster to 31 % slower)",
            "98.4 % interval, 7 blocks. " + FORECAST,
        ),
        (BASE, "time: b and a gave the same numbers in every block", "7 blocks."),
        (
            [None] * 7,
            "time: b and a cannot be compared",
            "Reason: no trial of v=b gave numbers (failed).",
        ),
    ],
)
def test_a_headline_names_its_metric_and_its_interval(
    measured: list[float | None], head: str, text: str
) -> None:
    """Each verdict can be understood without the sentences around it."""
    assert statements("Verdicts", measured) == [Statement(head, text)]


def test_a_forecast_within_the_looks_names_more_blocks() -> None:
    """As long as a later look can be expected to decide."""
    [found] = statements("Verdicts", [one + 0.03 * (-1) ** at for at, one in enumerate(BASE)])
    assert " more blocks (" in found.text
    assert "last look" not in found.text


def test_a_metric_that_replaces_another_is_explained() -> None:
    """On a busy host CPU time is compared, and the report says why."""
    [found] = statements("Verdicts", [1.44 * one for one in LIKE_BASE], disturbed=range(1, 8))
    assert found.head == "CPU time: b is 44 % higher than a (+41 % to +47 %)"
    assert "time is judged by CPU time, because 14 of 14 trials stayed disturbed." in found.text


@pytest.mark.parametrize(
    ("factor", "head", "reason"),
    [
        (1.44, "Do not upgrade to v b (hold)", "The whole interval is beyond the limit of +3 %."),
        (
            1.028,
            "Not clear yet whether to upgrade to v b (cannot tell)",
            "The limit of +3 % lies inside the interval.",
        ),
        (0.9, "Upgrade to v b (adopt)", ""),
    ],
)
def test_a_decision_says_what_to_do(factor: float, head: str, reason: str) -> None:
    """The reason of a decision names the limit."""
    [found] = statements("Decision", [factor * one for one in LIKE_BASE])
    assert found.head == head
    assert reason in " ".join(found.notes).replace(NO_BREAK, " ")
