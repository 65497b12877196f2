"""The promised error rates of the analysis, checked with a twentieth of the simulated runs."""

import pytest

from benchmarks import acceptance, peers

REDUCED = acceptance.SIZES["reduced"]


@pytest.mark.parametrize("row", acceptance.ROWS)
def test_a_row_of_the_acceptance_table(row: str) -> None:
    """Every figure is within its bounds, plus three standard errors."""
    figures = acceptance.figures_of(row, REDUCED)
    outside = [figure for figure in figures if not figure.passes(REDUCED)]
    assert not outside, "\n".join(acceptance.line(row, figure, REDUCED) for figure in outside)


def test_a_figure_outside_its_bounds_fails() -> None:
    """The check works: three standard errors do not hide a wrong rate."""
    none = acceptance.share("never", [False] * 200, least=93.5, most=97.0)
    always = acceptance.share("always", [True] * 200, most=6.0)
    right = acceptance.share("right", [True] * 190 + [False] * 10, least=93.5, most=97.0)
    assert [one.passes(REDUCED) for one in (none, always, right)] == [False, False, True]


def test_an_analysis_with_too_narrow_intervals_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few simulated runs are enough to find 90 % intervals that are called 95 %."""
    monkeypatch.setattr("runner.judge.looks.LEVEL_OF_ONE", 0.9)
    few = acceptance.Size(share=0.02, standard_errors=3.0)
    for row in ("same-version", "coverage"):
        figures = acceptance.figures_of(row, few)
        assert not all(figure.passes(few) for figure in figures)


def test_simulated_runs_are_the_same_every_time() -> None:
    """Seeds are fixed, so a failing row fails again."""
    few = acceptance.Size(share=0.005, standard_errors=3.0)
    assert acceptance.figures_of("power", few) == acceptance.figures_of("power", few)


def test_peers_judge_the_same_runs() -> None:
    """Every peer gives a rate in every setting. Pooling repeats makes them err often."""
    few = acceptance.Size(share=0.02, standard_errors=3.0)
    rates = peers.rates(few)
    assert {who for _, who in rates} == {*peers.PEERS, peers.OURS}
    assert {setting for setting, _ in rates} == set(peers.SETTINGS)
    false = {place: found[0] for place, found in rates.items()}
    assert all(false[setting, peers.OURS] < 0.25 for setting in peers.SETTINGS)
    assert false["pooled repeats", "pyperf compare_to"] > false["pooled repeats", peers.OURS]
    assert all(found[2] > 0.9 for (_, who), found in rates.items() if who == peers.OURS)
