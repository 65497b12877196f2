"""The help of each verb: its examples, and a parser whose errors say what was probably meant."""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NoReturn

from runner.system import program
from runner.text import did_you_mean, listed

CELL = "tensorflow=2.0.0,model=sequential"

EXAMPLES = {
    "run": (
        ("", "run matrix.yaml, or resume its newest unfinished run"),
        ("--lf -x", "only what failed last time, until something fails again"),
        ("--quick -s model=sequential", "a first look at some of the cells"),
        ("--shard 2/5", "only every 5th block, from block 2 on; `merge` joins the shards"),
        ("--cluster tls://scheduler:8786", "the blocks on other hosts; see docs/scale.md"),
        ("--until decided --gate", "add blocks until the answer is clear; 4 means hold"),
    ),
    "plan": (
        ("plan", "what would run, and how long it takes"),
        ("plan -s tensorflow=2.* --blocks 3", "the same for some cells, and fewer blocks"),
        ("plan --set parameters.epochs=3", "the same with another value of the matrix"),
        ("plan --json", "the same for programs"),
    ),
    "lock": (
        ("lock", "add what is missing to matrix.lock"),
        ("lock -s tensorflow=2.0.0", "only the environments of these cells"),
    ),
    "prepare": (
        ("prepare", "build every missing image"),
        ("prepare --context build", "only write what `docker build` needs into build/"),
    ),
    "compare": (
        ("compare numpy==1.26.4 numpy==2.3.1 -- bench.py --size 1000", "two versions of a package"),
        ("compare python==3.10 python==3.12 -- bench.py", "two versions of Python"),
        ("compare git:main:uv.lock uv.lock -- bench.py", "two lock files"),
    ),
    "init": (
        ("init", "ask what to study"),
        ("init --package numpy --versions 1.26.4,2.3.1 --script bench.py", "without questions"),
    ),
    "try": (
        ("try", "one trial of the first cell, with all its output"),
        (f"try {CELL} --quick", "one short trial of another cell"),
    ),
    "shell": (
        ("shell", "look around in the environment of the first cell"),
        (f"shell {CELL} < commands.sh > output.txt", "run commands in that of another one"),
    ),
    "list": (
        ("list", "the ids of all cells"),
        ("list -k 'sequential and not 1.15*'", "those that match an expression"),
    ),
    "status": (
        ("status", "how far the newest run is"),
        ("status reports/reference/founding", "the same for another run"),
    ),
    "logs": (
        (f"logs {CELL}", "what its newest trial printed"),
        (f"logs {CELL} --block 2", "what it printed in block 2"),
    ),
    "diff": (
        (f"diff {CELL.replace('2.0.0', '1.15.0')} {CELL}", "packages, Python, limits"),
        ("diff reports/reference/founding reports/latest", "machines, engines, studies"),
    ),
    "explain": ((f"explain {CELL}", "which trials of the cell would run, and why"),),
    "export": (
        (f"export {CELL} > requirements.txt", "install the same packages elsewhere"),
        (f"export {CELL} --format pylock.toml", "the same in the format of PEP 751"),
    ),
    "doctor": (
        ("doctor", "check the engine, the index, the disk and the precision"),
        ("doctor --engine venv", "the same for trials that run as processes"),
    ),
    "report": (
        ("report", "rebuild the report of the newest run"),
        ("report reports/reference/founding", "rebuild that of another run"),
        (f"report --issue {CELL}", "print an issue for the maintainers"),
    ),
    "worker": (("worker tls://scheduler:8786", "execute blocks here for that scheduler"),),
    "merge": (
        ("merge shards/", "join all runs below shards/ into a new run, and write its report"),
        ("merge artifacts/ --into reports/latest", "add their blocks to a merged run"),
    ),
    "bundle": (
        ("bundle", "pack the newest run of matrix.yaml"),
        ("bundle --output study.tar.gz --for-python 3.12", "for a machine with Python 3.12"),
    ),
    "replay": (
        ("replay founding-bundle.tar.gz", "repeat the study, and compare the results"),
        ("replay founding-bundle.tar.gz --blocks 3", "the same with fewer blocks"),
    ),
    "schema": (("schema > matrix.schema.json", "for editors that check YAML"),),
    "module": (("module > trial.py", "run a script that imports trial by hand"),),
    "ci": (
        ("ci github", "write the workflows of this project"),
        ("ci github --pull-request lock-bump.yaml --action OWNER/NAME@SHA", "of another project"),
        ("ci slurm --blocks 14", "write the script of an array of 14 tasks"),
    ),
    "clean": (
        ("clean", "show what would be removed, and ask"),
        ("clean --yes --all", "remove everything of ours without a question"),
    ),
    "completion": (
        ("completion bash > ~/.local/share/bash-completion/completions/matrix-runner", "for bash"),
        ("completion fish > ~/.config/fish/completions/matrix-runner.fish", "for fish"),
    ),
    "help": (("help run", "the options of `run`, with examples"),),
}
"""Command lines of each verb, and what they are for. They work with the committed matrix.yaml."""


def epilog(verb: str) -> str:
    """Return the examples of a verb, as its help shows them."""
    lines = [(f"{program.name()} {words}".rstrip(), why) for words, why in EXAMPLES.get(verb, ())]
    width = max((len(line) for line, _ in lines), default=0)
    return "\n".join(
        ["examples:" * bool(lines), *(f"  {line:{width}}  # {why}" for line, why in lines)]
    )


class Parser(argparse.ArgumentParser):
    """A parser whose errors are short and name the command that explains more."""

    def error(self, message: str) -> NoReturn:
        """End with 2, after one sentence and the command that shows the help."""
        verb = self.prog.removeprefix(program.name()).strip()
        more = f"{program.name()} help {verb}".rstrip()
        self.exit(2, f"{self.prog}: error: {message}\n`{more}` lists what is possible.\n")


def unknown_verb(word: str, verbs: Iterable[str]) -> str:
    """Return the sentence about a first word that is no verb."""
    known = list(verbs)
    return f"there is no verb {word!r}" + (
        did_you_mean(word, known) or f"; the verbs are {listed(known)}"
    )


def unknown_words(words: Sequence[str], verb: str, options: Mapping[str, Sequence[str]]) -> str:
    """Return the sentence about words that a verb does not take, with what was probably meant.

    ``options`` holds the options of each verb.
    """
    first = words[0].partition("=")[0]
    others = [other for other, own in options.items() if first in own]
    if first in options:
        hint = " (the verb must come first)"
    elif others:
        hint = f" ({listed(others, 'or')} has this option, but {verb} has not)"
    elif first.endswith((".yaml", ".yml")):
        hint = f" (write --matrix {first})"
    else:
        hint = did_you_mean(first, options[verb])
    return f"unrecognized arguments: {' '.join(words)}{hint}"


def one_of(values: tuple[str, ...]) -> Callable[[str], str]:
    """Return the type of an option that takes one of these values."""

    def check(text: str) -> str:
        if text not in values:
            hint = did_you_mean(text, values)
            raise argparse.ArgumentTypeError(f"expected {listed(values, 'or')}, not {text!r}{hint}")
        return text

    return check
