"""The large run that tests and benchmarks read."""

from pathlib import Path

from runner.records.study import Status
from tests.support.large import large_run


def test_a_large_run_counts_whole_and_is_always_the_same(tmp_path: Path) -> None:
    """No result is refused, some trials failed, and the seed decides on every number."""
    stored = large_run(tmp_path / "one", cells=24, blocks=2, versions=4).stored()
    assert len(stored.run.matrix.cells) == 20
    assert (stored.refused, stored.edited) == ((), ())
    assert len(stored.results) == 20 * 2 + 2, "two are of the control"
    failed = {one.trial.cell for one in stored.results if one.status is Status.FAILED}
    assert "lib=1.3.0,model=mixer,threads=1" in failed
    assert stored == large_run(tmp_path / "two", cells=24, blocks=2, versions=4).stored()
