"""A large run on disk: some versions of a package, models and threads, with invented numbers.

The numbers come from a seed, so that the same call always writes the same files.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from runner.plan import make_plan
from runner.records import Record
from runner.records.environment import (
    Environment,
    EnvironmentRequest,
    Image,
    Images,
    Lock,
    Package,
    Requirement,
)
from runner.records.run import Plan, Run, Trial, TrialResult
from runner.records.study import (
    Axis,
    AxisKind,
    Better,
    Cell,
    Experiment,
    Limits,
    Matrix,
    Metric,
    Pair,
    PolicyLimit,
    Scale,
    Status,
)
from runner.runs.files import file_name
from runner.runs.folder import FILES, LOCK, RunFolder
from runner.system import stored
from tests.support.fakes import QUIET
from tests.support.samples import BASE, DAY, failed_result, founding_run, ok_result

METRICS = (
    Metric(
        name="epoch_seconds",
        unit="s",
        better=Better.LOWER,
        title="time per epoch",
        cpu_time="epoch_cpu_seconds",
    ),
    Metric(name="epoch_cpu_seconds", unit="s", better=Better.LOWER, title="CPU time per epoch"),
    Metric(
        name="test_accuracy",
        unit="%",
        better=Better.HIGHER,
        title="test accuracy",
        scale=Scale.DIFFERENCE,
        margin=0.2,
        paired=False,
    ),
)
MODELS = ("dense", "conv", "recurrent", "attention", "mixer")
MODEL_SECONDS = {"dense": 0.4, "conv": 1.1, "recurrent": 2.3, "attention": 3.0, "mixer": 1.7}
EPOCHS = 5
DISTURBED = 0.02
"""The share of disturbed trials."""
SHAKY = 0.01
"""The share of cells that fail now and then."""
CRASH = 0.1
"""The share of trials that fail in such a cell."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What all trials of a cell have in common."""

    seconds: float
    accuracy: float
    fails: float
    """The share of its trials that fail."""


def large_run(
    folder: Path, cells: int = 1000, blocks: int = 10, versions: int = 25, seed: int = 1
) -> RunFolder:
    """Write a finished run with so many cells and blocks; return its folder.

    The cells of one version with one model always fail, and a few others now and then. The only
    look is after the last block.
    """
    matrix = large_matrix(cells, blocks, versions)
    plan = make_plan(matrix, seed)
    run = prepared_folder(folder, matrix)
    for place in ("trials", "logs"):
        (folder / place).mkdir()
    _write(folder / FILES[Plan], plan)
    for result, log in invented(matrix, plan, seed):
        name = file_name(result.trial.id)
        _write(folder / "trials" / f"{name}.json", result)
        (folder / "logs" / f"{name}.log").write_text(log)
    return run


def prepared_folder(folder: Path, matrix: Matrix) -> RunFolder:
    """Write a run before its first trial, apart from its plan; return its folder."""
    folder.mkdir(parents=True)
    (folder / LOCK).touch()
    _write(folder / FILES[Run], _run(matrix))
    _write(folder / FILES[Images], Images(images=_images(matrix)))
    return RunFolder(folder)


def invented(matrix: Matrix, plan: Plan, seed: int) -> Iterator[tuple[TrialResult, str]]:
    """Yield a result and its log for each trial of a plan."""
    kinds = _kinds(matrix, random.Random(seed))
    luck = random.Random(seed + 1)
    by_label = {image.label: image.id for image in _images(matrix)}
    labels = {cell.id: cell.request.label for cell in matrix.cells}
    for trial in plan.trials:
        result = _result(trial, kinds[trial.cell], luck)
        result = replace(result, image=by_label[labels[trial.cell]])
        yield result, _log(result)


def large_matrix(cells: int, blocks: int, versions: int) -> Matrix:
    """Return a study of at most so many cells, in which every version has the same other cells."""
    threads = range(1, 1 + max(1, cells // (versions * len(MODELS))))
    models = MODELS[: max(1, min(len(MODELS), cells // versions))]
    values = tuple(f"1.{minor}.0" for minor in range(versions))
    names = ("lib", "model", "threads")
    made = tuple(_cell(names, each) for each in product(values, models, threads))
    return Matrix(
        name="large",
        title=f"lib: {versions} versions",
        axes=(
            Axis(name="lib", kind=AxisKind.VERSION, values=values, distributions=("lib",)),
            Axis(name="model", values=models),
            Axis(name="threads", values=tuple(threads)),
        ),
        cells=made,
        experiment=Experiment(script="run.py"),
        metrics=METRICS,
        limits=Limits(),
        blocks=blocks,
        looks=1,
        baseline=(("lib", values[0]),),
        compare=_pairs(made),
        policy=(PolicyLimit(metric="epoch_seconds", change=0.05, relative=True),),
        quick={},
    )


def _cell(names: Sequence[str], values: tuple[str, str, int]) -> Cell:
    version, model, threads = values
    need = Requirement(axis="lib", distributions=("lib",), version=version)
    return Cell(
        coordinates=tuple(zip(names, values, strict=True)),
        request=EnvironmentRequest(requirements=(need,)),
        parameters={"model": model, "threads": threads, "epochs": EPOCHS},
        timeout_s=900.0,
    )


def _pairs(cells: Sequence[Cell]) -> tuple[Pair, ...]:
    """Return the comparison of each cell with the same cell of the first version."""
    first = {cell.coordinates[1:]: cell for cell in reversed(cells)}
    return tuple(
        Pair(of=cell.id, against=first[cell.coordinates[1:]].id, metrics=("epoch_seconds",))
        for cell in cells
        if cell != first[cell.coordinates[1:]]
    )


def _images(matrix: Matrix) -> tuple[Image, ...]:
    return tuple(
        Image(
            environment=f"{number:064x}",
            label=request.label,
            id=f"sha256:{number:064x}",
            size_bytes=400_000_000 + number * 1_000_000,
            base=BASE,
        )
        for number, request in enumerate(matrix.requests, start=1)
    )


def _run(matrix: Matrix) -> Run:
    """Return the run; every version has some packages of its own."""
    entries = tuple(
        Environment(
            request=request,
            python="3.7",
            platform="linux-x86_64",
            as_of=DAY,
            packages=tuple(
                Package(name=name, version=version, hashes=(f"sha256:{'0' * 64}",))
                for name, version in (
                    ("lib", request.requirements[0].version),
                    ("numpy", f"1.{number // 4}.0"),
                    *((f"package-{index}", f"1.{number * index // 40}") for index in range(20)),
                )
            ),
        )
        for number, request in enumerate(matrix.requests)
    )
    run = founding_run(matrix)
    return replace(
        run,
        id="large",
        lock=Lock(entries=entries),
        script_digest="f" * 64,
        data_digests={},
    )


def _kinds(matrix: Matrix, luck: random.Random) -> Mapping[str, Kind]:
    """Return the kind of each cell: later versions are slower or faster by a few per cent."""
    versions, models = matrix.axes[0].values, matrix.axes[1].values
    speeds = {version: 1 + luck.uniform(-0.06, 0.06) for version in versions}
    kinds = {}
    for cell in matrix.cells:
        version, model, threads = (value for _, value in cell.coordinates)
        broken = version == versions[-1] and model == models[-1]
        shaky = luck.random() < SHAKY and version != versions[0]
        kinds[cell.id] = Kind(
            seconds=MODEL_SECONDS[str(model)] * speeds[version] / int(threads) ** 0.7,
            accuracy=90 + len(str(model)) / 5 + luck.uniform(-0.05, 0.05),
            fails=1.0 if broken else CRASH if shaky else 0.0,
        )
    return kinds


def _result(trial: Trial, kind: Kind, luck: random.Random) -> TrialResult:
    if luck.random() < kind.fails:
        return replace(
            failed_result(trial, reason="exit code 1: ValueError: broken"), reading=QUIET
        )
    drift = 1 + (trial.block * 37 % 7 - 3) / 300
    seconds = kind.seconds * drift * luck.lognormvariate(0, 0.01)
    epochs = tuple(_epochs(seconds, luck))
    result = ok_result(
        trial,
        values={"test_accuracy": kind.accuracy + luck.gauss(0, 0.05)},
        series={
            "epoch_seconds": epochs,
            "epoch_cpu_seconds": tuple(epoch * 0.98 for epoch in epochs),
            "train_accuracy": tuple(kind.accuracy - 3 / epoch for epoch in range(1, EPOCHS + 1)),
        },
    )
    disturbed = "other processes took 20% of the measured core" * (luck.random() < DISTURBED)
    return replace(result, reading=QUIET, disturbed=disturbed or None)


def _epochs(seconds: float, luck: random.Random) -> Iterator[float]:
    yield seconds * 1.6
    for _ in range(1, EPOCHS):
        yield seconds * luck.lognormvariate(0, 0.005)


def _log(result: TrialResult) -> str:
    if result.status is Status.OK:
        return "done\n"
    line = 'Traceback (most recent call last):\n  File "run.py", line 3, in <module>\n'
    return f"epoch 1\n{line}ValueError: broken\n"


def _write(path: Path, record: Record) -> None:
    """Write a record as a run does, but without waiting for the disk."""
    path.write_bytes(stored.sealed(stored.dump(record)))
