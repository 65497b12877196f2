"""What a worker does with an order: it provides images and inputs, and executes the block.

It keeps nothing of the block but images. Whatever a killed worker left on the engine is removed
before the next block: its run folder, which is empty, says that it is dead.
"""

import shutil
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import takewhile
from pathlib import Path

from runner.cluster.orders import Answer, Order, check_program, lost_trial, read_order
from runner.cluster.parts import Parts
from runner.engines.protocol import DOCKERFILE, PACKED, BuildContext, Engine
from runner.errors import EngineError, EngineLostError, RunnerError
from runner.execute import (
    Place,
    Study,
    check_limits,
    clear,
    cores_of,
    execute,
    parallel_trials,
    staged,
)
from runner.execute.cleanup import clean_up
from runner.observer import Observer
from runner.pipeline import Tolerance
from runner.plan import pending, to_repeat
from runner.prepare import Prepared, observed
from runner.prepare.recipe import dockerfile, environment_digest, find_image, to_build, used
from runner.records.environment import Base, Environment, EnvironmentRequest, Image
from runner.records.run import TrialResult
from runner.runs import registry
from runner.runs.enter import own_digests
from runner.runs.files import file_name
from runner.runs.folder import occupied
from runner.system import alive, cores, digest, places, stored, tempdir
from runner.system.host import cores_prefix, this_host
from runner.text import quoted, why

Fetch = Callable[[Collection[str]], Mapping[str, str]]
"""Waits for the parts with these keys, and returns why some do not come.

EngineError if the run does not answer.
"""


def answer_to(
    content: bytes, connect: Callable[[], Engine], parts: Parts, fetch: Fetch, observer: Observer
) -> bytes:
    """Execute an order and return the answer. Any problem of this host becomes an answer, too."""
    order = read_order(content)
    try:
        check_program(order, own_digests(order.matrix))
        with closing(connect()) as engine:
            answer = _Block(order, engine, parts, fetch, observer).executed()
    except (RunnerError, OSError) as error:
        problem = why(error)
        observer.note(f"block {order.block} of {order.run}: {problem}")
        answer = Answer(order=order.digest, host=this_host(), problem=problem, bases={}, logs={})
    return stored.dump(answer, indent=None)


class Claim:
    """The claim of this process to be the only worker of a host, for as long as it lives."""

    def __init__(self) -> None:
        self._sockets = ExitStack()
        self._machines = set[str]()
        self._lock = threading.Lock()

    def take(self, engine: Engine) -> str:
        """Claim the host of an engine, and return what distinguishes its cores from ours.

        EngineError if another process has claimed it.
        """
        machine = cores_prefix(this_host(), engine.describe())
        with self._lock:
            if machine not in self._machines:
                if not cores.claimed(self._sockets, f"{machine}worker"):
                    raise EngineError(
                        "another worker executes blocks on this host already; start only one on "
                        "each host."
                    )
                self._machines.add(machine)
        return machine

    def release(self) -> None:
        """Give up the claim."""
        self._sockets.close()
        self._machines.clear()


CLAIM = Claim()
STOPPING = threading.Event()
"""Set when this process ends: no further trial begins."""
_labels: set[str] = set()


def stop(connect: Callable[[], Engine]) -> None:
    """Begin no further trial, and remove what the block in progress has on the engine."""
    STOPPING.set()
    if _labels:
        with suppress(EngineError), closing(connect()) as engine:
            for label in tuple(_labels):
                clear(engine, label)


class _Journal:
    """Keeps the logs of a block until its answer is written."""

    def __init__(self) -> None:
        self.logs: dict[str, str] = {}

    def save_result(self, result: TrialResult, log: str) -> None:
        self.logs[result.trial.id] = log


class _Block:
    """One block on the engine of this host."""

    def __init__(
        self, order: Order, engine: Engine, parts: Parts, fetch: Fetch, observer: Observer
    ) -> None:
        self._order, self._matrix, self._plan = order, order.matrix, order.plan
        self._engine = engine
        self._parts = parts
        self._fetch = fetch
        self._observer = observer
        self._journal = _Journal()
        self._results: list[TrialResult] = []
        self._parallel = 1

    def executed(self) -> Answer:
        """Execute the block, and begin again where it was if the engine was lost."""
        machine = CLAIM.take(self._engine)
        check_limits(self._matrix, self._engine.describe())
        all_cores = cores_of(self._engine, machine)
        self._parallel = parallel_trials(self._matrix, self._engine.describe(), all_cores)
        self._observer.step(f"block {self._order.block} of the run {self._order.run}")
        self._observer.began(self._matrix)
        self._observer.planned(replace(self._plan, blocks=1), 0, None)
        tolerance = Tolerance(self._observer.note)
        with (
            _run_folder(self._order.run) as label,
            tempdir.folder() as root,
            cores.reserved(all_cores, self._matrix.cpus, self._parallel, machine) as groups,
        ):
            own = {core for group in groups for core in group}
            clean_up(self._engine, self._observer.note)
            self._provide_inputs(root)
            while True:
                try:
                    bases, prepared = self._provided(own, machine)
                    study = Study(
                        matrix=self._matrix,
                        lock=self._order.lock,
                        prepared=prepared,
                        root=root,
                        run=label,
                        guards=self._plan.guards,
                        places=tuple(
                            Place(one, self._turns(one, machine), is_here=not machine)
                            for one in groups
                        ),
                    )
                    cores.keep_off_measured(set() if machine else own)
                    with staged(study, self._engine):
                        self._execute(study, tolerance)
                    return self._answer(bases, prepared)
                except EngineLostError as error:
                    tolerance.wait(error)

    def _turns(self, wanted: Collection[int], machine: str) -> cores.Turns:
        name = f"block {self._order.block} of the run {self._order.run}"
        return cores.Turns(wanted, name, self._observer.note, machine)

    def _execute(self, study: Study, tolerance: Tolerance) -> None:
        """Execute what is missing, and then repeat what was disturbed or lost."""
        trials = pending(self._matrix, self._plan, self._results)
        while trials:
            going_on = takewhile(lambda _: not STOPPING.is_set(), trials)
            for result in execute(study, going_on, self._engine, self._journal, self._observer):
                self._results.append(result)
                tolerance.count(result)
            if STOPPING.is_set():
                raise EngineError("this worker was stopped; start it again.")
            trials = to_repeat(self._matrix, self._plan, self._order.block, self._results)

    def _answer(self, bases: Mapping[str, Base], prepared: Prepared) -> Answer:
        if lost := lost_trial(self._plan, self._results):
            raise EngineError(
                f"{lost.trial.id} was lost too often, the last time: {lost.reason}. Check the "
                "engine of this host."
            )
        return Answer(
            order=self._order.digest,
            host=this_host(),
            engine=self._engine.describe(),
            bases=bases,
            parallel=self._parallel,
            images=tuple({one.id: one for one in prepared.images.values()}.values()),
            results=tuple(self._results),
            logs=self._journal.logs,
        )

    # --- what the trials need ------------------------------------------------------------------

    def _provide_inputs(self, root: Path) -> None:
        """Have the files of the study in a folder; EngineError if one leads out of it."""
        self._require(self._order.inputs.values())
        for name, key in self._order.inputs.items():
            target = root / name
            if not target.resolve().is_relative_to(root.resolve()):
                raise EngineError(
                    f"the run sends {quoted(name)}, which is outside the folder of the study; move "
                    "it there."
                )
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self._parts.path(key), target)
            if digest.of_file(target) != key:
                raise EngineError(
                    f"{name} is not the file that the run began with; restore it, or begin another "
                    "run with --new."
                )

    def _provided(self, own: Collection[int], machine: str) -> tuple[Mapping[str, Base], Prepared]:
        """Have the bases and the images on the engine."""
        self._require(one.part for one in self._order.bases.values())
        bases = {
            key: self._engine.load_base(one.base, one.python, self._parts.path(one.part))
            for key, one in self._order.bases.items()
        }
        known, lock = self._engine.images(), self._order.lock
        missing: dict[str, str] = {}
        for environment in to_build(self._matrix, lock, known, bases):
            key = environment_digest(environment)
            missing.update(self._need([key]))
            if key not in missing:
                every = cores.measured(machine).union(own)
                with self._turns(every, machine).turn():  # a build may use every core
                    self._build(environment, bases[environment.base_key])
        images: dict[EnvironmentRequest, Image] = {}
        reasons: dict[EnvironmentRequest, str] = {}
        known = self._engine.images()
        for one in used(self._matrix, lock):
            image = find_image(one, known, self._matrix.base, bases)
            if image is not None:
                images[one.request] = image
            elif environment_digest(one) in missing:
                reasons[one.request] = missing[environment_digest(one)]
            else:
                raise EngineLostError(
                    f"the image of {one.request.label} is gone again; free some disk space."
                )
        return bases, Prepared(images=images, missing=reasons)

    def _build(self, environment: Environment, base: Base) -> None:
        """Build an image from the packages that came for it. They are not needed afterwards."""
        digest_, label = environment_digest(environment), environment.request.label
        with tempdir.folder() as folder:
            shutil.copy(dockerfile(), folder / DOCKERFILE)
            shutil.move(self._parts.path(digest_), folder / PACKED)
            context = BuildContext(folder=folder, environment=digest_, label=label, base=base)
            observed(label, self._observer, partial(self._engine.build, context))

    def _need(self, keys: Iterable[str]) -> Mapping[str, str]:
        """Have these parts here; return why some do not come."""
        lacking = [key for key in dict.fromkeys(keys) if not self._parts.has(key)]
        return self._fetch(lacking) if lacking else {}

    def _require(self, keys: Iterable[str]) -> None:
        """Have these parts here; EngineError if one does not come."""
        for reason in self._need(keys).values():
            raise EngineError(reason)


@contextmanager
def _run_folder(run: str) -> Iterator[str]:
    """Occupy an empty folder for a run on this host, so that its leftovers have an owner.

    Return its label. EngineError if another process has it.
    """
    folder = places.state() / "blocks" / file_name(f"block-of-{run}")
    with occupied(folder) as ours, alive.shown(registry.label_of(folder)):
        if not ours:
            raise EngineError(
                f"another process executes a block of the run {run} on this host; wait until it "
                "ends."
            )
        label = registry.remember(folder)
        _labels.add(label)
        try:
            yield label
        finally:
            _labels.discard(label)
            shutil.rmtree(folder, ignore_errors=True)
            registry.forget_if_gone(label)
