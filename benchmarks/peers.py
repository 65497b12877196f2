"""Compare how often the runner and other tools are right about the same simulated machines.

Usage::

    python -m benchmarks.peers [--size full|reduced]

Each run has six versions with ten trials each; the first and the last version are compared. A false
alarm is a difference between equal versions. A change is found if the last version, which is slower
by 5 or 10 %, is called slower. The other tools measure one version after the other and compare the
samples in their own way; the runner measures in randomised blocks. Seeds are fixed. ``full`` takes
about two minutes on one core.
"""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from asv._stats import is_different
from asv.commands.compare import _is_result_better
from asv_runner.statistics import compute_stats
from pyperf._utils import is_significant

from benchmarks.acceptance import (
    SECONDS,
    SIZES,
    WARM_UP,
    Machine,
    Noise,
    Size,
    gaussian,
    look_at,
    machines,
    seed_of,
    study,
    version,
)
from runner.judge.compare import Asked, measure
from runner.judge.records import Verdict
from runner.judge.samples import gather
from runner.records.run import Plan

TRIALS = 10
"""Trials of each version."""
RUNS = 2000
EFFECTS = (0.0, 0.05, 0.10)
VERSIONS = 6
MATRIX = study(cells=VERSIONS, blocks=TRIALS)
PAIR = Asked(version(VERSIONS - 1), version(0), SECONDS, named=True)

Samples = Sequence[float]
Judge = Callable[[Samples, Samples], int]
"""Returns whether the second sample is slower (1), faster (-1) or not different (0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A machine, and whether the other tools treat each epoch as an independent sample."""

    noise: Noise
    pooled: bool = False


SETTINGS: Mapping[str, Setting] = {
    "independent": Setting(noise=gaussian(0.042)),
    "drift in batch order": Setting(
        noise=Noise(within=0.0, between=0.03, drift=0.03, epochs=1),
    ),
    "pooled repeats": Setting(noise=Noise(within=0.03, between=0.03, memory=0.3), pooled=True),
}


def sign(before: Samples, after: Samples) -> int:
    """Return the direction in which the means differ."""
    return 1 if fmean(after) > fmean(before) else -1


def asv_different(before: Samples, after: Samples) -> int:
    """Return the verdict of asv's two-sample test: Mann-Whitney at p < 0.002."""
    stats = [compute_stats(one, 1)[1] for one in (before, after)]
    return sign(before, after) if is_different(before, after, *stats) else 0


def asv_compare(before: Samples, after: Samples) -> int:
    """Return the verdict of ``asv compare``: that test, and medians that differ by 10 %."""
    (old, old_stats), (new, new_stats) = (compute_stats(one, 1) for one in (before, after))
    if _is_result_better(old, new, (old_stats, before), (new_stats, after), 1.1):
        return 1
    return -1 if _is_result_better(new, old, (new_stats, after), (old_stats, before), 1.1) else 0


def pyperf_compare(before: Samples, after: Samples) -> int:
    """Return the verdict of ``pyperf compare_to``: Student's t test at 95 %."""
    return sign(before, after) if is_significant(before, after)[0] else 0


def five_per_cent(before: Samples, after: Samples) -> int:
    """Return the verdict of a fixed rule: the means differ by more than 5 %."""
    ratio = fmean(after) / fmean(before)
    return 1 if ratio > 1.05 else -1 if ratio < 1 / 1.05 else 0  # noqa: PLR2004


PEERS: Mapping[str, Judge] = {
    "asv is_different": asv_different,
    "asv compare (factor 1.1)": asv_compare,
    "pyperf compare_to": pyperf_compare,
    "means differ by 5 %": five_per_cent,
}
OURS = "matrix-runner"


def batches(setting: Setting, machine: Machine, effect: float) -> tuple[Samples, Samples]:
    """Return the samples that peers measure: all trials of one version, then of the other."""
    noise = machine.own + machine.shared
    trials = noise.reshape(-1, noise.shape[-1])[: VERSIONS * TRIALS]
    times = np.exp(trials)[:, len(WARM_UP) if setting.noise.epochs > 1 else 0 :]
    if not setting.pooled:
        times = np.median(times, axis=1, keepdims=True)
    first, last = times[:TRIALS], times[-TRIALS:] * math.exp(effect)
    return first.ravel().tolist(), last.ravel().tolist()


def ours(plan: Plan, machine: Machine, effect: float) -> int:
    """Return the runner's verdict on the same machine, with trials in its own order."""
    results = [
        machine.executes(trial, SECONDS, {PAIR.of: effect}, {})
        for trial in plan.trials
        if trial.cell in {PAIR.of, PAIR.against}
    ]
    samples = gather(MATRIX, plan, results, plan.blocks)
    verdict = measure(samples, PAIR, look_at(MATRIX, plan, plan.blocks).level).verdict
    return {Verdict.HIGHER: 1, Verdict.LOWER: -1}.get(verdict, 0)


def rates(size: Size) -> Mapping[tuple[str, str], Sequence[float]]:
    """Return, by setting and tool, the share of false alarms and of each effect found."""
    found: dict[tuple[str, str], list[float]] = {}
    for name, setting in SETTINGS.items():
        for effect in EFFECTS:
            said: dict[str, list[bool]] = {}
            log = math.log1p(effect)
            wanted = {1} if effect else {1, -1}
            seed = seed_of("peers", name, effect)
            for plan, machine in machines(setting.noise, MATRIX, size.runs(RUNS), seed):
                before, after = batches(setting, machine, log)
                for peer, judges in PEERS.items():
                    said.setdefault(peer, []).append(judges(before, after) in wanted)
                said.setdefault(OURS, []).append(ours(plan, machine, log) in wanted)
            for who, answers in said.items():
                found.setdefault((name, who), []).append(fmean(answers))
    return found


def main() -> int:
    """Simulate, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="full")
    size = SIZES[parser.parse_args().size]
    print(f"two of {VERSIONS} versions, {TRIALS} trials each, {size.runs(RUNS)} runs per figure")
    print(f"{'setting':22} {'judge':26} {'false alarms':>12} {'5 % found':>10} {'10 % found':>10}")
    for (setting, who), (false, five, ten) in rates(size).items():
        print(f"{setting:22} {who:26} {false:12.1%} {five:10.1%} {ten:10.1%}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
