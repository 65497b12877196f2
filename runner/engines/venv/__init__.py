"""The engine made of processes: an environment in a folder, a trial behind what isolation there is.

It needs nothing but Linux and util-linux, and does not contain a hostile script. Whatever a trial
starts ends with it, and with the runner.
"""

import contextlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path

from runner.engines import base as assembled
from runner.engines.venv import cgroup, sandbox, subreaper, process
from runner.system import digest, signals, tempdir
from runner.engines.venv.cgroup import ControlGroup
from runner.engines.protocol import PACKED, BuildContext, Launch, Outcome, Owned
from runner.engines.venv.cache import Environments, cache, image_of, settings
from runner.errors import EngineError, EngineLostError
from runner.system.host import this_host
from runner.python.interpreters import Interpreter
from runner.engines.venv.sandbox import NOBODY, Isolation, View
from runner.engines.streams import TrialOutput
from runner.records.environment import Base, BaseKind, Image
from runner.records.run import SANDBOXES, EngineFacts
from runner.records.study import Limits

LABEL = "label.json"
OURS = ("bwrap: ", "unshare: ", "setpriv: ", "prlimit: ", "sh: ")
"""How the programs before the launcher begin what they say."""


def connect(machine: str, kinds: tuple[str, ...] = (*SANDBOXES, "plain")) -> "VenvEngine":
    """Return the engine with the best isolation this machine permits; EngineError if it has none.

    ``machine`` marks what this machine's runs leave in the cache, which may be shared.
    """
    if platform.system() != "Linux" or not hasattr(os, "pidfd_open"):
        raise EngineError("the venv engine needs Linux; use a container engine.")
    found = sandbox.find(kinds)
    environments = Environments(cache())
    environments.begin(found.as_root)
    return VenvEngine(environments, machine, found, cgroup.trees())


class VenvEngine:
    """Builds environments in a cache and executes trials as processes."""

    def __init__(
        self,
        environments: Environments,
        machine: str,
        found: Isolation,
        trees: cgroup.Trees | None,
    ) -> None:
        self._environments = environments
        self._machine = machine
        self._isolation = found
        self._trees = trees
        self._cores = sorted(os.sched_getaffinity(0))  # before we keep off the measured ones
        self._runs = environments.runs
        self._one_base = threading.Lock()
        self._interpreters: dict[str, Path] = {}
        self._staged: dict[str, Path] = {}

    def close(self) -> None:
        """There is nothing to close."""

    def describe(self) -> EngineFacts:
        """Return the facts of this machine; the version is the isolation in force."""
        return EngineFacts(
            name="venv",
            version=self._isolation.version,
            api="none",
            storage="folders",
            cgroup=0 if self._trees is None else self._trees.version,
            cpus=len(self._cores),
            memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            architecture=platform.machine(),
            kernel=platform.release(),
            system=this_host().system,
        )

    # --- images --------------------------------------------------------------------------------

    def images(self) -> Mapping[str, Image]:
        """Return the images of environments that exist, by environment digest."""
        return self._environments.images()

    def base(self, wanted: str, interpreter: Interpreter) -> Base:
        """Provide the interpreter where the trial's user can use it; no image can be the base."""
        if wanted not in {"auto", "host"}:
            raise EngineError(
                f"the matrix wants the base {wanted}, which only a container engine can provide: "
                "set `environment: {base: auto}`, or start one."
            )
        content = f"sha256:{digest.of_file(interpreter.path)}"
        with self._one_base:  # environments are built several at once
            self._interpreters[content] = self._environments.interpreter(
                interpreter, self._isolation.as_root
            )
        return Base(kind=BaseKind.INTERPRETER, name=f"python {interpreter.version}", digest=content)

    def save_base(self, base: Base, interpreter: Interpreter, file: Path) -> Base:
        """Assemble what a container engine would have for a base."""
        assembled.assemble(interpreter, file)
        return Base(kind=BaseKind.ASSEMBLED, name=base.name, digest=f"sha256:{digest.of_file(file)}")

    def load_base(self, base: Base, python: str, file: Path) -> Base:
        """Unpack the interpreter of an assembled base; no image can be one here."""
        if base.kind != BaseKind.ASSEMBLED:
            raise EngineError(
                f"these environments stand on the image {base.name}, which only a container engine "
                "can use: start one."
            )
        place = self._environments.unpacked(file, python, self._isolation.as_root)
        content = f"sha256:{digest.of_file(place)}"
        with self._one_base:
            self._interpreters[content] = place
        return Base(kind=BaseKind.INTERPRETER, name=f"python {python}", digest=content)

    def build(self, context: BuildContext) -> Image:
        """Unpack and return the image of an environment; ImageBuildError if that fails."""
        return self._environments.add(context, self._interpreters[context.base.digest])

    def command(self, context: BuildContext) -> str:
        """Return the command line that makes the same environment."""
        interpreter = self._interpreters[context.base.digest]
        place = shlex.quote(str(self._environments.of(image_of(context).id)))
        tar = shlex.quote(str(context.folder / PACKED))
        return (
            f"mkdir -p {place} && tar -xf {tar} -C {place} && "
            f"ln -sfn {shlex.quote(str(interpreter))} {place}/bin/python && "
            f"printf %s {shlex.quote(settings(interpreter))} > {place}/pyvenv.cfg"
        )

    # --- trials --------------------------------------------------------------------------------

    def stage(self, run: str, image: str, inputs: Mapping[str, Path]) -> None:  # noqa: ARG002
        """Copy the inputs of a run into a folder of the cache that carries its label."""
        place = self._runs / digest.of_content([self._machine, run])[:16]
        with tempdir.folder(self._runs) as folder:
            for name, path in sorted(inputs.items()):
                target = folder / "inputs" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                target.chmod(0o444)
            (folder / "trials").mkdir()
            for one in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
                one.chmod(0o755)
            size = sum(path.stat().st_size for path in folder.rglob("*"))
            label = {"machine": self._machine, "run": run, "bytes": size}
            (folder / LABEL).write_text(json.dumps(label))
            self._environments.remove(place)
            folder.rename(place)
        self._staged[run] = place

    def execute(self, launch: Launch, watch: Callable[[str], None]) -> Outcome:
        """Execute one trial to its end, with all that it starts, and remove what it leaves."""
        started_at = datetime.now(timezone.utc)
        began = time.monotonic()
        output = TrialOutput(launch.limits, watch)
        try:
            with self._place(launch) as (place, group):
                program = self._start(launch, place, group)
                in_time = process.followed(
                    program, output, launch.longest_s, not self._isolation.sandboxed
                )
                out_of_memory = group is not None and group.ran_out_of_memory()
        except OSError as error:
            raise EngineLostError(
                f"the trial {launch.trial} could not be executed ({error}); repeat the command "
                "when that is repaired: finished trials are kept."
            ) from error
        code = program.returncode
        trouble = None
        if code and in_time and not out_of_memory:
            trouble = self._trouble(code, output)
        return Outcome(
            exit_code=128 - code if code < 0 else code,
            out_of_memory=out_of_memory,
            timed_out=not in_time,
            document=output.document(),
            log=output.log(),
            started_at=started_at,
            duration_s=time.monotonic() - began,
            trouble=trouble,
        )

    @contextlib.contextmanager
    def _place(self, launch: Launch) -> Iterator[tuple[Path, ControlGroup | None]]:
        """Make the folder and the control group of a trial; remove both at the end."""
        with signals.deferred():
            made = tempfile.mkdtemp(prefix="trial-", dir=self._staged[launch.run] / "trials")
        place = Path(made)
        group = None if self._trees is None else self._trees.named(_group_name(place))
        try:
            place.chmod(0o755)
            for name in ("tmp", "out"):
                (place / name).mkdir(mode=0o700)
                if self._isolation.as_root:
                    os.chown(place / name, NOBODY, NOBODY)
            if group is None:
                (place / "cgroup").mkdir()  # nothing there is better than the whole machine's
            else:
                group.make(launch.limits)
                group.show(place / "cgroup")
            yield place, group
        finally:
            self._clear(place)

    def _start(
        self, launch: Launch, place: Path, group: ControlGroup | None
    ) -> subprocess.Popen[bytes]:
        """Start the launcher on the measured cores, behind the walls, with nothing inherited."""
        environment = self._environments.of(launch.image)
        if not (environment / "bin" / "python").exists():
            raise EngineLostError(
                f"the environment {environment} is gone that was there before; repeat the command "
                "to build it again."
            )
        interpreter = (environment / "bin" / "python").readlink()
        prefix = interpreter.parent.parent
        view = View(
            shown=(environment, prefix, place / "cgroup"),
            inputs=self._staged[launch.run] / "inputs",
            temporary=place / "tmp",
            output=place / "out",
        )
        inside = sandbox.seen(self._isolation, view)
        spec = launch.trial_spec(
            inputs=str(inside.inputs),
            temporary=str(inside.temporary),
            output=str(inside.output),
            own_pid_namespace=self._isolation.sandboxed,
            parent_on_stdin=True,
            cgroup=str(place / "cgroup"),
        )
        variables = _variables(environment, str(inside.temporary))
        if self._environments.copied(interpreter):
            variables["LD_LIBRARY_PATH"] = str(prefix / "lib")
        command = [
            *self._before(launch.limits, group),
            *sandbox.wrapper(self._isolation, view, launch.limits),
            *(str(environment / "bin" / "python"), f"{inside.inputs}/launcher.py", spec),
        ]
        cores = self._cores[-launch.limits.cpus :]
        return process.started(command, variables, cores, not self._isolation.sandboxed)

    def _before(self, limits: Limits, group: ControlGroup | None) -> list[str]:
        """Return the words that tie a trial to us, put it into its group and bound it."""
        tie = sandbox.tied()
        if not self._isolation.sandboxed:
            tie = [*sandbox.keeping(Path(subreaper.__file__))]
        if group is not None:
            return [*tie, *group.entering(), "prlimit", "--core=0", "--"]
        others = process.count(NOBODY if self._isolation.as_root else os.getuid())
        return [*tie, "prlimit", "--core=0", f"--nproc={others + limits.pids}", "--"]

    def _trouble(self, code: int, output: TrialOutput) -> str | None:
        """Say what the machine did wrong where the launcher did not end by itself, if anything."""
        if code < 0 and self._isolation.sandboxed:
            return "the trial's process was killed from outside while it ran"
        last = output.log().strip().rpartition("\n")[2]
        if output.document() is None and last.startswith(OURS):
            return f"the trial could not be started: {last}"
        return None

    # --- what is ours --------------------------------------------------------------------------

    def owned(self) -> tuple[Owned, ...]:
        """Return what this machine's runs left in the cache, and all environments."""
        found: list[Owned] = []
        for folder in sorted(self._runs.iterdir()):
            run, size = self._label(folder)
            if run is None:
                continue
            found += [
                Owned(kind="container", id=str(trial), label=run, run=run)
                for trial in sorted(folder.glob("trials/*"))
            ]
            found += [
                Owned(kind="volume", id=str(folder), label=folder.name, size_bytes=size, run=run)
            ]
        found += [
            Owned(
                kind="image",
                id=str(self._environments.of(image.id)),
                label=image.label,
                size_bytes=image.size_bytes,
            )
            for image in self.images().values()
        ]
        copies = self._environments.interpreters()
        found += [Owned(kind="image", id=str(one), label=f"python {one.name}") for one in copies]
        return tuple(found)

    def _label(self, folder: Path) -> tuple[str | None, int]:
        """Return whose inputs a folder holds, and their size; another machine's are nobody's."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            label = json.loads((folder / LABEL).read_text())
            if label["machine"] == self._machine:
                return str(label["run"]), int(label["bytes"])
        return None, 0

    def discard(self, thing: Owned) -> None:
        """Remove one thing of ours; nothing happens if it is gone."""
        try:
            if thing.kind == "container":
                self._clear(Path(thing.id))
            else:
                self._environments.remove(Path(thing.id))
        except OSError as error:
            raise EngineError(
                f"{thing.id} cannot be removed ({error}); repair that and repeat the command."
            ) from error

    def _clear(self, place: Path) -> None:
        """Remove the folder of a trial and its control group, with what may still run in it."""
        if self._trees is not None:
            self._trees.named(_group_name(place)).remove()
        self._environments.remove(place)


def _variables(environment: Path, temporary: str) -> dict[str, str]:
    """Return all the variables that a trial has: as in a container, and none of ours."""
    return {
        "PATH": f"{environment}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": temporary,
        "TMPDIR": temporary,
        "KERAS_HOME": f"{temporary}/keras",
    }


def _group_name(place: Path) -> str:
    return f"matrix-runner-{place.parent.parent.name}-{place.name}"
