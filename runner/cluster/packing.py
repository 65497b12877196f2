"""Packing: what the machine of the run sends to workers that lack it."""

from collections.abc import Mapping
from pathlib import Path

from runner.cluster.orders import SavedBase
from runner.engines.protocol import PACKED, Engine
from runner.errors import ConfigError, EngineError
from runner.observer import Observer
from runner.prepare.context import write_context
from runner.prepare.recipe import distinct, environment_digest, ready, used
from runner.python import interpreters
from runner.records.environment import Base
from runner.records.run import Run
from runner.system import digest, safe
from runner.text import listed


class Packing:
    """The parts of a study, in a folder. The packages of an environment are packed when needed."""

    def __init__(
        self, run: Run, root: Path, engine: Engine, folder: Path, observer: Observer
    ) -> None:
        """Pack the study of a run, whose files begin at ``root``; ConfigError if that fails."""
        matrix, lock = run.matrix, run.lock
        if images := ready(matrix, lock):
            labels = listed([one.request.label for one in images])
            raise ConfigError(
                f"workers of a cluster cannot get container images that were not built by "
                f"matrix-runner ({labels}); leave these cells out with --select."
            )
        self._matrix = matrix
        self._engine = engine
        self._folder = folder
        self._observer = observer
        self._environments = {environment_digest(one): one for one in distinct(matrix, lock)}
        self._lock = lock
        self._files = {
            digest.of_input(root, name): safe.inside(root, name)
            for name in matrix.experiment.inputs
        }

    def save_bases(self, bases: Mapping[str, Base]) -> Mapping[str, SavedBase]:
        """Save bases as parts and return how workers load them, by ``Environment.base_key``."""
        saved: dict[str, SavedBase] = {}
        pythons = {one.base_key: one.python for one in used(self._matrix, self._lock)}
        for number, (key, base) in enumerate(bases.items()):
            file = self._folder / f"base-{number}.tar"
            interpreter = interpreters.find(pythons[key])
            loaded = self._engine.save_base(base, interpreter, file)
            part = digest.of_file(file)
            self._files[part] = file
            saved[key] = SavedBase(base=loaded, python=pythons[key], part=part)
        return saved

    def find(self, key: str) -> Path:
        """Return the file of a part; RunnerError if there is none, or if it cannot be packed."""
        if key not in self._files:
            environment = self._environments.get(key)
            if environment is None:
                raise EngineError(
                    "a worker asked for a file that is not part of the study; install the same "
                    "matrix-runner on all machines."
                )
            self._observer.step(f"packing {environment.request.label} for the workers")
            folder = self._folder / key
            folder.mkdir(exist_ok=True)
            write_context(environment, self._matrix.base, self._engine, folder)
            self._files[key] = folder / PACKED
        return self._files[key]
