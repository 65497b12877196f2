"""How long images take, next to a Dockerfile with pip and next to the bare downloads.

Usage, on a machine with Docker, the package index and its pythons::

    python -m benchmarks.images [--rounds N] [--cold] [--json FILE] [VERSION ...]

Each version of TensorFlow becomes an image twice in every round, in alternating order: by
``prepare``, from a warm cache, and by a Dockerfile with ``COPY`` of the wheels and ``pip install
--no-index``, built by the classic builder without its cache. The wheels are downloaded and built
once before, and pip is part of the peer's base. Both find their base, and neither finds a layer.

With ``--cold``, the images of ``matrix.yaml`` are made from an empty cache, at the same time, and
the peer only downloads the same files, with pip and without its cache, one environment after the
other. Every image and file is removed again. Ratios are ours to the peer's, of the same round. The
exit code is 1 if one is over its limit.
"""

import argparse
import io
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from benchmarks.rows import compared, finished, in_turns, with_json
from runner.cli.progress import Progress
from runner.engines.docker import connect
from runner.engines.protocol import Engine
from runner.lock import lock_matrix
from runner.lock.file import lock_path, read_lock
from runner.prepare import find_bases, prepare
from runner.prepare.recipe import distinct
from runner.python import interpreters
from runner.read import read
from runner.records.environment import Base, Environment, Lock
from runner.records.study import Matrix

ROOT = Path(__file__).parents[1]
OWNER = "benchmark-of-images"
"""The machine that our images belong to, so that no other command uses or removes them."""
PEER = "matrix-runner-benchmark-peer"
VERSIONS = ("2.0.0", "2.21.0")
ROUNDS = 3
MATRIX = """\
format: 1
name: images
axes:
  tensorflow: {{package: [tensorflow-cpu, tensorflow], versions: [{versions}]}}
environment: {{python: auto, as_of: release, base: host}}
experiment: {{script: run.py}}
metrics: {{seconds: {{unit: s, better: lower}}}}
"""
WITH_PIP = """\
FROM {base}
RUN ["/usr/local/bin/python{python}", "-m", "ensurepip"]
"""
WITH_WHEELS = """\
FROM {base}
COPY wheels /wheels
RUN python{python} -m pip install --no-index --no-deps /wheels/*.whl
"""

WARM = ("Dockerfile with pip --no-index", 0.4)
COLD = ("downloads alone", 1.6)
"""The peers, and the largest ratios to them."""

Bases = Mapping[str, Base]
Pairs = Sequence[tuple[float, float]]


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=f"not {VERSIONS}")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--cold", action="store_true", help="from an empty cache")
    asked = with_json(parser).parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="matrix-runner-benchmark-") as place,
        closing(connect(OWNER)) as engine,
        cleaned(engine),
    ):
        os.environ["XDG_CACHE_HOME"] = place
        folder = Path(place)
        print(f"storage driver {engine.describe().storage}, {asked.rounds} rounds, s")
        measure = partial(cold, engine) if asked.cold else partial(warm, engine, asked.versions)
        peer, most = COLD if asked.cold else WARM
        rows = [
            compared(name, peer, "s", pairs, most_ratio=most)
            for name, pairs in measure(folder, asked.rounds)
        ]
    return finished(rows, asked.json)


@contextmanager
def cleaned(engine: Engine) -> Iterator[None]:
    """Remove our images before and after, whatever happens."""
    remove(engine)
    try:
        yield
    finally:
        remove(engine)


def remove(engine: Engine) -> None:
    """Remove everything of this program from the engine."""
    for thing in engine.owned():
        engine.discard(thing)


def warm(
    engine: Engine, versions: Sequence[str], folder: Path, rounds: int
) -> Iterator[tuple[str, Pairs]]:
    """Yield the seconds of each version with a warm cache: ours and the peer's."""
    for version in versions or VERSIONS:
        path = folder / "matrix.yaml"
        path.with_name("run.py").touch()
        path.write_text(MATRIX.format(versions=f'"{version}"'), encoding="utf-8")
        matrix = read(path)
        lock = lock_matrix(matrix, Lock(entries=()), matrix.requests, print)
        bases = find_bases(matrix, lock, engine)
        (environment,) = distinct(matrix, lock)
        with peer_context(environment, bases[environment.base_key], folder / "peer") as context:
            ours(matrix, lock, engine, bases)  # fills the cache
            one, other = partial(ours, matrix, lock, engine, bases), partial(built, context)
            yield f"TensorFlow {version}, warm cache", list(in_turns(one, other, rounds))


def cold(engine: Engine, folder: Path, rounds: int) -> Iterator[tuple[str, Pairs]]:
    """Yield the seconds of the founding study with an empty cache, and of its downloads alone."""
    path = ROOT / "matrix.yaml"
    matrix, lock = read(path), read_lock(lock_path(path))
    bases = find_bases(matrix, lock, engine)

    def from_nothing() -> float:
        shutil.rmtree(folder / "matrix-runner", ignore_errors=True)
        return ours(matrix, lock, engine, bases)

    def downloads() -> float:
        return sum(downloaded(one, folder / "files") for one in distinct(matrix, lock))

    yield "founding study, empty cache", list(in_turns(from_nothing, downloads, rounds))


def ours(matrix: Matrix, lock: Lock, engine: Engine, bases: Bases) -> float:
    """Return how long ``prepare`` takes; afterwards its images are removed."""

    def save_log(label: str, log: str) -> Path:
        raise SystemExit(f"{label}: {log}")

    began = time.monotonic()
    with Progress(io.StringIO()) as observer:
        prepared = prepare(matrix, lock, engine, observer, save_log, bases=bases)
    seconds = time.monotonic() - began
    if prepared.missing:
        raise SystemExit(f"no image: {prepared.missing}")
    for thing in engine.owned():
        if thing.id in {image.id for image in prepared.images.values()}:
            engine.discard(thing)
    return seconds


@contextmanager
def peer_context(environment: Environment, base: Base, folder: Path) -> Iterator[Path]:
    """Have a folder with wheels and a Dockerfile, whose base has pip."""
    names = {"base": base.name, "python": interpreters.find(environment.python).minor}
    folder.mkdir()
    try:
        (folder / "Dockerfile").write_text(WITH_PIP.format(**names), encoding="utf-8")
        build(folder, f"{PEER}:base")
        pip(environment, "wheel", folder, "--use-pep517", f"--wheel-dir={folder / 'wheels'}")
        names["base"] = f"{PEER}:base"
        (folder / "Dockerfile").write_text(WITH_WHEELS.format(**names), encoding="utf-8")
        yield folder
    finally:
        remove_image(f"{PEER}:base")
        shutil.rmtree(folder)


def built(context: Path) -> float:
    """Return how long the peer's build takes; afterwards its image is removed."""
    seconds = build(context, f"{PEER}:image")
    remove_image(f"{PEER}:image")
    return seconds


def remove_image(name: str) -> None:
    """Remove an image of the peer and the steps of its build, if it exists."""
    subprocess.run(["docker", "image", "rm", name], check=False, capture_output=True)  # noqa: S607


def build(context: Path, name: str) -> float:
    """Return how long the classic builder needs without its cache."""
    command = ["docker", "build", "--no-cache", "--network=none", f"--tag={name}", str(context)]
    return timed(command)


def downloaded(environment: Environment, folder: Path) -> float:
    """Return how long pip downloads the files of an environment; then they are removed."""
    folder.mkdir()
    try:
        return pip(environment, "download", folder, "--no-cache-dir", f"--dest={folder}")
    finally:
        shutil.rmtree(folder)


def pip(environment: Environment, verb: str, folder: Path, *options: str) -> float:
    """Return how long the pip of an environment's interpreter takes for its locked packages."""
    locked = folder / "locked.txt"
    with locked.open("w", encoding="utf-8") as file:
        for package in environment.packages:
            hashes = " ".join(f"--hash={one}" for one in package.hashes)
            print(f"{package.name}=={package.version} {hashes}", file=file)
    python = str(interpreters.find(environment.python).path)
    options = ("--no-deps", "--require-hashes", f"--requirement={locked}", *options)
    return timed([python, "-m", "pip", verb, *options])


def timed(command: Sequence[str]) -> float:
    """Return how long a command takes; its output is shown if it fails."""
    began = time.monotonic()
    variables = {**os.environ, "DOCKER_BUILDKIT": "0"}
    done = subprocess.run(command, env=variables, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return time.monotonic() - began


if __name__ == "__main__":
    raise SystemExit(main())
