"""What differs between two cells, or between two runs."""

from dataclasses import replace
from pathlib import Path

import pytest

from runner.cli import main
from runner.errors import Exit
from runner.records.environment import Package, Unsupported
from runner.runs.folder import RunFolder
from tests.support.samples import founding_plan, founding_run
from tests.support.whole_runs import MATRIX, declare, environment, lock

VERSIONS = MATRIX.replace(
    "axes:\n  model: [one, two]", 'axes:\n  lib: {package: lib, versions: ["1.0", "2.0"]}'
).replace(
    "quick:",
    'include:\n  - {lib: "2.0", parameters: {epochs: 9}, limits: {memory: 1g},'
    ' timeout: 90s, variables: {DEBUG: "1"}}\nquick:',
)


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """Return the lines of the command."""
    assert main(["diff", *words]) == Exit.OK
    return capsys.readouterr().out.splitlines()


def test_two_cells(capsys: pytest.CaptureFixture[str]) -> None:
    """Parameters, variables, limits, Python and packages that differ, and nothing else."""
    first, second = (environment(request) for request in declare(VERSIONS))
    extra = Package(name="extra", version="3", hashes=("sha256:" + "1" * 64,))
    lock(first, replace(second, platform="linux-x86_64", packages=(*second.packages, extra)))
    assert printed(capsys, "lib=1.0", "lib=2.0") == [
        "lib=1.0 → lib=2.0",
        "  parameters.epochs: 5 → 9",
        "  limits.memory: 4 GiB → 1 GiB",
        "  limits.timeout: 900 s → 90 s",
        "  variables.DEBUG: not set → 1",
        "  Changed: lib 1.0 → 2.0.",
        "  Added: extra 3.",
        "  Unchanged: 0 packages.",
    ]
    assert printed(capsys, "lib=1.0", "lib=1.0") == ["lib=1.0 → lib=1.0", "  nothing differs"]


def test_cells_without_an_environment(capsys: pytest.CaptureFixture[str]) -> None:
    """It says what each of them has instead."""
    first, second = declare(VERSIONS)
    lock(Unsupported(request=first, reason="there is no wheel"))
    assert printed(capsys, "lib=1.0", "lib=2.0")[-1] == (
        "  environment: unsupported (there is no wheel) → lib=2.0 (not locked yet; "
        "`python -m runner lock` does it)"
    )
    assert second.label == "lib=2.0"
    assert main(["diff", "lib=1.0", "lib=3.0"]) == Exit.NOTHING_SELECTED
    assert "there is no cell 'lib=3.0'; did you mean " in capsys.readouterr().err


def stored(name: str, **changes: object) -> Path:
    """Store the founding run with changes, and return its folder."""
    folder = RunFolder(Path("reports", name)).make()
    folder.save(founding_plan())
    folder.save(replace(founding_run(), id=name, **changes))  # type: ignore[arg-type]
    return folder.path


def test_two_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """By path or id: digests, host and engine that differ, and what is the same."""
    run = founding_run()
    stored("1-old")
    path = stored(
        "2-new",
        host=replace(run.host, id="another", cores=99, cpu_flags=("new",)),
        engine=replace(run.engine, name="podman"),
        script_digest="sha256:" + "9" * 64,
        matrix=replace(run.matrix, cells=run.matrix.cells[1:]),
        matrix_digest="sha256:" + "8" * 64,
    )
    said = printed(capsys, "1-old", str(path))
    assert said[0].endswith("reports/1-old → " + str(path.resolve()))
    assert f"  matrix: {run.matrix_digest.removeprefix('sha256:')[:12]} → 888888888888" in said
    assert any(line.startswith("  script: ") and line.endswith(" → 999999999999") for line in said)
    assert f"  cells only in 1-old: {run.matrix.cells[0].id}" in said
    assert "  CPU flags only in 2-new: new" in said
    assert f"  cores: {run.host.cores} → 99" in said
    assert any(line.startswith("  engine: docker ") and " → podman " in line for line in said)
    assert said[-1].startswith("the same: lock, seed, blocks, commit, ")
    assert printed(capsys, "1-old", "1-old")[1] == "  nothing differs"


def test_a_run_and_a_cell(capsys: pytest.CaptureFixture[str]) -> None:
    """They cannot be compared."""
    declare(VERSIONS)
    stored("1-old")
    assert main(["diff", "lib=1.0", "1-old"]) == Exit.CONFIG
    assert capsys.readouterr().err == (
        "1-old is a run, but lib=1.0 is none; name two runs, or two cells of the matrix.\n"
    )
