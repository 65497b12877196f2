"""pack: a run, or a study that is still to be executed, becomes a bundle."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from runner import __version__
from runner.bundle import file, wheels
from runner.bundle.file import BundledEnvironment, Contents, Writer
from runner.engines.protocol import Engine
from runner.errors import ConfigError, RunFolderError
from runner.lock.file import lock_path, read_lock
from runner.plan import quick
from runner.prepare import write_context
from runner.prepare.recipe import environment_digest, used
from runner.python import interpreters
from runner.records.environment import Base, Lock
from runner.records.run import Run, Start
from runner.records.study import Matrix
from runner.runs.enter import describe
from runner.runs.folder import RunFolder, find_run, newest_run
from runner.runs.identity import differences
from runner.system import tempdir
from runner.system.retry import Note

REPLAY = """\
#!/bin/sh
# Executes what this bundle holds again, and compares. Nothing comes from a network.
# Needs Linux on x86-64 and Python {either}; Docker or podman where there is one.
# Options are those of `python -m runner replay`.
set -eu
bundle=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
ask='import sys; print("%d.%d" % sys.version_info[:2])'
for python in "${{PYTHON:-python3}}" {programs} none; do
    version=$("$python" -I -c "$ask" 2>/dev/null) || continue
    case " {pythons} " in *" $version "*) break ;; esac  # one whose wheels are here
done
if [ "$python" = none ]; then
    echo "this bundle needs Python {either}: name one in PYTHON" >&2
    exit 2
fi
if [ ! -e "$bundle/.venv/ready" ]; then
    pip=$(echo "$bundle"/wheels/pip-*.whl)
    "$python" -I -m venv --clear --without-pip "$bundle/.venv" &&
        "$python" -I "$pip/pip" --isolated --python "$bundle/.venv/bin/python" \\
            install --quiet --no-index --find-links "$bundle/wheels" {name} &&
        touch "$bundle/.venv/ready" || {{
        echo "the runner could not be set up in $bundle/.venv (see above)" >&2
        exit 5
    }}
fi
# Isolated: what lies in the working folder or on PYTHONPATH is not the runner.
exec "$bundle/.venv/bin/python" -I -m runner replay "$bundle" "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cargo:
    """What goes into a bundle: a study, and the folder of its run where there is one."""

    matrix: Matrix
    lock: Lock
    path: Path
    """Of matrix.yaml."""
    results: Path | None


def to_pack(
    matrix: Matrix, path: Path, reports: Path, named: str | None, note: Note
) -> Cargo | None:
    """Return the run that was named, or the newest of the matrix; ``None`` if there is none.

    ConfigError where it was measured with other inputs than those that would be packed.
    """
    if named is None:
        found = newest_run(matrix, reports)
        folder = None if found is None else found[0]
    else:
        folder = find_run(reports, named)
    if folder is None:
        note(f"there is no run of {matrix.name} in {reports}: the bundle has no results")
        return None
    if folder.is_occupied():
        raise RunFolderError(f"{folder.path} is being executed; wait for it, or name another run.")
    run = folder.run()
    if changed := _changed(run, matrix, Start(root=path.parent, reports=reports), path):
        what = ", ".join(sorted({" ".join(path[:2]) for path in changed}))
        raise ConfigError(
            f"{folder.path} was measured with something else than what is here now ({what}); "
            "restore that, or execute the matrix again."
        )
    note(f"packing {folder.path}")
    return Cargo(matrix=run.matrix, lock=run.lock, path=path, results=folder.path)


def _changed(run: Run, matrix: Matrix, start: Start, path: Path) -> Iterable[tuple[str, ...]]:
    """Return in what a run differs from what would be packed; it may be of some cells, or quick."""
    lock, kept = read_lock(lock_path(path)), {cell.id for cell in run.matrix.cells}
    found = []
    for one in (matrix, quick(matrix)):
        same = replace(one, cells=tuple(cell for cell in one.cells if cell.id in kept))
        found.append(differences(run, describe(same, lock, start, run.host, run.engine)))
    return min(found, key=len)


def pack(cargo: Cargo, engine: Engine, pythons: Sequence[str], target: Path, note: Note) -> None:
    """Write a bundle, with the runner's wheels for these minor versions of Python.

    BundleError if it cannot be written, PackagesError if something cannot be had.
    """
    with file.writing(target) as writer:
        _add_study(cargo, writer)
        if cargo.results is not None:
            writer.add_folder(cargo.results, file.RESULTS)
        environments = tuple(_environments(cargo, engine, writer, note))
        note(f"packing the runner's wheels for Python {', '.join(pythons)}")
        with tempdir.folder() as folder:
            wheels.collect(folder, pythons)
            writer.add_folder(folder, file.WHEELS)
        writer.add_text(_script(pythons), file.SCRIPT, 0o755)
        contents = Contents(
            created_at=datetime.now(timezone.utc),
            runner_version=__version__,
            matrix=f"{file.STUDY}/{cargo.path.name}",
            environments=environments,
            files=writer.files,
        )
        writer.finish(contents)


def _add_study(cargo: Cargo, writer: Writer) -> None:
    """Add the matrix, its lock and the inputs, where they lie relative to each other."""
    experiment, root = cargo.matrix.experiment, cargo.path.parent
    writer.add(cargo.path, f"{file.STUDY}/{cargo.path.name}")
    lock = lock_path(cargo.path)
    writer.add(lock, f"{file.STUDY}/{lock.name}")
    for name in dict.fromkeys((experiment.script, *experiment.data)):
        writer.add(root / name, f"{file.STUDY}/{name}")


def _environments(
    cargo: Cargo, engine: Engine, writer: Writer, note: Note
) -> Iterator[BundledEnvironment]:
    """Add every environment, and the base of each interpreter once."""
    bases: dict[str, tuple[Base, str]] = {}
    images = () if cargo.results is None else RunFolder(cargo.results).images()
    measured = {image.environment: image.base for image in images}
    for number, environment in enumerate(used(cargo.matrix, cargo.lock), start=1):
        note(f"packing {environment.request.label}")
        key, python = environment_digest(environment), environment.python
        with tempdir.folder() as folder:
            context = write_context(environment, cargo.matrix.base, engine, folder)
            then = measured.get(key, context.base)
            if then.digest != context.base.digest:
                note(f"it was measured on the base {then.name}, and stands on {context.base.name}")
            place = f"{file.ENVIRONMENTS}/{number}"
            writer.add_folder(folder, place)
            if python not in bases:
                bases[python] = _base(context.base, python, engine, writer)
        base, base_file = bases[python]
        yield BundledEnvironment(
            label=environment.request.label,
            digest=key,
            python=python,
            folder=place,
            base=base,
            base_file=base_file,
        )


def _base(base: Base, python: str, engine: Engine, writer: Writer) -> tuple[Base, str]:
    """Add a base; return what it is in the bundle, and where."""
    name = f"{file.BASES}/{python}.tar"
    with tempdir.folder() as folder:
        saved = engine.save_base(base, interpreters.find(python), folder / "base.tar")
        writer.add(folder / "base.tar", name)
    return saved, name


def _script(pythons: Sequence[str]) -> str:
    return REPLAY.format(
        pythons=" ".join(pythons),
        either=" or ".join(pythons),
        programs=" ".join(f"python{one}" for one in pythons),
        name=wheels.NAME,
    )
