"""Check every promise of the analysis on simulated runs. Each row of the table is one promise.

Usage::

    python -m benchmarks.acceptance [--size full|reduced] [--only ROW]

Only machines and experiments are simulated. Plans, the reduction of a series to one number,
comparisons, claims, looks and guards are the program's own code. Seeds are fixed. ``full`` takes
about 20 minutes on one core. ``reduced`` simulates a twentieth of the runs, with bounds that are
wider by three standard errors. The exit code is 1 if a figure is outside its bounds.
"""

import argparse
import math
import typing
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from statistics import fmean, median, stdev

import numpy as np
from numpy.typing import NDArray

from runner.execute.guards import disturbance
from runner.judge import judge, next_plan
from runner.judge.claims import judge_claim
from runner.judge.compare import Asked, compare, measure
from runner.judge.looks import look_after
from runner.judge.records import DECIDED, ClaimVerdict, Comparison, Goal, Look, Verdict
from runner.judge.samples import Samples, gather
from runner.plan import make_plan, pending, to_repeat
from runner.records.environment import EnvironmentRequest
from runner.records.run import Guards, Plan, Reading, Trial, TrialResult
from runner.records.study import (
    Axis,
    Better,
    Cell,
    Claim,
    Experiment,
    Limits,
    Matrix,
    Metric,
    Pair,
    Scale,
    Status,
)

Logs = NDArray[np.float64]
"""Natural logarithms of times in seconds, by block, position in the block and epoch."""

SEED = 20261123
BATCH = 250
"""How many runs are simulated at once."""
DAY = datetime(2026, 11, 23, tzinfo=timezone.utc)
DIFFERENT = frozenset({Verdict.LOWER, Verdict.HIGHER})

SECONDS = Metric(name="epoch_seconds", unit="s", better=Better.NEITHER, title="time per epoch")
ACCURACY = Metric(
    name="accuracy",
    unit="%",
    better=Better.NEITHER,
    title="test accuracy",
    scale=Scale.DIFFERENCE,
    margin=0.2,
)


# --- figures ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The share of the full number of runs, and by how many standard errors bounds are wider."""

    share: float
    standard_errors: float

    def runs(self, full: int) -> int:
        """Return the number of runs for a figure that has ``full`` runs at full size."""
        return max(20, round(full * self.share))


SIZES = {
    "full": Size(share=1.0, standard_errors=0.0),
    "reduced": Size(share=0.05, standard_errors=3.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure with its bounds and its standard error, all in the same unit.

    A figure without bounds is only printed.
    """

    case: str
    reached: float
    unit: str
    least: float | None = None
    most: float | None = None
    error: float = 0.0
    runs: int

    def passes(self, size: Size) -> bool:
        """Return whether the figure is inside its bounds, which are wider at a reduced size."""
        room = size.standard_errors * self.error
        above = self.least is None or self.reached >= self.least - room
        return above and (self.most is None or self.reached <= self.most + room)

    @property
    def bound(self) -> str:
        """The bounds as printed."""
        if self.least is not None and self.most is not None:
            return f"{self.least:g} to {self.most:g}"
        if self.least is not None:
            return f">= {self.least:g}"
        return "" if self.most is None else f"<= {self.most:g}"


def share(
    case: str, found: Sequence[bool], *, least: float | None = None, most: float | None = None
) -> Figure:
    """Return how often something was found, in percent, with the error that its bound implies."""
    bounds = [one for one in (least, most) if one is not None]
    expected = max((one * (100 - one) for one in bounds), default=0.0)
    return Figure(
        case=case,
        reached=100 * fmean(found),
        unit="%",
        least=least,
        most=most,
        error=math.sqrt(expected / len(found)),
        runs=len(found),
    )


def average(
    case: str,
    numbers: Sequence[float],
    unit: str,
    *,
    least: float | None = None,
    most: float | None = None,
) -> Figure:
    """Return the mean of the numbers as a figure."""
    error = stdev(numbers) / math.sqrt(len(numbers))
    return Figure(
        case=case,
        reached=fmean(numbers),
        unit=unit,
        least=least,
        most=most,
        error=error,
        runs=len(numbers),
    )


# --- machines -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The noise of a machine, as shares of the time of an epoch.

    ``within`` is the noise between epochs of a trial, with correlation ``memory`` between
    neighbours. ``between`` is the noise between trials. ``drift`` is a slow change of the whole
    machine, which fades over 30 trials. Bursts of a neighbour take ``burst_share`` of the time,
    last ``burst_epochs`` on average, and slow every trial down by ``burst``. ``epochs`` is the
    number of epochs per trial; a single epoch has no warm-up.
    """

    within: float
    between: float
    memory: float = 0.0
    drift: float = 0.0
    burst: float = 0.0
    burst_share: float = 0.0
    burst_epochs: float = 1.0
    epochs: int = 7


NOISES = {
    "quiet": Noise(within=0.03, between=0.02),
    "cv3": Noise(
        within=0.03,
        between=0.03,
        memory=0.3,
        drift=0.03,
        burst=0.2,
        burst_share=0.01,
        burst_epochs=5,
    ),
    "typical": Noise(
        within=0.05,
        between=0.03,
        memory=0.5,
        drift=0.05,
        burst=0.35,
        burst_share=0.02,
        burst_epochs=8,
    ),
    "noisy": Noise(
        within=0.10,
        between=0.05,
        memory=0.6,
        drift=0.10,
        burst=0.60,
        burst_share=0.03,
        burst_epochs=8,
    ),
    "spiky": Noise(
        within=0.03,
        between=0.03,
        memory=0.3,
        burst=1.0,
        burst_share=0.05,
        burst_epochs=1.2,
    ),
}
FOUR = ("cv3", "typical", "noisy", "spiky")
FORGETTING = 30
"""The number of trials after which a drift has faded to 1/e."""
WARM_UP = (1.6, 1.1)
"""How much longer the first epochs take; the program leaves them out."""


def gaussian(pair_sd: float) -> Noise:
    """Return independent noise that gives this spread of the change between two trials."""
    return Noise(within=0.0, between=pair_sd / math.sqrt(2), epochs=1)


def own_noise(noise: Noise, shape: tuple[int, int, int], random: np.random.Generator) -> Logs:
    """Return the noise of each single trial, for this many runs, blocks and positions."""
    found = np.empty((*shape, noise.epochs))
    between = noise.between * random.standard_normal(shape)
    state = random.standard_normal(shape)
    for epoch in range(noise.epochs):
        found[..., epoch] = between + noise.within * state
        fresh = math.sqrt(1 - noise.memory**2) * random.standard_normal(shape)
        state = noise.memory * state + fresh
    return found


def shared_noise(noise: Noise, shape: tuple[int, int, int], random: np.random.Generator) -> Logs:
    """Return the noise that the machine adds to every trial, in the order of time."""
    runs, blocks, positions = shape
    trials = blocks * positions
    found = np.zeros((runs, trials * noise.epochs))
    keeps = math.exp(-1 / FORGETTING)
    state = random.standard_normal(runs)
    for trial in range(trials if noise.drift else 0):
        found[:, trial * noise.epochs : (trial + 1) * noise.epochs] += noise.drift * state[:, None]
        state = keeps * state + math.sqrt(1 - keeps**2) * random.standard_normal(runs)
    if noise.burst:
        ends = 1 / noise.burst_epochs
        begins = ends * noise.burst_share / (1 - noise.burst_share)
        on = random.random(runs) < noise.burst_share
        for epoch in range(trials * noise.epochs):
            found[:, epoch] += math.log1p(noise.burst) * on
            on = np.where(on, random.random(runs) > ends, random.random(runs) < begins)
    return found.reshape(*shape, noise.epochs)


# --- runs ---------------------------------------------------------------------------------------


def study(
    cells: int = 2,
    blocks: int = 10,
    looks: int = 1,
    metric: Metric = SECONDS,
    *,
    named: bool = True,
    claims: tuple[Claim, ...] = (),
) -> Matrix:
    """Return a matrix of versions 0, 1, ...; version 0 is the baseline."""
    made = tuple(
        Cell(
            coordinates=(("version", number),),
            request=EnvironmentRequest(requirements=()),
            parameters={},
            timeout_s=900.0,
        )
        for number in range(cells)
    )
    pairs = tuple(Pair(of=one.id, against=made[0].id, metrics=(metric.name,)) for one in made[1:])
    return Matrix(
        name="simulated",
        axes=(Axis(name="version", values=tuple(range(cells))),),
        cells=made,
        experiment=Experiment(script="none.py"),
        metrics=(metric,),
        limits=Limits(),
        blocks=blocks,
        baseline=made[0].coordinates,
        compare=pairs if named else (),
        looks=looks,
        claims=claims,
        quick={},
    )


def version(number: int) -> str:
    """Return the id of the cell of a version."""
    return f"version={number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The noise of one machine in one run: of each trial, and shared by all."""

    own: Logs
    shared: Logs

    def executes(
        self,
        trial: Trial,
        metric: Metric,
        effects: Mapping[str, float],
        spreads: Mapping[str, float],
    ) -> TrialResult:
        """Return the result of a trial at its point in time.

        ``effects`` are the true changes of cells, on the scale of the metric. ``spreads`` multiply
        the noise of single cells.
        """
        place = trial.block - 1, trial.position - 1
        noise = self.own[place] * spreads.get(trial.cell, 1.0) + self.shared[place]
        noise += effects.get(trial.cell, 0.0)
        if metric.scale is Scale.DIFFERENCE:
            return result(trial, metric, (93.0 + noise[0].item(),))
        times = np.exp(noise)
        if len(times) > len(WARM_UP):
            times[: len(WARM_UP)] *= WARM_UP
        return result(trial, metric, tuple(times.tolist()))


def result(
    trial: Trial,
    metric: Metric,
    series: tuple[float, ...],
    reading: Reading | None = None,
    disturbed: str | None = None,
) -> TrialResult:
    """Return the result of a trial that ended ok and measured this series."""
    return TrialResult(
        trial=trial,
        status=Status.OK,
        values={},
        series={metric.name: series},
        environment={},
        reading=reading,
        disturbed=disturbed,
        started_at=DAY,
        duration_s=1.0,
    )


def seed_of(*words: object) -> int:
    """Return a seed that is the same for the same words on every machine."""
    return zlib.crc32("\0".join(map(str, (SEED, *words))).encode())


def machines(
    noise: Noise, matrix: Matrix, runs: int, seed: int, blocks: int | None = None
) -> Iterator[tuple[Plan, Machine]]:
    """Yield the program's own plan and a machine for each run."""
    random = np.random.default_rng(seed)
    for first in range(0, runs, BATCH):
        plans = [
            make_plan(matrix, seed + number, blocks)
            for number in range(first, min(first + BATCH, runs))
        ]
        positions = max(trial.position for trial in plans[0].trials)
        shape = len(plans), plans[0].blocks, positions
        own, shared = own_noise(noise, shape, random), shared_noise(noise, shape, random)
        for index, plan in enumerate(plans):
            yield plan, Machine(own=own[index], shared=shared[index])


def samples_of(
    noise: Noise,
    matrix: Matrix,
    runs: int,
    seed: int,
    *,
    effects: Mapping[str, float] | None = None,
    spreads: Mapping[str, float] | None = None,
) -> Iterator[tuple[Samples, Look]]:
    """Yield the samples that the program takes from each run, and its only look."""
    for plan, machine in machines(noise, matrix, runs, seed):
        results = [
            machine.executes(trial, matrix.metrics[0], effects or {}, spreads or {})
            for trial in plan.trials
        ]
        yield gather(matrix, plan, results, plan.blocks), look_at(matrix, plan, plan.blocks)


def look_at(matrix: Matrix, plan: Plan, blocks: int) -> Look:
    """Return the program's look after this many blocks."""
    look = look_after(matrix, plan, blocks)
    assert look is not None  # noqa: S101 (rows use the program's own looks)
    return look


def pairs_of(
    noise: Noise,
    blocks: int,
    runs: int,
    seed: int,
    effect: float = 0.0,
    *,
    metric: Metric = SECONDS,
) -> Iterator[Comparison]:
    """Yield the comparison of two versions for each run; the second version has an effect."""
    matrix = study(blocks=blocks, metric=metric)
    for samples, look in samples_of(noise, matrix, runs, seed, effects={version(1): effect}):
        yield compare(samples, look)[0]


def differs(comparison: Comparison) -> bool:
    """Return whether the verdict is a change."""
    return comparison.verdict in DIFFERENT


def decided_at_looks(
    noise: Noise, runs: int, seed: int, effect: float, *, to_the_end: bool
) -> Iterator[tuple[list[Verdict], int]]:
    """Yield the verdicts of one pair at 7, 14, 21 and 28 blocks, and the last look, for each run.

    Without ``to_the_end``, a run stops as soon as it is decided.
    """
    matrix = study(blocks=7, looks=4)
    for plan, machine in machines(noise, matrix, runs, seed, blocks=28):
        results = [
            machine.executes(trial, SECONDS, {version(1): effect}, {}) for trial in plan.trials
        ]
        verdicts: list[Verdict] = []
        blocks = 0
        for blocks in plan.looks:
            samples = gather(matrix, plan, results, blocks)
            verdicts.append(compare(samples, look_at(matrix, plan, blocks))[0].verdict)
            if verdicts[-1] in DECIDED and not to_the_end:
                break
        yield verdicts, blocks


# --- the rows -----------------------------------------------------------------------------------


def same_version(size: Size) -> list[Figure]:
    """Return how often equal versions are called different: one pair, fixed number of blocks."""
    figures = []
    for name in FOUR:
        for blocks in (5, 7, 10, 20):
            seed = seed_of("same version", name, blocks)
            found = [differs(one) for one in pairs_of(NOISES[name], blocks, size.runs(4000), seed)]
            figures.append(share(f"{name}, {blocks} blocks", found, most=6.0))
    together = fmean(one.reached for one in figures)
    runs = sum(one.runs for one in figures)
    error = 100 * math.sqrt(0.052 * 0.948 / runs)
    figures.append(
        Figure(case="mean of all", reached=together, unit="%", most=5.2, error=error, runs=runs)
    )
    return figures


def coverage(size: Size) -> list[Figure]:
    """Return how often the 95 % interval contains a true change of 5 %."""
    figures = []
    truth = math.log1p(0.05)
    for name in FOUR:
        for blocks in (3, 5, 7, 10, 20):
            seed = seed_of("coverage", name, blocks)
            found = [
                one.estimate is not None and one.estimate.low <= truth <= one.estimate.high
                for one in pairs_of(NOISES[name], blocks, size.runs(4000), seed, truth)
            ]
            figures.append(share(f"{name}, {blocks} blocks", found, least=93.5, most=97.0))
    return figures


def same_version_at_looks(size: Size) -> list[Figure]:
    """Return how often equal versions are called different at any of four looks."""
    figures = []
    cases = {"independent, pair sd 4.2 %": gaussian(0.042), **{name: NOISES[name] for name in FOUR}}
    for name, noise in cases.items():
        seed = seed_of("looks", name)
        looks = decided_at_looks(noise, size.runs(4000), seed, 0.0, to_the_end=True)
        found = [bool(DIFFERENT & set(verdicts)) for verdicts, _ in looks]
        figures.append(share(name, found, most=5.5))
    return figures


def many_versions(size: Size) -> list[Figure]:
    """Return how often any of 35 versions is called different from an equal baseline."""
    figures = []
    matrix = study(cells=36)
    noisier = {version(number): math.sqrt(3) for number in range(1, 5)}
    for name in ("cv3", "typical"):
        for case, spreads in (("", {}), (", 4 cells with 3x variance", noisier)):
            seed = seed_of("many", name, case)
            runs = samples_of(NOISES[name], matrix, size.runs(500), seed, spreads=spreads)
            found = [any(map(differs, compare(samples, look))) for samples, look in runs]
            figures.append(share(name + case, found, most=7.5))
    return figures


def screening(size: Size) -> list[Figure]:
    """Return the share of false discoveries among 36 versions, half of which differ by 5 %."""
    figures = []
    matrix = study(cells=36, named=False)
    effects = {version(number): math.log1p(0.05) for number in range(18, 36)}
    for name in ("cv3", "typical"):
        shares, powers = [], []
        runs = samples_of(
            NOISES[name], matrix, size.runs(500), seed_of("screening", name), effects=effects
        )
        for samples, look in runs:
            found = [one for one in compare(samples, look) if differs(one)]
            true = [one for one in found if one.of in effects and one.verdict is Verdict.HIGHER]
            shares.append(100 * (len(found) - len(true)) / max(1, len(found)))
            powers.append(100 * len(true) / len(effects))
        figures.append(average(f"{name}, 10 blocks, false discoveries", shares, "%", most=5.5))
        figures.append(average(f"{name}, 10 blocks, found of the true ones", powers, "%"))
    return figures


def power(size: Size) -> list[Figure]:
    """Return how often a true change is found, in its direction."""
    four_two = gaussian(0.042)
    cases = (
        ("5 %, trial CV 3 %, 10 blocks", four_two, 0.05, 10, 87.0),
        ("10 %, typical noise with bursts, 10 blocks", NOISES["typical"], 0.10, 10, 88.0),
        ("2 %, trial CV 3 %, 10 blocks (no promise)", four_two, 0.02, 10, None),
        ("2 %, trial CV 3 %, 20 blocks (no promise)", four_two, 0.02, 20, None),
    )
    figures = []
    for case, noise, effect, blocks, least in cases:
        pairs = pairs_of(noise, blocks, size.runs(4000), seed_of(case), math.log1p(effect))
        figures.append(share(case, [one.verdict is Verdict.HIGHER for one in pairs], least=least))
    return figures


def power_at_looks(size: Size) -> list[Figure]:
    """Return how often four looks find a true change of 5 %, and after how many blocks."""
    seed = seed_of("power at looks")
    ends = list(
        decided_at_looks(gaussian(0.042), size.runs(4000), seed, math.log1p(0.05), to_the_end=False)
    )
    found = [verdicts[-1] is Verdict.HIGHER for verdicts, _ in ends]
    blocks = [float(blocks) for _, blocks in ends]
    return [
        share("5 %, trial CV 3 %", found, least=97.0),
        average("5 %, trial CV 3 %, mean blocks", blocks, "blocks", most=13.0),
    ]


def equivalence(size: Size) -> list[Figure]:
    """Return how often a change of exactly the margin is called equivalent or negligible."""
    figures = []
    truth = math.log1p(SECONDS.margin)
    cases = {f"pair sd {percent} %": gaussian(percent / 100) for percent in (1, 2, 3)}
    for name, noise in {**cases, "quiet": NOISES["quiet"]}.items():
        for blocks in (10, 20):
            case = f"{name}, {blocks} blocks"
            seed = seed_of("equivalence", case)
            found = [
                one.verdict is Verdict.EQUIVALENT or one.negligible
                for one in pairs_of(noise, blocks, size.runs(4000), seed, truth)
            ]
            figures.append(share(case, found, most=5.5))
    return figures


def accuracy(size: Size) -> list[Figure]:
    """Return how often accuracy gaps are found and equality is shown; seeds spread by 0.1.

    Cells share nothing but the number of the seed, which is the worst case for pairing.
    """
    noise = Noise(within=0.0, between=0.1, epochs=1)
    runs = size.runs(4000)
    figures = []
    for kind, least in (("paired", 90.0), ("unpaired", 93.0)):
        metric = replace(ACCURACY, paired=kind == "paired")
        apart = pairs_of(noise, 5, runs, seed_of("apart"), 0.5, metric=metric)
        verdicts = [
            one.verdict for one in pairs_of(noise, 10, runs, seed_of("equal"), metric=metric)
        ]
        shown = [one is Verdict.EQUIVALENT for one in verdicts]
        different = [one in DIFFERENT for one in verdicts]
        figures += [
            share(f"{kind}, 0.5 points, 5 seeds, found", [*map(differs, apart)], least=99.0),
            share(f"{kind}, equal, 10 seeds, shown within 0.2 points", shown, least=least),
            share(f"{kind}, equal, 10 seeds, called different", different, most=6.0),
        ]
    return figures


def pairing(size: Size) -> list[Figure]:
    """Return what pairing by block gains where cells share the data split, and costs elsewhere.

    Seven blocks, read once. The seed alone spreads an accuracy by 0.1 points, and the split that
    cells of a block share by another point.
    """
    figures = []
    for kind, spread in (("shared split", 1.0), ("nothing shared", 0.0)):
        widths = {}
        for paired in (True, False):
            found = list(accuracies(replace(ACCURACY, paired=paired), spread, size.runs(4000)))
            estimates = [one.estimate for one in found if one.estimate is not None]
            widths[paired] = [one.half_width for one in estimates]
            case = f"{kind}, {'paired' if paired else 'unpaired'}"
            different = [differs(one) for one in found]
            figures.append(share(f"{case}, called different", different, most=6.0))
            covers = [not one.excludes_zero for one in estimates]
            exact = paired or not spread  # a common spread makes unpaired intervals too wide
            most = 97.0 if exact else None
            figures.append(share(f"{case}, interval holds 0", covers, least=93.5, most=most))
        cost = [width / fmean(widths[False]) for width in widths[True]]
        most = 0.2 if spread else 1.25
        figures.append(average(f"{kind}, width paired / unpaired", cost, "", most=most))
    return figures


def accuracies(metric: Metric, spread: float, runs: int) -> Iterator[Comparison]:
    """Yield the comparison of two equal versions whose blocks share something of this spread."""
    matrix = study(blocks=7, metric=metric)
    noise = Noise(within=0.0, between=0.1, epochs=1)
    random = np.random.default_rng(seed_of("split", spread))
    for plan, machine in machines(noise, matrix, runs, seed_of("pairing")):
        luck = spread * random.standard_normal((plan.blocks, 1, 1))
        lucky = replace(machine, shared=machine.shared + luck)
        results = [lucky.executes(trial, metric, {}, {}) for trial in plan.trials]
        samples = gather(matrix, plan, results, plan.blocks)
        yield compare(samples, look_at(matrix, plan, plan.blocks))[0]


def heating(size: Size) -> list[Figure]:
    """Return the bias of the order if each trial of a block is 0.4 % slower than the one before."""
    matrix = study(cells=6)
    figures = []
    for order in ("random order", "fixed order"):
        estimates, found = [], []
        seed = seed_of("heating")
        for plan, machine in machines(NOISES["cv3"], matrix, size.runs(2000), seed):
            hot = replace(machine, shared=machine.shared + heat(machine.shared.shape))
            trials = plan.trials if order == "random order" else in_fixed_order(plan)
            results = [hot.executes(trial, SECONDS, {}, {}) for trial in trials]
            samples = gather(matrix, plan, results, plan.blocks)
            last = Asked(version(5), version(0), SECONDS, named=True)
            compared = measure(samples, last, look_at(matrix, plan, plan.blocks).level)
            assert compared.estimate is not None  # noqa: S101 (ten blocks are enough)
            estimates.append(100 * math.expm1(compared.estimate.mean))
            found.append(differs(compared))
        bias = average(f"{order}, bias of the last version", estimates, "%")
        called = share(f"{order}, called different", found)
        if order == "random order":
            bias = replace(bias, least=-0.2, most=0.2)
            called = share(called.case, found, most=6.0)
        figures += [called, bias]
    return figures


def heat(shape: tuple[int, ...]) -> Logs:
    """Return by how much later trials of a block are slower."""
    return np.broadcast_to(math.log1p(0.004) * np.arange(shape[1])[None, :, None], shape)


def in_fixed_order(plan: Plan) -> list[Trial]:
    """Return the trials of a plan in the order of the matrix, with the control last."""
    ordered = sorted(plan.trials, key=lambda one: (one.block, one.control, one.cell))
    width = max(one.position for one in ordered)
    return [replace(trial, position=1 + index % width) for index, trial in enumerate(ordered)]


def guards(size: Size) -> list[Figure]:
    """Return the gain from repeating disturbed trials if 30 % of them are disturbed."""
    matrix = study()
    widths: dict[bool, list[float]] = {True: [], False: []}
    found, attempts, moved = [], [], 0
    attempts_of_3 = Noise(within=0.03, between=0.0, epochs=3)  # one epoch per attempt
    for plan, machine in machines(attempts_of_3, matrix, size.runs(2000), seed_of("guards")):
        plan = replace(plan, guards=Guards())  # noqa: PLW2901 (the real guards)
        random = np.random.default_rng(plan.seed)
        foreign = foreign_of(plan, random)
        guarded = guarded_results(matrix, plan, machine, foreign, 1.0)
        slower = guarded_results(matrix, plan, machine, foreign, 1000.0)
        moved += [one.trial for one in guarded] != [one.trial for one in slower]
        look = look_at(matrix, plan, plan.blocks)
        kept = [replace(one, disturbed=None) for one in guarded if one.trial.attempt == 1]
        for results, is_guarded in ((guarded, True), (kept, False)):
            one = compare(gather(matrix, plan, results, plan.blocks), look)[0]
            if one.estimate is not None:
                widths[is_guarded].append(one.estimate.half_width)
            if is_guarded:
                found.append(differs(one))
        attempts.append(100 * (len(guarded) / len(plan.trials) - 1))
    ratio = median(widths[True]) / median(widths[False])
    runs = len(found)
    return [
        share("equal, called different", found, most=6.0),
        Figure(
            case="half-width, relative to no guards", reached=ratio, unit="", most=1 / 3, runs=runs
        ),
        average("trials repeated", attempts, "%"),
        Figure(
            case="runs whose repeats depend on a result",
            reached=moved,
            unit="",
            most=0,
            runs=runs,
        ),
        Figure(
            case="inputs of `guards.disturbance` besides reading and limits",
            reached=seen_beside_the_machine(),
            unit="",
            most=0,
            runs=1,
        ),
    ]


def foreign_of(plan: Plan, random: np.random.Generator) -> NDArray[np.float64]:
    """Return the share of the core that other processes take; 30 % of attempts lose too much."""
    shape = plan.blocks, max(one.position for one in plan.trials), plan.guards.repeats + 1
    much = random.random(shape) < 0.3  # noqa: PLR2004 (the row's own number)
    return np.where(much, random.uniform(0.1, 0.6, shape), random.uniform(0.0, 0.01, shape))


def guarded_results(
    matrix: Matrix, plan: Plan, machine: Machine, foreign: NDArray[np.float64], times: float
) -> list[TrialResult]:
    """Execute a plan as the program does: disturbed trials again, at the end of their block.

    Noise and the shares of other processes are given per attempt. Every measured number is
    multiplied by ``times``.
    """
    results: list[TrialResult] = []
    for block in range(1, plan.blocks + 1):
        to_do = tuple(trial for trial in plan.trials if trial.block == block)
        while to_do:
            for trial in to_do:
                taken = foreign[block - 1, trial.position - 1, trial.attempt - 1].item()
                seen = reading(taken)
                log = machine.own[block - 1, trial.position - 1, trial.attempt - 1].item()
                series = (times * math.exp(log) / (1 - taken),)
                disturbed = disturbance(seen, plan.guards)
                results.append(result(trial, SECONDS, series, seen, disturbed))
            to_do = to_repeat(matrix, plan, block, results)
    return results


def reading(foreign: float) -> Reading:
    """Return the reading of a trial whose core other processes used for this share of time."""
    return Reading(
        wall_s=10.0,
        cpus=(0,),
        cgroup=2,
        cpu_s=10.0 * (1 - foreign),
        user_s=9.0 * (1 - foreign),
        system_s=1.0 - foreign,
        core_busy_s=10.0,
        core_steal_s=0.0,
        throttled_s=0.0,
        swapped_in_pages=0,
        major_faults=0,
        largest_process_bytes=0,
        memory_peak_bytes=None,
        oom_kills=None,
        log_left_out_bytes=0,
    )


def seen_beside_the_machine() -> int:
    """Return how many parameters of the rule are neither a reading nor a threshold."""
    known = {"reading": Reading | None, "guards": Guards, "return": str | None}
    return len(typing.get_type_hints(disturbance).items() - known.items())


def claims(size: Size) -> list[Figure]:
    """Return how often false claims are called reproduced, and true ones contradicted."""
    cases = (
        ("65 v 80 us, pair sd 3 %, 7 blocks", (80.0, 65.0), gaussian(0.03), 7),
        ("65 v 80 us, pair sd 6 %, 7 blocks", (80.0, 65.0), gaussian(0.06), 7),
        ("65 v 80 us, typical, 10 blocks", (80.0, 65.0), NOISES["typical"], 10),
        ("5 %, pair sd 3 %, 10 blocks", (1.05, 1.0), gaussian(0.03), 10),
        ("5 %, pair sd 6 %, 10 blocks", (1.05, 1.0), gaussian(0.06), 10),
    )
    figures = []
    for case, published, noise, blocks in cases:
        claim = Claim(
            id="claim",
            text="Version 1 takes longer than version 0.",
            of=version(1),
            against=version(0),
            metric=SECONDS.name,
            says=Better.HIGHER,
            published=published,
        )
        matrix = study(blocks=blocks, claims=(claim,))
        size_of_claim = math.log(published[0] / published[1])
        for truth, wrong, most in (
            (0.0, ClaimVerdict.REPRODUCED, 3.5),
            (size_of_claim, ClaimVerdict.CONTRADICTED, 1.0),
        ):
            seed = seed_of("claims", case, truth)
            runs = samples_of(noise, matrix, size.runs(2000), seed, effects={version(1): truth})
            found = [judge_claim(samples, claim, look).verdict is wrong for samples, look in runs]
            where = "no change" if truth == 0 else "true"
            figures.append(share(f"{case}, {where}: {wrong.value}", found, most=most))
    return figures


def departures(size: Size) -> list[Figure]:
    """Return errors and saved trials if each of six candidates leaves once it is decided.

    All candidates equal the baseline, or three do and three are slower by 5, 10 and 20 %.
    """
    figures = []
    changed = {version(4): 0.05, version(5): 0.10, version(6): 0.20}
    for case, effects in (("all equal", {}), ("half equal", changed)):
        logs = {cell: math.log1p(effect) for cell, effect in effects.items()}
        for name, noise in (("pair sd 4.2 %", gaussian(0.042)), ("cv3", NOISES["cv3"])):
            anywhere, at_the_end, used = [], [], []
            matrix = study(cells=7, blocks=7, looks=4)
            seed = seed_of("departures", case, name)
            for plan, machine in machines(noise, matrix, size.runs(1000), seed, blocks=28):
                wrong, trials = until_decided(matrix, plan, machine, logs)
                anywhere.append(any(wrong))
                at_the_end.append(wrong[-1])
                used.append(100 * trials / len(plan.trials))
            of = f"{case}, {name}"
            figures += [
                share(f"{of}: false at any look", anywhere, most=5.5),
                share(f"{of}: false at the last look", at_the_end, most=5.5),
                average(f"{of}: trials, of those in 28 blocks", used, "%"),
            ]
    return figures


def until_decided(
    matrix: Matrix, whole: Plan, machine: Machine, effects: Mapping[str, float]
) -> tuple[list[bool], int]:
    """Execute a run until everything is decided, as the program does.

    Return for each look whether it called an equal cell different, and the number of trials.
    """
    wrong: list[bool] = []
    results: list[TrialResult] = []
    plan = make_plan(matrix, whole.seed, whole.looks[0], replace(whole, left={}))
    while True:
        results += [
            machine.executes(trial, SECONDS, effects, {})
            for trial in pending(matrix, plan, results)
        ]
        judgement = judge(matrix, plan, results)
        wrong.append(any(differs(one) and one.of not in effects for one in judgement.comparisons))
        following = next_plan(matrix, plan, judgement, Goal()).plan
        if following == plan:
            return wrong, len(results)
        plan = following


ROWS: Mapping[str, Callable[[Size], list[Figure]]] = {
    "same-version": same_version,
    "coverage": coverage,
    "same-version-at-looks": same_version_at_looks,
    "many-versions": many_versions,
    "screening": screening,
    "power": power,
    "power-at-looks": power_at_looks,
    "equivalence": equivalence,
    "accuracy": accuracy,
    "pairing": pairing,
    "heating": heating,
    "guards": guards,
    "claims": claims,
    "departures": departures,
}
ELSEWHERE = ("real A/A", "real A/B")
"""Rows that need an engine."""


def figures_of(name: str, size: Size) -> list[Figure]:
    """Return the figures of a row."""
    return ROWS[name](size)


# --- the table ----------------------------------------------------------------------------------


def main() -> int:
    """Simulate, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--only", choices=ROWS, metavar="ROW", help=", ".join(ROWS))
    arguments = parser.parse_args()
    size = SIZES[arguments.size]
    if size.standard_errors:
        print(f"reduced: bounds are {size.standard_errors:g} standard errors wider than printed")
    print(f"{'row':22} {'case':58} {'bound':>12} {'reached':>14} {'runs':>6}")
    outside = []
    for name in [arguments.only] if arguments.only else ROWS:
        for figure in figures_of(name, size):
            print(line(name, figure, size), flush=True)
            if not figure.passes(size):
                outside.append(f"{name}: {figure.case}")
    for name in ELSEWHERE:
        print(f"{name:22} real: see tests/engine/test_real_verdicts.py")
    print(f"outside their bounds: {'; '.join(outside) or 'none'}")
    return 1 if outside else 0


def line(name: str, figure: Figure, size: Size) -> str:
    """Return a figure as a line of the table."""
    bounded = figure.least is not None or figure.most is not None
    verdict = ("pass" if figure.passes(size) else "FAIL") if bounded else ""
    reached = f"{figure.reached:.2f} {figure.unit}"
    text = f"{name:22} {figure.case:58} {figure.bound:>12} {reached:>14} {figure.runs:6} {verdict}"
    return text.rstrip()


if __name__ == "__main__":
    raise SystemExit(main())
