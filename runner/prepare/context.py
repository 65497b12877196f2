"""Write the build context of an image: the Dockerfile and the installed packages."""

import shutil
from pathlib import Path

from runner.engines.protocol import DOCKERFILE, PACKED, TREE, BuildContext, Engine
from runner.errors import PackagesError
from runner.prepare.recipe import dockerfile, environment_digest
from runner.python import interpreters, packages
from runner.records.environment import Environment
from runner.text import why

SETTINGS = b"home = /usr/local/bin\ninclude-system-site-packages = false\n"
"""The ``pyvenv.cfg`` of an image."""


def write_context(
    environment: Environment, wanted: str, engine: Engine, folder: Path
) -> BuildContext:
    """Write the build context of an image into ``folder``; PackagesError if that fails."""
    context = installed(environment, wanted, engine, folder)
    context.packed()
    shutil.rmtree(folder / TREE, ignore_errors=True)
    return context


def installed(environment: Environment, wanted: str, engine: Engine, folder: Path) -> BuildContext:
    """Return the build context of an image with its packages installed, but not packed.

    They form a virtual environment for the base's interpreter. PackagesError if that fails.
    """
    interpreter = interpreters.find(environment.python)
    base = engine.base(environment.request.base or wanted, interpreter)
    tree = folder / TREE
    shutil.rmtree(tree, ignore_errors=True)
    (folder / PACKED).unlink(missing_ok=True)  # perhaps of a command that was cut off
    try:
        packages.install(environment, interpreter, tree)
        (tree / "pyvenv.cfg").write_bytes(SETTINGS)
        (tree / "bin").mkdir(exist_ok=True)
        python = interpreters.executable(environment.python)
        (tree / "bin" / "python").symlink_to(f"/usr/local/bin/{python}")
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
