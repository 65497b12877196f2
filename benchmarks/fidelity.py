"""Measure whether two engines give the same numbers: one cell on both, block by block.

Usage, on a machine with both engines::

    python -m benchmarks.fidelity [--pairs N] [--epochs N] [--seed N] [--engines docker venv]
                                  [--control] [--keep DIR]

A block runs the founding study's ``tensorflow=2.0.0,model=sequential`` once on each engine, in
random order and with one seed. It is prepared, executed and judged by the code of a run, as if the
engine were an axis of the matrix. ``--control`` adds a second trial on the first engine, which
shows the noise of the host. A trial that is not ok gives no numbers, and one that stays disturbed
gives no wall times. Ctrl-C prints the results so far. 14 pairs take about eight minutes.
"""

import argparse
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from statistics import median

from runner import engines
from runner.cli.progress import Progress
from runner.engines.protocol import Engine
from runner.errors import EngineError, EngineLostError, Exit, RunFolderError, RunnerError
from runner.execute import Place, Study, clear, execute, staged
from runner.judge.compare import Asked, measure
from runner.judge.records import Comparison, Verdict
from runner.judge.samples import Samples, gather
from runner.lock.file import lock_path, read_lock
from runner.observer import Observer
from runner.plan import FEWEST_BLOCKS, estimate, make_plan, quick, select, to_repeat
from runner.prepare import find_bases, prepare
from runner.read import read
from runner.records.run import EngineFacts, Plan, Trial, TrialResult
from runner.records.study import Axis, Better, Matrix, Metric, Pair, Scale, Status
from runner.report.words import NOTHING, amount, heading, margin, number, unit
from runner.runs import registry
from runner.runs.folder import RunFolder, occupied
from runner.system import signals, tempdir
from runner.system.cores import Turns, keep_off_measured
from runner.system.host import runs_here, this_host
from runner.text import counted, one_line

MATRIX = Path(__file__).parents[1] / "matrix.yaml"
SELECTED = ("tensorflow=2.0.0", "model=sequential")
METRICS = ("epoch_seconds", "epoch_cpu_seconds", "startup_seconds", "test_accuracy")
WHOLE = Metric(name="whole_trial_seconds", unit="s", better=Better.LOWER, title="whole trial")
"""From creating the container (or process) to removing it, without the wait for a quiet core."""
LEVEL = 0.95
"""The level of each single interval."""


def main() -> int:
    """Measure, print, and return the exit code."""
    wanted = _arguments()
    matrix = on_engines(wanted.engines, wanted.pairs, wanted.epochs)
    plan = planned(matrix, wanted.seed, control=wanted.control)
    facts: dict[str, EngineFacts] = {}
    results: list[TrialResult] = []
    code = Exit.OK
    signals.listen()
    try:
        with ExitStack() as at_the_end:
            place = at_the_end.enter_context(tempdir.folder())
            observer = at_the_end.enter_context(Progress(sys.stdout))
            folder = RunFolder(wanted.keep or place / "fidelity")
            ours = at_the_end.enter_context(occupied(folder.path))
            if not ours or folder.results():
                raise RunFolderError(f"{folder.path} is in use or holds results; name another one.")
            connected: dict[str, Engine] = {}
            for name in wanted.engines:
                engine = engines.connect(name, this_host().id, observer.note)
                connected[name] = at_the_end.enter_context(closing(engine))
                facts[name] = engine.describe()
            for result in carry_out(matrix, plan, connected, folder, observer):
                results.append(result)  # noqa: PERF402 (an interruption loses none of them)
    except KeyboardInterrupt:
        signals.ignore()
        code = Exit.INTERRUPTED
    except RunnerError as error:
        print(error, file=sys.stderr)
        code = error.exit_code
    for line in lines(matrix, plan, results, facts) if results else ():
        print(line)
    return code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--pairs", type=int, default=14, help="how many blocks (default: 14)")
    parser.add_argument("--epochs", type=int, default=5, help="epochs per trial (default: 5)")
    chance = int.from_bytes(os.urandom(4), "big")
    parser.add_argument("--seed", type=int, default=chance, help="the seed (default: random)")
    parser.add_argument(
        "--engines", nargs=2, choices=("docker", "podman", "venv"), default=("docker", "venv"),
        help="the second is compared with the first (default: docker venv)",
    )  # fmt: skip
    parser.add_argument("--control", action="store_true", help="run the first engine twice")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep results and logs here")
    wanted = parser.parse_args()
    if min(wanted.pairs, wanted.epochs) < 1 or len(set(wanted.engines)) == 1:
        parser.error("name two different engines, at least one pair and at least one epoch")
    return wanted


def on_engines(names: Sequence[str], pairs: int, epochs: int) -> Matrix:
    """Return a matrix with one cell on two engines, as if the engine were an axis."""
    chosen = select(read(MATRIX), SELECTED)
    (cell,) = quick(replace(chosen, quick={"epochs": epochs})).cells
    against, of = (replace(cell, coordinates=(*cell.coordinates, ("engine", one))) for one in names)
    return replace(
        chosen,
        axes=(*chosen.axes, Axis(name="engine", values=tuple(names))),
        cells=(against, of),
        blocks=pairs,
        baseline=against.coordinates,
        compare=(Pair(of=of.id, against=against.id, metrics=METRICS),),
    )


def planned(matrix: Matrix, seed: int, *, control: bool) -> Plan:
    """Return the plan of a run, with the control only if asked for."""
    plan = make_plan(matrix, seed)
    return replace(plan, trials=tuple(one for one in plan.trials if control or not one.control))


def engine_of(cell: str) -> str:
    """Return the name of the engine that runs a cell."""
    return cell.rpartition("engine=")[2]


def carry_out(
    matrix: Matrix,
    plan: Plan,
    connected: Mapping[str, Engine],
    folder: RunFolder,
    observer: Observer,
) -> Iterator[TrialResult]:
    """Execute the plan and yield each result; in the end only images are left on both engines."""
    studies = _studies(matrix, plan, connected, folder, observer)
    observer.planned(plan, 0, estimate(matrix, plan.trials, (), 0))
    results: list[TrialResult] = []
    try:
        with ExitStack() as at_the_end:
            for name, engine in connected.items():
                at_the_end.enter_context(staged(studies[name], engine))
            for block in range(1, plan.blocks + 1):
                to_do: Sequence[Trial] = [one for one in plan.trials if one.block == block]
                while to_do:
                    for one in to_do:
                        name = engine_of(one.cell)
                        for result in execute(
                            studies[name], [one], connected[name], folder, observer
                        ):
                            results.append(result)
                            yield result
                    to_do = to_repeat(matrix, plan, block, results)
    except EngineLostError:  # ``staged`` removed nothing; the other engine still answers
        for name, engine in connected.items():
            with suppress(EngineError):
                clear(engine, studies[name].run)
        raise


def _studies(
    matrix: Matrix,
    plan: Plan,
    connected: Mapping[str, Engine],
    folder: RunFolder,
    observer: Observer,
) -> Mapping[str, Study]:
    """Prepare the environment on each engine, and keep this process off the measured cores."""
    machine, facts = this_host(), [engine.describe() for engine in connected.values()]
    if len({one.cpus for one in facts}) > 1:
        raise EngineError(
            "one engine has more cores than the other, so they would measure on different cores; "
            "give this process all cores of the machine."
        )
    root, lock, mark = (
        MATRIX.parent,
        read_lock(lock_path(MATRIX)),
        registry.remember(folder.path),
    )
    studies = {}
    cores: tuple[int, ...] = ()
    for name, engine in connected.items():
        prepared = prepare(
            matrix,
            lock,
            engine,
            observer,
            folder.save_build_log,
            bases=find_bases(matrix, lock, engine),
        )
        for reason in prepared.missing.values():
            raise EngineError(f"{name}: {reason}")
        cores = engine.cores()[-matrix.limits.cpus :]
        studies[name] = Study(
            matrix=matrix,
            lock=lock,
            prepared=prepared,
            root=root,
            run=mark,
            guards=plan.guards,
            places=(Place(cores, Turns(cores, "the fidelity benchmark", observer.note)),),
        )
    if all(runs_here(machine, one) for one in facts):
        keep_off_measured(cores)
    return studies


def lines(
    matrix: Matrix, plan: Plan, results: Sequence[TrialResult], facts: Mapping[str, EngineFacts]
) -> Iterator[str]:
    """Yield the printed lines about results, which may cover only part of the plan."""
    against, of = (cell.id for cell in matrix.cells)
    judged = replace(matrix, matched=True, metrics=(*matrix.metrics, WHOLE))
    samples = gather(judged, plan, map(_judged, results), plan.blocks)
    epochs = matrix.cells[0].parameters["epochs"]
    yield f"\n{', '.join(SELECTED)}, {epochs} epochs, seed {plan.seed}"
    yield from (_described(name, one, results) for name, one in facts.items())
    disturbed, state = sum(one.disturbed is not None for one in results), samples.disturbance
    stayed = f"{state.stayed} of {state.trials} stay so after repeats"
    yield f"{counted(len(results), 'trial')} executed, {disturbed} of them disturbed; {stayed}"
    if state.busy:
        yield "the host was too busy for wall times; those that name a CPU time are judged by it"
    metrics = [*(one for one in matrix.metrics if one.name in METRICS), WHOLE]
    found = [measure(samples, Asked(of, against, one, named=True), LEVEL) for one in metrics]
    yield from _table(samples, found, engine_of(of), control=False)
    if any(one.control for one in plan.trials):
        asked = [Asked(against, against, one, named=False) for one in metrics]
        checks = [measure(samples, one, LEVEL, control=True) for one in asked]
        yield from _table(samples, checks, f"{engine_of(against)} again", control=True)
    yield ""
    for result in results:
        if result.status is not Status.OK:
            reason = one_line(result.reason or "unknown reason")
            yield f"no numbers from {result.trial.id}: {result.status.value}: {reason}"
    title, said = found[0].measured.title, _said(samples, found[0])
    yield f"{engine_of(of)} against {engine_of(against)}, {title}: {said}"


def _judged(result: TrialResult) -> TrialResult:
    """Add the time of the whole trial, and mark trials with one seed as matched.

    So accuracies are also compared within blocks.
    """
    waited_s = result.reading.waited_s if result.reading else 0.0
    whole = {} if result.duration_s is None else {WHOLE.name: result.duration_s - waited_s}
    return replace(
        result,
        values={**result.values, **whole},
        environment={**result.environment, "matched": result.trial.seed},
    )


def _described(name: str, facts: EngineFacts, results: Sequence[TrialResult]) -> str:
    """Describe an engine, and the cores on which its trials ran."""
    said = f"{facts.version} (API {facts.api}), storage {facts.storage}, cgroup v{facts.cgroup}."
    if facts.name == "venv":
        said = f"{facts.version}, isolation: {facts.isolation}"
    readings = [one.reading for one in results if engine_of(one.trial.cell) == name]
    cores = sorted({core for one in readings if one for core in one.cpus})
    return f"{name}: {said} Cores: {', '.join(map(str, cores)) or 'not known'}."


def _table(
    samples: Samples, found: Sequence[Comparison], of: str, *, control: bool
) -> Iterator[str]:
    """Yield a line for each comparison: medians, change with interval, and verdict."""
    against = engine_of(found[0].against)
    change = f"{of} / {against} ({LEVEL * 100:g} % interval)"
    yield f"\n{'':31} {against:>8} {of:>13} {change:>38} pairs  verdict"
    for one in {one.measured: one for one in found}.values():
        both = [
            samples.numbers(one.against, one.measured),
            samples.numbers(one.of, one.measured, control=control),
        ]
        left, right = (
            number(median(side[block] for block in one.changes), one.measured.unit)
            if one.changes
            else NOTHING
            for side in both
        )
        yield (
            f"{heading(one.measured):31} {left:>8} {right:>13} {_change(one):>38} "
            f"{len(one.changes):5}  {_said(samples, one)}"
        )


def _change(found: Comparison) -> str:
    """Return the change with its interval, as a ratio or as a difference in the metric's unit."""
    estimate, metric = found.estimate, found.measured
    if estimate is None:
        return NOTHING
    ends = (estimate.mean, estimate.low, estimate.high)
    if metric.scale is Scale.RATIO:
        mean, low, high = (f"{math.exp(end):.4f}" for end in ends)
        return f"{mean} ({low} to {high})"
    mean, low, high = (f"{end:+.3f}" for end in ends)
    return f"{mean} ({low} to {high}) {unit(metric)}"


def _said(samples: Samples, found: Comparison) -> str:
    """Return the verdict in words."""
    metric, estimate = found.measured, found.estimate
    timed = samples.matrix.depends_on_speed(metric)
    match found.verdict:
        case Verdict.EQUIVALENT if found.identical:
            return "the same in every pair"
        case Verdict.EQUIVALENT:
            return f"equivalent within \N{PLUS-MINUS SIGN}{margin(metric)}"
        case Verdict.LOWER | Verdict.HIGHER if estimate is not None:
            lower, higher = ("faster", "slower") if timed else ("lower", "higher")
            word = lower if found.verdict is Verdict.LOWER else higher
            note = f", below the negligible {margin(metric)}"
            return f"{word} by {amount(estimate.mean, metric)}{note if found.negligible else ''}"
        case _ if len(found.changes) < FEWEST_BLOCKS:
            return (
                f"cannot tell: {counted(len(found.changes), 'pair')} of the {FEWEST_BLOCKS} needed"
            )
        case _:
            return f"cannot tell: {found.reason}"


if __name__ == "__main__":
    raise SystemExit(main())
