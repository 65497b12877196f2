"""An engine behind a Unix socket, which answers simple questions before the SDK is loaded.

A run that is complete asks nothing else. Loading the SDK takes longer than all these questions.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from runner.engines.docker import labels, plain
from runner.engines.docker.address import Address
from runner.engines.docker.belongings import KINDS_OF_IMAGES, OF_RUNS, belongings
from runner.engines.docker.plain import Filters
from runner.engines.docker.questions import LIST_OURS, Questions, chosen
from runner.engines.protocol import Owned
from runner.errors import EngineError, EngineLostError
from runner.python.interpreters import Interpreter
from runner.records.environment import Base, Image
from runner.records.run import EngineFacts
from runner.system import signals

if TYPE_CHECKING:
    from runner.engines.docker.trials import DockerEngine

# ruff: noqa: PLC0415 (what loads the SDK is imported where it is needed)

T = TypeVar("T")
NO_IMAGE = "no such image"
"""How engines say that they do not have an image; the SDK, too, recognizes it by that."""


class LocalEngine(Questions):
    """A ``DockerEngine`` that is made when it is needed; afterwards it answers everything.

    It also answers whatever cannot be answered here, for it knows what went wrong and what to do.
    """

    def __init__(self, where: Address, machine: str) -> None:
        """Ask for the version; EngineError if the engine does not answer."""
        super().__init__(machine, local=True)
        self._where = where
        self._whole: DockerEngine | None = None
        self._whole_lock = threading.Lock()
        self._version: Mapping[str, Any] = {}
        self._prefix = ""
        try:
            self._version = self._get("version")
            self._prefix = f"v{self._version['ApiVersion']}/"
        except OSError as error:
            from runner.engines.docker.client import no_engine

            raise no_engine(where, error) from error
        except (ValueError, LookupError, TypeError):  # whatever it is, it is not like Docker
            self._whole = self._made()

    def __getattr__(self, name: str) -> Any:
        """Return what only the whole engine has."""
        return getattr(self._loaded(), name)

    def describe(self) -> EngineFacts:
        return self._facts or self._answer(super().describe, lambda whole: whole.describe())

    def images(self) -> tuple[Image, ...]:
        return self._answer(super().images, lambda whole: whole.images())

    def base(self, wanted: str, interpreter: Interpreter) -> Base:
        """Provide a base. One that does not exist yet is provided by the whole engine."""
        if self._whole is None:
            with suppress(OSError, ValueError):
                if found := self._existing(*chosen(wanted, interpreter), interpreter):
                    return found
        return self._loaded().base(wanted, interpreter)

    def owned(self) -> tuple[Owned, ...]:
        return self._answer(self._owned, lambda whole: whole.owned())

    def close(self) -> None:
        if self._whole is not None:
            self._whole.close()

    def _answer(self, ask: Callable[[], T], ask_whole: "Callable[[DockerEngine], T]") -> T:
        """Ask without the SDK if it is not loaded yet, and with it if that fails."""
        if self._whole is None:
            with suppress(OSError, ValueError):
                return ask()
        return ask_whole(self._loaded())

    def _loaded(self) -> "DockerEngine":
        """Return the whole engine; EngineLostError if the engine does not answer any more."""
        with self._whole_lock:  # several images are built at the same time
            if self._whole is None:
                try:
                    self._whole = self._made()
                except EngineError as error:
                    raise EngineLostError(str(error)) from error
            return self._whole

    def _made(self) -> "DockerEngine":
        with signals.deferred():  # an interrupted import cannot be repeated for the cleanup
            from runner.engines.docker.client import client_at
            from runner.engines.docker.trials import DockerEngine
        return DockerEngine(client_at(self._where)[0], self._machine)

    # --- questions -----------------------------------------------------------------------------

    def _get(self, question: str, filters: Filters | None = None, **options: str) -> Any:
        return plain.ask(str(self._where.socket), f"{self._prefix}{question}", filters, **options)

    def _description(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        return self._get("info"), self._version

    def _image(self, name: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = self._get(f"images/{name}/json")
        except plain.RefusedError as error:
            if NO_IMAGE in error.reason.lower():
                return None
            raise
        return found

    def _images(
        self, _: str, filters: Filters, name: str | None = None
    ) -> Sequence[Mapping[str, Any]]:
        named = {} if name is None else {"reference": [name]}
        listed: Sequence[Mapping[str, Any]] = self._get("images/json", {**filters, **named})
        return listed

    def _owned(self) -> tuple[Owned, ...]:
        return belongings(
            self._get("containers/json", OF_RUNS, all="1"),
            self._get("volumes", OF_RUNS)["Volumes"] or (),
            [
                image
                for kind in KINDS_OF_IMAGES
                for image in self._images(LIST_OURS, {"label": [labels.LABEL + kind]})
            ],
            self._without_labels(),
            self._machine,
        )
