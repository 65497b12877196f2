"""Write the build context of an image: the Dockerfile, and the installed packages in one tar."""

import shutil
import tarfile
from pathlib import Path

from runner.engines.protocol import DOCKERFILE, PACKED, BuildContext, Engine
from runner.errors import PackagesError
from runner.prepare.recipe import dockerfile, environment_digest
from runner.python import interpreters, packages
from runner.records.environment import Environment
from runner.text import why


def write_context(
    environment: Environment, wanted: str, engine: Engine, folder: Path
) -> BuildContext:
    """Write the build context of an image into ``folder``; PackagesError if that fails."""
    interpreter = interpreters.find(environment.python)
    base = engine.base(environment.request.base or wanted, interpreter)
    tree = folder / "tree"
    try:
        packages.install(environment, interpreter, tree)
        _pack(tree, interpreters.executable(environment.python), folder / PACKED)
        shutil.rmtree(tree)
        shutil.copyfile(dockerfile(), folder / DOCKERFILE)
    except OSError as error:
        raise PackagesError(
            f"the build context of {environment.request.label} cannot be written ({why(error)}); "
            "free disk space, or name another folder with TMPDIR or --context."
        ) from error
    return BuildContext(
        folder=folder,
        environment=environment_digest(environment),
        label=environment.request.label,
        base=base,
    )


def _pack(tree: Path, python: str, target: Path) -> None:
    """Pack installed packages as a virtual environment for the base's interpreter.

    Order, owner and date of the entries are fixed, so equal packages give equal bytes.
    """
    settings = b"home = /usr/local/bin\ninclude-system-site-packages = false\n"
    (tree / "pyvenv.cfg").write_bytes(settings)
    (tree / "bin").mkdir(exist_ok=True)
    (tree / "bin" / "python").symlink_to(f"/usr/local/bin/{python}")
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(tree.rglob("*")):
            tar.add(path, path.relative_to(tree).as_posix(), recursive=False, filter=_neutral)


def _neutral(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry
