"""Execute a job of a workflow as a runner of GitHub Actions does, without GitHub.

Scripts run in bash as there, with their variables, outputs and summary. Actions of this project are
executed step by step; those of others (checkout, cache, artifacts) are only remembered.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.repositories import ask, commit
from tests.support.studies import ROOT

LOCK_FILE = "experiments/lock_bump/requirements.txt"
NEWER = (
    "sortedcontainers==2.4.0 "
    "--hash=sha256:a163dcaede0f1c021485e957a39245190e74249897e2ae4b2aa38595db237ee0\n"
)
Context = dict[str, Any]
_EXPRESSION = re.compile(r"\$\{\{ *(.+?) *\}\}")


@dataclass
class Job:
    """A job in a checked-out repository. ``context`` has ``github``, ``inputs`` and the like."""

    workspace: Path
    home: Path
    context: Context
    user: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    """The actions of others, in order."""
    seconds: dict[str, float] = field(default_factory=dict)
    """The steps that were executed, by name, and how long each took."""
    log: str = ""
    is_failed: bool = False

    @property
    def temporary(self) -> Path:
        """The folder of the runner that it empties for each job."""
        return self.home / "temp"

    @property
    def summary(self) -> str:
        """What the steps wrote into the summary of the job."""
        path = self.home / "GITHUB_STEP_SUMMARY"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def execute(self, workflow: str, job: str) -> Context:
        """Execute a job of a workflow; return the outputs of its steps, by their ids."""
        self.temporary.mkdir()
        self._hand_over(self.temporary)
        path = self.workspace / ".github" / "workflows" / workflow
        body = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"][job]
        context = {**self.context, "runner": {"temp": str(self.temporary)}, "steps": {}}
        variables = {name: fill(text, context) for name, text in body.get("env", {}).items()}
        self._steps(body["steps"], context, variables, self.workspace)
        steps: Context = context["steps"]
        return steps

    def _steps(
        self, steps: list[Context], context: Context, variables: Mapping[str, str], action: Path
    ) -> None:
        for step in steps:
            if not self._is_due(str(step.get("if", "success()")), context):
                continue
            filled = {name: fill(str(text), context) for name, text in step.get("env", {}).items()}
            if "run" in step:
                outputs = self._script(step, {**variables, **filled}, action)
            elif step["uses"].startswith("./"):
                given = {name: fill(text, context) for name, text in step.get("with", {}).items()}
                outputs = self._action(step["uses"], given, {**variables, **filled})
            else:
                self.foreign.append(step["uses"].partition("@")[0])
                continue
            if "id" in step:
                context["steps"][step["id"]] = {"outputs": outputs}

    def _action(
        self, uses: str, given: Mapping[str, str], variables: Mapping[str, str]
    ) -> Mapping[str, str]:
        """Execute a composite action; return its outputs."""
        folder = self.workspace / uses
        document = yaml.safe_load((folder / "action.yml").read_text(encoding="utf-8"))
        inputs = {
            name: given.get(name, fill(str(one.get("default", "")), self.context))
            for name, one in document["inputs"].items()
        }
        runner = {"temp": str(self.temporary), "os": "Linux", "arch": "X64"}
        context = {**self.context, "runner": runner, "inputs": inputs, "steps": {}}
        self._steps(document["runs"]["steps"], context, variables, folder)
        return {
            name: fill(one["value"], context) for name, one in document.get("outputs", {}).items()
        }

    def _script(
        self, step: Context, variables: Mapping[str, str], action: Path
    ) -> Mapping[str, str]:
        """Execute a script in bash; return its outputs."""
        script, output = self.home / "script.sh", self.home / "GITHUB_OUTPUT"
        script.write_text(step["run"], encoding="utf-8")
        output.write_text("")
        summary = self.home / "GITHUB_STEP_SUMMARY"
        summary.touch()
        for path in (script, output, summary):
            self._hand_over(path)
        began = time.monotonic()
        done = subprocess.run(
            [*self._as_user(), "bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.workspace,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.home),
                "RUNNER_TEMP": str(self.temporary),
                "GITHUB_WORKSPACE": str(self.workspace),
                "GITHUB_ACTION_PATH": str(action),
                "GITHUB_OUTPUT": str(output),
                "GITHUB_STEP_SUMMARY": str(summary),
                **self.variables,
                **variables,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.seconds[step["name"]] = time.monotonic() - began
        self.log += done.stdout
        self.is_failed |= done.returncode != 0
        lines = output.read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def _is_due(self, condition: str, context: Context) -> bool:
        """Whether a step is executed; conditions are terms that are joined by ``&&``."""
        terms = _EXPRESSION.sub(r"\1", condition).split(" && ")
        runs_always = {"always()", "!cancelled()"} & set(terms)
        others = [one for one in terms if not one.endswith("()")]
        return (bool(runs_always) or not self.is_failed) and all(
            looked_up(one, context) for one in others
        )

    def _as_user(self) -> list[str]:
        if self.user is None:
            return []
        return ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", "--"]

    def _hand_over(self, path: Path) -> None:
        if self.user is not None:
            os.chown(path, self.user, self.user)


def fill(text: object, context: Context) -> str:
    """Return a text with the values of its expressions, which are names such as ``inputs.gate``."""
    written = str(text).lower() if isinstance(text, bool) else str(text)
    value: Callable[[re.Match[str]], str] = lambda found: looked_up(found[1], context)  # noqa: E731
    return _EXPRESSION.sub(value, written)


def looked_up(name: str, context: Context) -> str:
    """Return the value of a name; empty if there is none, as GitHub has it."""
    value: Any = context
    for part in name.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    return str(value)


def checked_out(folder: Path) -> Path:
    """Check out a pull request that changes a lock file, as GitHub does; return the checkout.

    It is the merge into the working tree as it is, with both parents. Above it is an empty home.
    """
    origin, checkout = folder / "origin", folder / "home" / "project"
    files = ask(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("reports/"):
            (origin / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, origin / name, follow_symlinks=False)
    ask(origin, "init", "--quiet", "--initial-branch=main")
    commit(origin, {})
    ask(origin, "checkout", "--quiet", "-b", "bump")
    commit(origin, {LOCK_FILE: NEWER})
    ask(origin, "checkout", "--quiet", "main")
    ask(origin, "merge", "--quiet", "--no-ff", "--no-edit", "bump")
    checkout.parent.mkdir()
    ask(checkout.parent, "clone", "--quiet", "--depth=2", f"file://{origin}", str(checkout))
    return checkout
