"""What a script needs from its trial: parameters, a seed, data files, and a place for its numbers.

    import trial

    for epoch in range(trial.parameters.get("epochs", 3)):
        with trial.timed("epoch_seconds"):
            train()
    trial.record(test_accuracy=93.1)

Every script in a trial can import this module. A script that is run by hand needs a copy beside it
(``python -m runner module > trial.py``), and prints at its end what it would record. This file
needs only the standard library of Python 3.6 to 3.14.
"""

import atexit
import json
import math
import os
import sys
import time
from typing import Any, Dict, List, Optional

if sys.platform != "win32":
    import resource

CPU_TIME = " (CPU time)"
"""How the series ends that holds the CPU time of what another series measures."""

_PROCESS = os.getpid()
_values = {}  # type: Dict[str, float]
_series = {}  # type: Dict[str, List[float]]
_environment = {}  # type: Dict[str, Any]
_adapted = []  # type: List[str]


class Parameters(Dict[str, Any]):
    """The parameters of the trial. Run by hand, they come from $TRIAL_PARAMETERS, which is JSON."""

    def __missing__(self, name: str) -> Any:
        """Say where parameters come from."""
        raise KeyError(
            f"the parameter {name} is not set: add it to the matrix; run by hand, set it with "
            f"TRIAL_PARAMETERS='{{\"{name}\": ...}}'"
        )


def _read() -> Dict[str, Any]:
    if "PARAMS_PATH" in os.environ:
        with open(os.environ["PARAMS_PATH"]) as file:
            return dict(json.load(file))
    text = os.environ.get("TRIAL_PARAMETERS", "{}")
    try:
        return {"parameters": dict(json.loads(text))}
    except (TypeError, ValueError) as error:
        expected = '{"epochs": 3}'
        sentence = f"TRIAL_PARAMETERS must be JSON such as {expected}, not {text!r}"
        raise ValueError(sentence) from error


_spec = _read()
parameters = Parameters(_spec["parameters"])
seed = _spec.get("seed", 0)  # type: int
"""The seed of the trial, the same for all cells of a block; 0 by hand."""
cell = _spec.get("cell", {})  # type: Dict[str, Any]
"""The values of the axes."""
matched = _spec.get("matched", False)  # type: bool
"""Whether there is a module ``matched`` with the same initial weights for every cell."""


def data(name: str) -> str:
    """Return the path of a data file of the study.

    Run by hand, look for it beside the script, in the working folder, and in a folder ``data`` in
    these two.
    """
    if "DATA_DIR" in os.environ:
        path = os.path.join(os.environ["DATA_DIR"], os.path.basename(name))
        if os.path.exists(path):
            return path
        raise FileNotFoundError(f"{name} is not listed under `data` in the matrix; add it")
    beside = os.path.dirname(os.path.abspath(sys.argv[0]))
    places = dict.fromkeys((beside, os.getcwd()))
    folders = [folder for one in places for folder in (one, os.path.join(one, "data"))]
    for folder in folders:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(f"{name} is in none of {', '.join(folders)}")


def record(**numbers: Any) -> None:
    """Record numbers by name. A name that is recorded again, or a list, becomes a series."""
    for name, given in numbers.items():
        several = _listed(name, given)
        if several is None and name not in _values and name not in _series:
            _values[name] = _number(name, given)
        else:
            _append(name, [given] if several is None else several)


def _listed(name: str, given: Any) -> Optional[List[Any]]:
    """Return the elements of a list or an array; None for a single number."""
    if isinstance(given, (str, bytes, dict)):
        raise TypeError(f"{name} must be a number or a list of numbers, not {given!r}")
    try:
        return list(given)
    except TypeError:
        return None


def _number(name: str, given: Any) -> float:
    if isinstance(given, (str, bytes)):
        raise TypeError(f"{name} must be a number, not {given!r:.100}")
    try:
        number = float(given)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"{name} must be a number, not {given!r:.100}") from error
    if not math.isfinite(number):
        raise ValueError(f"{name} is {number}, which cannot be recorded")
    return number


def _append(name: str, given: List[Any]) -> None:
    numbers = [_number(name, one) for one in given]
    if name in _values:
        numbers.insert(0, _values.pop(name))
    _series.setdefault(name, []).extend(numbers)


class timed:  # noqa: N801 (it is used like a function)
    """Measure a piece of work: its wall time, and the CPU time of this process.

    Each measurement is added to a series. The runner knows that both are times of the same work.
    CPU time includes that of child processes that ended meanwhile.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.seconds = math.nan
        self.cpu_seconds = math.nan
        self._began = self._cpu_began = math.nan

    def start(self) -> "timed":
        """Start both clocks."""
        self._cpu_began = _cpu_seconds()
        self._began = time.perf_counter()
        return self

    def stop(self) -> None:
        """Stop both clocks and record the times."""
        if math.isnan(self._began):
            raise RuntimeError(f"the clock of {self.name} was not started; call start() first")
        self.seconds = time.perf_counter() - self._began
        self.cpu_seconds = _cpu_seconds() - self._cpu_began
        self._began = math.nan
        _append(self.name, [self.seconds])
        _append(self.name + CPU_TIME, [self.cpu_seconds])

    def __enter__(self) -> "timed":
        return self.start()

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is None:
            self.stop()


def _cpu_seconds() -> float:
    seconds = time.process_time()
    if sys.platform != "win32":
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds += children.ru_utime + children.ru_stime
    return seconds


def describe(**facts: Any) -> None:
    """Add facts about this process to the result: text, numbers, true or false."""
    for name, given in facts.items():
        fact = given.item() if getattr(given, "shape", None) == () else given  # one of NumPy
        if not isinstance(fact, (str, int, float)):
            raise TypeError(f"{name} must be text, a number, true or false, not {given!r:.100}")
        _environment[name] = _number(name, fact) if isinstance(fact, float) else fact


def adapted(sentence: str) -> None:
    """Say what the script did differently from the other cells, in substance."""
    if not isinstance(sentence, str):
        raise TypeError(f"say in a sentence what was adapted, not {sentence!r}")
    _adapted.append(sentence)


@atexit.register
def _finish() -> None:
    """Write what was recorded, or print it; nothing in a process that was forked."""
    if os.getpid() != _PROCESS or not (_values or _series or _environment or _adapted):
        return
    if "RESULT_PATH" not in os.environ:
        _show()
        return
    result = {
        "format": 1,
        "values": _values,
        "series": _series,
        "environment": _environment,
        "adapted": " ".join(_adapted) or None,
    }
    path = os.environ["RESULT_PATH"]
    with open(path + ".part", "w") as file:
        json.dump(result, file)
    os.replace(path + ".part", path)


def _show() -> None:
    print("a trial would record:")
    for name, value in sorted(_values.items()):
        print(f"  {name}: {value:.6g}")
    for name, numbers in sorted(_series.items()):
        middle = f" x about {sorted(numbers)[len(numbers) // 2]:.6g}" if numbers else ""
        print(f"  {name}: {len(numbers)}{middle}")
    for name, fact in sorted(_environment.items()):
        print(f"  {name}: {fact}")
    for sentence in _adapted:
        print(f"  adapted: {sentence}")
