"""A small run of the founding study, as records without files.

The numbers are invented, plausible for a laptop, and always the same.
"""

import zlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from runner.records.environment import (
    Base,
    BaseKind,
    Environment,
    EnvironmentRequest,
    Image,
    Lock,
    Package,
    Requirement,
)
from runner.records.run import EngineFacts, Host, Plan, Run, Trial, TrialResult
from runner.records.study import (
    Axis,
    AxisKind,
    Better,
    Cell,
    Claim,
    Experiment,
    Limits,
    Matrix,
    Metric,
    Pair,
    PolicyLimit,
    Published,
    Scale,
    Status,
)
from runner.runs.folder import StoredRun
from tests.support.fakes import QUIET

DAY = datetime(2026, 11, 23, 9, 30, tzinfo=timezone.utc)
GIB = 1024**3
MODELS = ("sequential", "functional", "subclassed")
AS_PUBLISHED = "tensorflow=1.15.0,model=subclassed-as-published"
ERROR = "RuntimeError: __iter__() is only supported inside of tf.function."


def _accuracy(name: str) -> Metric:
    title = name.replace("_", " ")
    return Metric(
        name=name,
        unit="%",
        better=Better.HIGHER,
        title=title,
        scale=Scale.DIFFERENCE,
        margin=0.2,
    )


METRICS = (
    Metric(
        name="epoch_seconds",
        unit="s",
        better=Better.LOWER,
        title="time per epoch",
        cpu_time="epoch_cpu_seconds",
    ),
    Metric(name="us_per_sample", unit="us", better=Better.LOWER, title="time per sample"),
    Metric(name="epoch_cpu_seconds", unit="s", better=Better.LOWER, title="CPU time per epoch"),
    Metric(name="startup_seconds", unit="s", better=Better.LOWER, title="start-up"),
    _accuracy("best_train_accuracy"),
    _accuracy("final_train_accuracy"),
    _accuracy("test_accuracy"),
    Metric(name="peak_memory", unit="MB", better=Better.LOWER, title="peak memory"),
)

# Seconds per epoch and for start-up; best, final and test accuracy in per cent; MB.
_TYPICAL = {
    "tensorflow=1.15.0,model=sequential": (0.834, 4.2, 93.31, 93.28, 92.61, 652.0),
    "tensorflow=1.15.0,model=functional": (0.836, 4.2, 93.31, 93.28, 92.61, 654.0),
    "tensorflow=1.15.0,model=subclassed": (1.912, 4.4, 93.36, 93.33, 92.58, 671.0),
    "tensorflow=2.0.0,model=sequential": (1.021, 5.1, 93.33, 93.29, 92.63, 851.0),
    "tensorflow=2.0.0,model=functional": (1.018, 5.1, 93.33, 93.29, 92.63, 850.0),
    "tensorflow=2.0.0,model=subclassed": (1.604, 5.3, 93.35, 93.31, 92.60, 858.0),
}


def request(version: str) -> EnvironmentRequest:
    """Return the request of the cells with one version of TensorFlow."""
    need = Requirement(
        axis="tensorflow", distributions=("tensorflow-cpu", "tensorflow"), version=version
    )
    return EnvironmentRequest(requirements=(need,))


def cell(version: str, model: str) -> Cell:
    """Return a cell of the founding study."""
    published = model == "subclassed-as-published"
    return Cell(
        coordinates=(("tensorflow", version), ("model", model)),
        request=request(version),
        parameters={"epochs": 50, "batch": 32},
        timeout_s=60.0 if published else 900.0,
        expect=Status.FAILED if published else Status.OK,
        blocks=1 if published else None,
    )


def founding_matrix() -> Matrix:
    """Return the founding study: seven cells, eight metrics, published values, claims, policy."""
    old, new = "tensorflow=1.15.0", "tensorflow=2.0.0"
    return Matrix(
        name="founding",
        title="MNIST, one softmax layer: TensorFlow 1.15.0 against 2.0.0",
        source="the article whose numbers are checked here",
        axes=(
            Axis(
                name="tensorflow",
                kind=AxisKind.VERSION,
                values=("1.15.0", "2.0.0"),
                distributions=("tensorflow-cpu", "tensorflow"),
            ),
            Axis(name="model", values=MODELS),
        ),
        cells=(
            *(cell(version, model) for version in ("1.15.0", "2.0.0") for model in MODELS),
            cell("1.15.0", "subclassed-as-published"),
        ),
        experiment=Experiment(
            script="experiments/mnist_softmax.py", data=("experiments/data/mnist.npz",)
        ),
        metrics=METRICS,
        limits=Limits(),
        blocks=7,
        baseline=(("tensorflow", "1.15.0"),),
        compare=tuple(
            Pair(
                of=f"{new},model={model}",
                against=f"{old},model={model}",
                metrics=("epoch_seconds", "test_accuracy"),
            )
            for model in MODELS
        ),
        published=(
            Published(
                cell=f"{old},model=sequential",
                values={"epoch_seconds": 5, "us_per_sample": 80, "best_train_accuracy": 93.27},
            ),
            Published(
                cell=f"{new},model=sequential",
                values={"epoch_seconds": 4, "us_per_sample": 65, "best_train_accuracy": 93.4},
            ),
            Published(
                cell=f"{new},model=subclassed",
                values={"epoch_seconds": 3, "us_per_sample": 87, "best_train_accuracy": 93.92},
                note="3 s for 60,000 samples would be 50 us/sample",
            ),
            Published(cell=AS_PUBLISHED, values={}, note="we would not be able to run it"),
        ),
        claims=(
            Claim(
                id="newer-is-faster",
                text="Newer TensorFlow trains faster.",
                of=f"{new},model=sequential",
                against=f"{old},model=sequential",
                metric="us_per_sample",
                says=Better.LOWER,
                published=(65.0, 80.0),
            ),
            Claim(
                id="newer-is-no-more-accurate",
                text="Newer TensorFlow is no more accurate.",
                of=f"{new},model=sequential",
                against=f"{old},model=sequential",
                metric="best_train_accuracy",
                says=Better.NEITHER,
                published=(93.4, 93.27),
            ),
            Claim(
                id="subclassed-cannot-run",
                text="The subclassed model cannot be run on TensorFlow 1.15.0.",
                of=AS_PUBLISHED,
                status=Status.FAILED,
            ),
        ),
        policy=(
            PolicyLimit(metric="epoch_seconds", change=0.03, relative=True),
            PolicyLimit(metric="test_accuracy", change=-0.2, relative=False),
        ),
        quick={"epochs": 3},
    )


def founding_lock() -> Lock:
    """Return a lock with two environments that share some packages."""
    shared = {"absl-py": "0.8.1", "termcolor": "1.1.0", "wheel": "0.33.6", "wrapt": "1.11.2"}
    old = {"tensorflow-cpu": "1.15.0", "numpy": "1.17.3", "gast": "0.2.2", "protobuf": "3.10.0"}
    new = {"tensorflow": "2.0.0", "numpy": "1.17.2", "gast": "0.2.2", "protobuf": "3.10.0"}
    days = {"1.15.0": datetime(2019, 10, 15, 18, 4, tzinfo=timezone.utc)}
    days["2.0.0"] = datetime(2019, 10, 1, 19, 40, tzinfo=timezone.utc)
    return Lock(
        entries=tuple(
            Environment(
                request=request(version),
                python="3.7",
                platform="linux-x86_64",
                as_of=days[version],
                packages=tuple(
                    Package(name=name, version=pin, hashes=(f"sha256:{'0' * 64}",))
                    for name, pin in sorted({**shared, **own}.items())
                ),
            )
            for version, own in (("1.15.0", old), ("2.0.0", new))
        )
    )


BASE = Base(kind=BaseKind.ASSEMBLED, name="host python 3.7.16", digest="sha256:" + "b" * 64)


def founding_images() -> tuple[Image, ...]:
    """Return an image for each environment."""
    return tuple(
        Image(
            environment=letter * 64,
            label=f"tensorflow={version}",
            id=f"sha256:{letter * 64}",
            size_bytes=size,
            base=BASE,
        )
        for letter, version, size in (("1", "1.15.0", 851_000_000), ("2", "2.0.0", 1_120_000_000))
    )


def founding_run(matrix: Matrix | None = None) -> Run:
    """Return a run of the founding study on a laptop with Docker."""
    return Run(
        id="founding-20261123T093000Z",
        key="k" * 64,
        created_at=DAY,
        runner_version="0.1.0",
        git_commit="c" * 40,
        matrix=matrix or founding_matrix(),
        matrix_digest="d" * 64,
        lock=founding_lock(),
        lock_digest="e" * 64,
        script_digest="f" * 64,
        data_digests={"experiments/data/mnist.npz": "a" * 64},
        host=Host(
            id="9" * 64,
            cpu_model="Example CPU @ 2.60GHz",
            cpu_flags=("sse2", "avx", "avx2", "avx512f", "fma"),
            cores=2,
            memory_bytes=8 * GIB,
            kernel="6.1.0",
            system="Debian GNU/Linux 12 (bookworm)",
            python="3.12.1",
        ),
        engine=EngineFacts(
            name="docker",
            version="20.10.24",
            api="1.41",
            storage="overlay2",
            cgroup=2,
            cpus=2,
            memory_bytes=8 * GIB,
            architecture="x86_64",
            kernel="6.1.0",
            system="Debian GNU/Linux 12 (bookworm)",
        ),
        bases={"3.7": BASE},
    )


def founding_plan(matrix: Matrix | None = None) -> Plan:
    """Return a plan in which each block rotates the order of the matrix."""
    matrix = matrix or founding_matrix()
    trials = []
    for block in range(1, matrix.blocks + 1):
        ids = [cell.id for cell in matrix.cells if cell.blocks is None or block <= cell.blocks]
        ids = ids[block % len(ids) :] + ids[: block % len(ids)]
        trials += [
            Trial(cell=cell_id, block=block, position=position, seed=1000 + block)
            for position, cell_id in enumerate(ids)
        ]
        control = Trial(
            cell=matrix.cells[0].id, block=block, position=len(ids), seed=1000 + block, control=True
        )
        trials += [control] if matrix.compare else []
    looks = tuple(matrix.blocks * look for look in (1, 2, 3, 4))
    return Plan(seed=1, blocks=matrix.blocks, trials=tuple(trials), looks=looks)


def founding_results(trials: int | None = None) -> tuple[TrialResult, ...]:
    """Return the results of the first ``trials`` trials, or of all trials."""
    return tuple(founding_result(trial) for trial in founding_plan().trials[:trials])


def stored_results(trials: int | None = None) -> tuple[TrialResult, ...]:
    """Return the same results with what a launcher measured, as a run saves them."""
    return tuple(replace(one, reading=QUIET) for one in founding_results(trials))


def founding_result(trial: Trial) -> TrialResult:
    """Return the expected result of a trial."""
    if trial.cell == AS_PUBLISHED:
        return failed_result(trial, reason=f"exit code 1: {ERROR}")
    seconds, startup, best, final, test, peak = _TYPICAL[trial.cell]
    # Noise of the block and, less, of the trial: the same every time, different for each cell.
    own = zlib.crc32(f"{trial.cell}{trial.block}{trial.control}".encode()) % 7 - 3
    wobble = 1 + (trial.block * 37 % 7 - 3) / 300 + own / 900
    epoch = seconds * wobble
    return ok_result(
        trial,
        values={
            "startup_seconds": startup * wobble,
            "best_train_accuracy": best + (wobble - 1) * 2,
            "final_train_accuracy": final + (wobble - 1) * 2,
            "test_accuracy": test + (wobble - 1) * 3,
            "peak_memory": peak,
        },
        series={
            "train_accuracy": tuple(final - 1 / epoch for epoch in range(1, 6)),
            "epoch_seconds": (epoch * 1.6, epoch * 1.1, epoch, epoch, epoch),
            "us_per_sample": tuple(e / 0.06 for e in (epoch * 1.6, epoch * 1.1, epoch)),
            "epoch_cpu_seconds": (epoch * 1.6, epoch * 1.05, epoch * 0.99),
        },
        adapted="eager execution switched on by one line"
        if trial.cell == "tensorflow=1.15.0,model=subclassed"
        else None,
    )


def ok_result(
    trial: Trial,
    values: Mapping[str, float],
    series: Mapping[str, tuple[float, ...]],
    adapted: str | None = None,
) -> TrialResult:
    """Return the result of a trial that is ok."""
    new = "2.0.0" in trial.cell
    return TrialResult(
        trial=trial,
        status=Status.OK,
        values=values,
        series=series,
        environment={
            "python": "3.7.16",
            "tensorflow": "2.0.0" if new else "1.15.0",
            "keras": "2.2.4-tf",
            "numpy": "1.17.2" if new else "1.17.3",
            "eager": new or "model=subclassed" in trial.cell,
        },
        adapted=adapted,
        image="sha256:" + ("2" if new else "1") * 64,
        started_at=DAY + timedelta(minutes=trial.block * 8 + trial.position),
        duration_s=55.0,
    )


def failed_result(
    trial: Trial, status: Status = Status.FAILED, reason: str = "exit code 1"
) -> TrialResult:
    """Return the result of a trial that is not ok."""
    return TrialResult(
        trial=trial,
        status=status,
        reason=reason,
        values={},
        series={},
        environment={},
        image="sha256:" + ("2" if "2.0.0" in trial.cell else "1") * 64,
        started_at=DAY + timedelta(minutes=trial.block * 8 + trial.position),
        duration_s=7.0,
    )


def founding_logs() -> dict[str, str]:
    """Return the log of the only trial that is not ok."""
    return {
        f"{AS_PUBLISHED}@b1.1": "epoch 1\n"
        "Traceback (most recent call last):\n"
        '  File "mnist_softmax.py", line 88, in <module>\n'
        "    for images, labels in batches:\n"
        f"{ERROR}\n"
    }


def founding_stored(
    results: tuple[TrialResult, ...] | None = None,
    matrix: Matrix | None = None,
    logs: dict[str, str] | None = None,
    run: Run | None = None,
) -> StoredRun:
    """Return the founding study as a stored run, with some changes."""
    return StoredRun(
        run=run or founding_run(matrix),
        plan=founding_plan(matrix),
        images=founding_images(),
        results=founding_results() if results is None else results,
        logs=founding_logs() if logs is None else logs,
    )
