"""The command ``ci``: write what CI services need, and what their jobs call."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from runner.ci import github, slurm
from runner.ci.github import comment, outputs
from runner.cli import written
from runner.cli.arguments import Options
from runner.cli.study import the_matrix
from runner.errors import ConfigError, Exit
from runner.runs.files import disk
from runner.system import safe
from runner.text import one_line

SHARDS = 3
"""How many jobs of a workflow share a run, unless --shards says it."""
ONLY = {"pull_request": "github", "action": "github", "blocks": "slurm", "engine": "slurm"}
"""The options that only one target has."""


def ci(options: Options) -> Exit:
    """Do what the target names."""
    for name, target in ONLY.items():
        given = getattr(options, name) != Options._field_defaults[name]
        if given and options.target != target:
            raise ConfigError(
                f"--{name.replace('_', '-')} is only for `ci {target}`; leave it out."
            )
    return TARGETS[options.target](options)


def _github(options: Options) -> Exit:
    """Write the workflows, unless somebody else wrote one of the files."""
    if not Path(".git").exists():
        raise ConfigError(
            "this folder is not the top of a git repository, where workflows belong; run this "
            "command there."
        )
    action = options.action or (github.OWN if _is_this_project() else "")
    if not action:
        raise ConfigError(
            "--action is missing; write --action OWNER/NAME@SHA, with the repository of the action "
            "matrix-runner and the whole hash of one of its commits."
        )
    wanted = github.Wanted(
        matrix=options.matrix,
        pull_request=options.pull_request,
        action=action,
        shards=SHARDS if options.shards is None else options.shards,
    )
    files = github.files(wanted)
    foreign = [path for path in files if not _may_replace(path, github.is_ours)]
    _refuse(path for path in foreign if path != github.DEPENDABOT)
    for path, text in files.items():
        if path in foreign:
            print(f"kept {path}: let it update `package-ecosystem: github-actions`")
        else:
            written.write(path, text)
            print(one_line(f"wrote {path}"))
    return Exit.OK


def _may_replace(path: Path, is_ours: Callable[[str], bool]) -> bool:
    with disk(path):
        try:
            return is_ours(safe.read(path).decode(errors="replace"))
        except FileNotFoundError:
            return True


def _refuse(foreign: Iterable[Path]) -> None:
    """ConfigError if there are files that somebody else wrote."""
    if names := ", ".join(map(str, foreign)):
        raise ConfigError(f"{names}: not written by this command; remove or rename it first.")


def _is_this_project() -> bool:
    return Path("action.yml").is_file() and Path("runner", "ci").is_dir()


def _outputs(options: Options) -> Exit:
    """Pass the newest report on to the step of GitHub Actions that calls this."""
    outputs.write(options.reports, os.environ)
    return Exit.OK


def _comment(options: Options) -> Exit:
    """Write a report as a comment on its pull request."""
    run = comment.finished(os.environ)
    comment.write(options.reports, run, lambda text: print(one_line(text)))
    return Exit.OK


def _slurm(options: Options) -> Exit:
    """Write the script of an array, unless somebody else wrote the file, and say how to use it."""
    wanted = slurm.Wanted(
        path=options.matrix,
        matrix=the_matrix(options),
        reports=options.reports,
        engine="venv" if options.engine == "auto" else options.engine,
        blocks=options.blocks,
        shards=options.shards,
    )
    text = slurm.script(wanted)
    if not _may_replace(wanted.script, slurm.is_ours):
        _refuse([wanted.script])
    written.write(wanted.script, text)
    print(f"wrote {wanted.script}; submit it where the nodes see this folder:")
    for line in wanted.submission:
        print(f"  {line}")
    return Exit.OK


TARGETS: Mapping[str, Callable[[Options], Exit]] = {
    "github": _github,
    "slurm": _slurm,
    "github-outputs": _outputs,
    "github-comment": _comment,
}
