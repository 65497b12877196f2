"""Show that decided cells can leave a run: the same verdicts, with fewer trials.

The program replays recorded real samples in two ways: every cell in all 28 blocks, or with looks
at 7, 14, 21 and 28 blocks after which decided cells leave. ``recorded/samples.json`` holds 28
blocks of the control and of cells whose true ratios are known. Both ways use the level of a look.
The program prints both verdicts of each cell and the share of trials that the second way needed,
and ends with 1 if a verdict differs or that share is over its limit.

    python -m benchmarks.adaptive                 replay the recorded samples
    python -m benchmarks.adaptive --record RUN    record a run of recorded/matrix.yaml
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.rows import Row, compared, figure, finished, with_json
from runner.judge import judge, next_plan
from runner.judge.records import Goal, Judgement
from runner.plan import make_plan
from runner.read import read
from runner.records.attempts import Attempts
from runner.records.run import Trial, TrialResult
from runner.records.study import Matrix, Status
from runner.runs.folder import find_run
from runner.summarise import metric_value

RECORDED = Path(__file__).parent / "recorded"
METRIC = "epoch_seconds"
CONTROL = "control"
FIXED_BLOCKS = 28
MOST_TRIALS = 0.6

Samples = Mapping[str, Sequence[float | None]]
"""Seconds of an epoch by cell (and control), block by block; ``None`` for a disturbed trial."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The last judgement of one way, and the number of trials that it needed."""

    judgement: Judgement
    trials: int


def main() -> int:
    """Replay the recorded samples both ways, or record them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--record", metavar="RUN", help="record the samples of a run folder")
    asked = with_json(parser).parse_args()
    if asked.record is not None:
        record(asked.record)
        return 0
    samples: Samples = json.loads((RECORDED / "samples.json").read_text(encoding="utf-8"))
    matrix = read(RECORDED / "matrix.yaml")
    looked_at = replace(matrix, blocks=FIXED_BLOCKS // 4, looks=4)
    rows = show(with_fixed_blocks(looked_at, samples), with_looks(looked_at, samples))
    return finished(rows, asked.json)


def with_fixed_blocks(matrix: Matrix, samples: Samples) -> Ended:
    """Run every cell in all blocks, and read the verdicts at the last look."""
    plan = make_plan(matrix, seed=1, blocks=FIXED_BLOCKS)
    return Ended(judge(matrix, plan, results(plan.trials, samples)), len(plan.trials))


def with_looks(matrix: Matrix, samples: Samples) -> Ended:
    """Add blocks look by look until everything is decided; decided cells leave."""
    plan = make_plan(matrix, seed=1)
    while True:
        judgement = judge(matrix, plan, results(plan.trials, samples))
        following = next_plan(matrix, plan, judgement, Goal()).plan
        if following == plan:
            return Ended(judgement, len(plan.trials))
        plan = following


def results(trials: Sequence[Trial], samples: Samples) -> list[TrialResult]:
    """Return the recorded results of planned trials."""
    return [_result(trial, samples) for trial in trials]


def _result(trial: Trial, samples: Samples) -> TrialResult:
    name = CONTROL if trial.control else trial.cell.removeprefix("work=")
    number = samples[name][trial.block - 1]
    return TrialResult(
        trial=trial,
        status=Status.OK,
        values={} if number is None else {METRIC: number},
        series={},
        environment={},
        started_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
        duration_s=None,
    )


def show(fixed: Ended, adaptive: Ended) -> list[Row]:
    """Print both verdicts of each cell; return how many agree, and the share of the trials."""
    print(f"{'cell':10} {'all in 28 blocks':34} decided cells leave")
    agreed = 0
    pairs = zip(named(fixed.judgement), named(adaptive.judgement), strict=True)
    for (cell, one, verdict), (_, other, same) in pairs:
        agreed += verdict == same
        print(f"{cell:10} {one:34} {other}")
    total = len(named(fixed.judgement))
    same_verdicts = Row(
        what="verdicts if decided cells leave",
        unit=f"of {total} as with fixed blocks",
        ours=figure([agreed]),
        goal="all",
        met=agreed == total,
    )
    peer = f"{FIXED_BLOCKS} blocks of every cell"
    trials = [(adaptive.trials, fixed.trials)]
    return [
        same_verdicts,
        compared("trials if decided cells leave", peer, "", trials, most_ratio=MOST_TRIALS),
    ]


def named(judgement: Judgement) -> list[tuple[str, str, str]]:
    """Return cell, verdict with interval, and verdict of each named comparison."""
    found = []
    for one in judgement.comparisons:
        if one.named and one.estimate:
            span = f"{one.estimate.low:+.3f} .. {one.estimate.high:+.3f}, n={one.estimate.n}"
            cell = one.of.removeprefix("work=")
            found.append((cell, f"{one.verdict.value:11} {span}", one.verdict.value))
    return found


def record(run: str) -> None:
    """Write the samples of a finished run."""
    stored = find_run(Path("reports"), run).stored()
    metric = stored.run.matrix.metric(METRIC)
    samples: dict[str, list[float | None]] = {}
    for result in Attempts(stored.results).counting():
        cell = CONTROL if result.trial.control else result.trial.cell.removeprefix("work=")
        numbers = samples.setdefault(cell, [None] * stored.plan.blocks)
        numbers[result.trial.block - 1] = None if result.disturbed else metric_value(result, metric)
    lines = (f" {json.dumps(cell)}: {json.dumps(samples[cell])}" for cell in sorted(samples))
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    (RECORDED / "samples.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
