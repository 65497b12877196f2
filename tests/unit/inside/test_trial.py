"""The module ``trial`` on every Python of this machine, in a trial and by hand."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner.execute.script_result import read_result
from runner.inside import TRIAL
from runner.records.study import CPU_TIME, Better, Metric
from tests.support.pythons import supported

SPEC = {
    "seed": 2**70,
    "parameters": {"epochs": 2, "rate": 0.5, "name": "\u00e4", "fast": True},
    "cell": {"lib": "1.0", "epochs": 2},
    "matched": True,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a script ended: what it printed, and the result that it wrote, if any."""

    code: int
    out: str
    log: str
    result: dict[str, Any] | None


class Scripts:
    """Runs scripts that import the module with one interpreter."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.python = python
        self.folder = folder
        shutil.copy(TRIAL, folder)

    def in_trial(self, script: str) -> Ran:
        """Run a script with the variables of a trial."""
        (self.folder / "params.json").write_text(json.dumps(SPEC))
        (self.folder / "data").mkdir(exist_ok=True)
        places = {"PARAMS_PATH": "params.json", "RESULT_PATH": "result.json", "DATA_DIR": "data"}
        return self.run(script, {name: str(self.folder / one) for name, one in places.items()})

    def by_hand(self, script: str, parameters: str | None = None) -> Ran:
        """Run a script without them."""
        return self.run(script, {} if parameters is None else {"TRIAL_PARAMETERS": parameters})

    def run(self, script: str, variables: dict[str, str]) -> Ran:
        """Run a script with these variables alone."""
        path, result = self.folder / "script.py", self.folder / "result.json"
        path.write_text("import json, os, sys, time\nimport trial\n" + script)
        result.unlink(missing_ok=True)
        done = subprocess.run(
            [str(self.python), "-B", str(path)],
            cwd=self.folder,
            env=variables,
            capture_output=True,
            check=False,
            timeout=60,
        )
        return Ran(
            code=done.returncode,
            out=done.stdout.decode(),
            log=done.stderr.decode(),
            result=json.loads(result.read_text()) if result.exists() else None,
        )


@pytest.fixture(params=supported(), ids=lambda one: one.minor)
def scripts(request: pytest.FixtureRequest, tmp_path: Path) -> Scripts:
    """Scripts for each Python of this machine."""
    return Scripts(request.param.path, tmp_path)


@pytest.fixture
def here(tmp_path: Path) -> Scripts:
    """Scripts for the Python that runs the tests, for what does not depend on it."""
    return Scripts(Path(sys.executable), tmp_path)


EVERYTHING = """
import multiprocessing
with trial.timed("epoch") as epoch:
    with trial.timed("part"):
        sum(range(10**5))
assert epoch.seconds >= 0 and epoch.cpu_seconds >= 0
trial.record(one=1, several=[1, 2.5], again=3)
trial.record(again=4)
trial.describe(keras="2.2.4", threads=1, eager=True, share=0.5)
trial.adapted("One thing was")
trial.adapted("different.")
if os.fork() == 0:
    trial.record(one=99, child=1)
    sys.exit()
os.wait()
"""


def test_a_script_records_the_same_names_in_a_trial_and_by_hand(scripts: Scripts) -> None:
    """A trial writes a valid result, without what a forked process recorded."""
    ran = scripts.in_trial(EVERYTHING)
    assert (ran.code, ran.out, ran.log) == (0, "", "")
    assert not (scripts.folder / "result.json.part").exists()
    names = ("one", "several", "again", "epoch", "part", f"epoch{CPU_TIME}", f"part{CPU_TIME}")
    metrics = [Metric(name=one, unit="", better=Better.LOWER, title=one) for one in names]
    result = read_result(json.dumps(ran.result), metrics)
    assert {*result.values, *result.series} == {*names}
    assert result.values == {"one": 1}
    assert (result.series["several"], result.series["again"]) == ((1, 2.5), (3, 4))
    assert 0 <= result.series["part"][0] <= result.series["epoch"][0] < 10
    assert result.environment == {"keras": "2.2.4", "threads": 1, "eager": True, "share": 0.5}
    assert result.adapted == "One thing was different."
    shown = scripts.by_hand(EVERYTHING)
    assert (shown.code, shown.log, shown.result) == (0, "", None)
    assert shown.out.startswith("a trial would record:\n  one: 1\n  again: 2 x about 4\n")
    facts = {*result.environment, "adapted"}
    assert {*re.findall(r"^  (.+?): ", shown.out, re.MULTILINE)} == {*names, *facts}


def test_a_script_gets_its_trial(scripts: Scripts) -> None:
    """By hand, parameters come from a variable, and everything else has a default."""
    script = "print(json.dumps([trial.parameters, trial.seed, trial.cell, trial.matched]))\n"
    script += "print(trial.parameters.get('no', 5), dict(**trial.parameters)['epochs'])"
    ran = scripts.in_trial(script)
    given, lines = ran.out.split("\n", 1)
    assert json.loads(given) == [SPEC[name] for name in ("parameters", "seed", "cell", "matched")]
    assert lines == "5 2\n"
    by_hand = scripts.by_hand(script, '{"epochs": 7, "name": "\\u00e4"}')
    given, lines = by_hand.out.split("\n", 1)
    assert json.loads(given) == [{"epochs": 7, "name": "\u00e4"}, 0, {}, False]
    assert lines == "5 7\n"


def test_a_missing_parameter_names_its_remedies(scripts: Scripts) -> None:
    """The last line of the log says what to write, in the matrix and by hand."""
    for ran in (
        scripts.in_trial("trial.parameters['batch']"),
        scripts.by_hand("trial.parameters['batch']"),
    ):
        assert ran.code == 1
        last = ran.log.splitlines()[-1]
        assert "the parameter batch is not set: add it to the matrix" in last
        assert "TRIAL_PARAMETERS='{\"batch\": ...}'" in last.replace("\\'", "'")


@pytest.mark.parametrize("text", ["", "{epochs: 2}", "3", "[1]", "null"])
def test_parameters_by_hand_must_be_json(here: Scripts, text: str) -> None:
    """The last line names the variable and shows an example."""
    ran = here.by_hand("", text)
    assert ran.code == 1
    said = f"""ValueError: TRIAL_PARAMETERS must be JSON such as {{"epochs": 3}}, not {text!r}"""
    assert ran.log.splitlines()[-1] == said


def test_a_script_that_records_nothing_writes_nothing(scripts: Scripts) -> None:
    """Another program may write the result; by hand it prints nothing."""
    assert scripts.in_trial("print('done')").result is None
    assert scripts.by_hand("print('done')").out == "done\n"


def test_a_script_that_fails_keeps_what_it_recorded(here: Scripts) -> None:
    """Its exit code and its last line stay those of the error."""
    ran = here.in_trial("trial.record(x=1)\nsys.exit('a reason')")
    assert (ran.code, ran.log) == (1, "a reason\n")
    assert ran.result is not None
    assert ran.result["values"] == {"x": 1}


RECORDED = {
    "trial.record(x=1)": 1,
    "trial.record(x=True)": 1,
    "trial.record(x=numpy.float32(0.5))": 0.5,
    "trial.record(x=numpy.int64(3))": 3,
    "trial.record(x=numpy.array(2.5))": 2.5,
    "trial.record(x=fractions.Fraction(1, 2))": 0.5,
    "trial.record(x=numpy.array([1, 2]))": [1, 2],
    "trial.record(x=(1, numpy.float64(2)))": [1, 2],
    "trial.record(x=range(2))": [0, 1],
    "trial.record(x=(n / 2 for n in range(2)))": [0, 0.5],
    "trial.record(x=[1])": [1],
    "trial.record(x=[])": [],
    "trial.record(x=1); trial.record(x=2); trial.record(x=3)": [1, 2, 3],
    "trial.record(x=1); trial.record(x=[2, 3])": [1, 2, 3],
    "trial.record(x=[1]); trial.record(x=2)": [1, 2],
    "trial.record(x=1); attempt('trial.record(x=[2, None])')": 1,
    "attempt('trial.record(x=[2, None])'); trial.record(x=3)": 3,
}
ATTEMPT = """
import fractions
def attempt(code):
    try:
        exec(code)
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.mark.parametrize("code", RECORDED)
def test_numbers_become_values_and_lists_become_series(here: Scripts, code: str) -> None:
    """A name that is recorded again is a series, too; a mistake changes nothing."""
    script = ATTEMPT + "import numpy\n" * ("numpy" in code) + code
    ran = here.in_trial(script)
    assert ran.log == ""
    assert ran.result is not None
    kind = "series" if isinstance(RECORDED[code], list) else "values"
    assert ran.result == {
        "format": 1,
        "values": {},
        "series": {},
        "environment": {},
        "adapted": None,
        kind: {"x": RECORDED[code]},
    }
    assert re.search(r"^  x: [0-9]", here.by_hand(script).out, re.MULTILINE)


REFUSED = {
    "trial.record(x='1')": "TypeError x must be a number or a list of numbers, not '1'",
    "trial.record(x=b'1')": "TypeError x must be a number or a list of numbers, not b'1'",
    "trial.record(x={'a': 1})": "TypeError x must be a number or a list of numbers, not {'a': 1}",
    "trial.record(x=None)": "TypeError x must be a number, not None",
    "trial.record(x=['1'])": "TypeError x must be a number, not '1'",
    "trial.record(x=[[1, 2]])": "TypeError x must be a number, not [1, 2]",
    "trial.record(x=numpy.ones((1, 2)))": "TypeError x must be a number, not array([1., 1.])",
    "trial.record(x=1j)": "TypeError x must be a number, not 1j",
    "trial.record(x=10**400)": f"TypeError x must be a number, not 1{'0' * 99}",
    "trial.record(x=float('nan'))": "ValueError x is nan, which cannot be recorded",
    "trial.record(x=[1, float('-inf')])": "ValueError x is -inf, which cannot be recorded",
    "trial.record(x=numpy.float32('inf'))": "ValueError x is inf, which cannot be recorded",
    "trial.describe(x=None)": "TypeError x must be text, a number, true or false, not None",
    "trial.describe(x=[1])": "TypeError x must be text, a number, true or false, not [1]",
    "trial.describe(x=float('nan'))": "ValueError x is nan, which cannot be recorded",
    "trial.adapted(None)": "TypeError say in a sentence what was adapted, not None",
    "trial.timed('x').stop()": ("RuntimeError the clock of x was not started; call start() first"),
    "trial.data('no.npz')": (
        "FileNotFoundError no.npz is not listed under `data` in the matrix; add it"
    ),
}


def test_what_cannot_be_recorded_is_refused_at_once(here: Scripts) -> None:
    """The error names the number, and its traceback the line of the script."""
    script = f"import numpy\nfor code in {list(REFUSED)!r}:\n    attempt(code)\n"
    ran = here.in_trial(ATTEMPT + script)
    assert dict(zip(REFUSED, ran.out.splitlines(), strict=True)) == REFUSED
    assert (ran.log, ran.result) == ("", None)


def test_facts_may_be_numbers_of_numpy(here: Scripts) -> None:
    """The result has them as plain values; a fact that is told again is replaced."""
    script = "import numpy\ntrial.describe(a=1, b=numpy.bool_(True), c=numpy.int64(2))\n"
    ran = here.in_trial(script + "trial.describe(a=numpy.float32(0.5), d=numpy.str_('x'))")
    assert ran.result is not None
    assert ran.result["environment"] == {"a": 0.5, "b": True, "c": 2, "d": "x"}


SPIN = """
def spin(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
"""


def test_a_clock_measures_wall_time_and_cpu_time(scripts: Scripts) -> None:
    """Sleep takes only wall time. Child processes that ended count as CPU time."""
    ran = scripts.in_trial(
        SPIN + "with trial.timed('sleep'):\n    time.sleep(0.1)\n"
        "with trial.timed('spin'):\n    spin(0.05)\n"
        "with trial.timed('child'):\n"
        "    if os.fork() == 0:\n        spin(0.05)\n        os._exit(0)\n"
        "    os.wait()\n"
    )
    assert ran.result is not None
    series = ran.result["series"]
    assert 0.1 <= series["sleep"][0] < 5
    assert series["sleep" + CPU_TIME][0] < 0.05
    assert series["spin"][0] > 0.04
    for name in ("spin", "child"):
        assert 0.04 < series[name + CPU_TIME][0] < 5


def test_a_clock_has_a_start_and_a_stop(here: Scripts) -> None:
    """They fit callbacks; work that fails, or that never began, has no time."""
    ran = here.in_trial(
        ATTEMPT + "clock = trial.timed('callback')\n"
        "for _ in range(3):\n    clock.start()\n    clock.stop()\n"
        "attempt('clock.stop()')\n"
        "print(clock.seconds >= 0, clock.cpu_seconds >= 0)\n"
        "attempt('with trial.timed(1): 1 / 0')\n"
        "with trial.timed('same'):\n    with trial.timed('same'):\n        pass\n"
    )
    assert ran.out.splitlines() == [
        "RuntimeError the clock of callback was not started; call start() first",
        "True True",
        "ZeroDivisionError division by zero",
    ]
    assert ran.result is not None
    series = ran.result["series"]
    assert {name: len(each) for name, each in series.items()} == {
        **dict.fromkeys(("callback", "callback" + CPU_TIME), 3),
        **dict.fromkeys(("same", "same" + CPU_TIME), 2),
    }


def test_data_files_are_found_in_a_trial_and_by_hand(scripts: Scripts) -> None:
    """By hand they are beside the script, in the working folder, or in a folder ``data``."""
    script = "print(trial.data('m.npz'), trial.data('data/n.npz'))"
    data = scripts.folder / "data"
    data.mkdir()
    (data / "n.npz").touch()
    (data / "m.npz").symlink_to("n.npz")
    expected = f"{data}/m.npz {data}/n.npz\n"
    assert scripts.in_trial(script).out == expected
    assert scripts.by_hand(script).out == expected
    (data / "n.npz").unlink()
    (scripts.folder / "m.npz").touch()
    lost = scripts.by_hand(script)
    said = f"FileNotFoundError: data/n.npz is in none of {scripts.folder}, {scripts.folder}/data"
    assert lost.log.splitlines()[-1].startswith(said)
    assert scripts.by_hand("print(trial.data('m.npz'))").out == f"{scripts.folder}/m.npz\n"


def test_a_process_that_was_started_anew_may_record(here: Scripts) -> None:
    """The result is that of the process that ends last."""
    ran = here.in_trial(
        "import subprocess\n"
        "trial.record(**{'x' if sys.argv[1:] else 'y': 1})\n"
        "if not sys.argv[1:]:\n"
        "    subprocess.check_call([sys.executable, __file__, 'again'])\n"
    )
    assert (ran.code, ran.log) == (0, "")
    assert ran.result is not None
    assert ran.result["values"] == {"y": 1}
