"""Mistakes on the command line."""

from tests.messages.message import Message, Section
from tests.messages.world import folder, link, pipe, small, study

COMMAND_LINE = Section(
    title="The command line",
    messages=(
        Message(
            line="--nonsense",
            place="--nonsense",
            says="python -m runner run: error: unrecognized arguments: --nonsense\n`python -m runner help run` lists what is possible.",
        ),
        Message(
            line="nonsense",
            place="'nonsense'",
            says="python -m runner: error: there is no verb 'nonsense'; the verbs are run, lock, plan, prepare, compare, init, try, shell, list, status, logs, diff, explain, export, doctor, report, worker, merge, bundle, replay, schema, module, ci, clean, completion and help\n`python -m runner help` lists what is possible.",
        ),
        Message(
            line="rnu",
            place="'rnu'",
            says="python -m runner: error: there is no verb 'rnu'; did you mean `run`?\n`python -m runner help` lists what is possible.",
        ),
        Message(
            line="plan --new",
            place="--new",
            says="python -m runner plan: error: unrecognized arguments: --new (run, compare or replay has this option, but plan has not)\n`python -m runner help plan` lists what is possible.",
        ),
        Message(
            line="plan other.yaml",
            place="other.yaml",
            says="python -m runner plan: error: unrecognized arguments: other.yaml (write --matrix other.yaml)\n`python -m runner help plan` lists what is possible.",
        ),
        Message(
            line="run --blcks 3",
            place="--blcks 3",
            says="python -m runner run: error: unrecognized arguments: --blcks 3; did you mean `--blocks`?\n`python -m runner help run` lists what is possible.",
        ),
        Message(
            line="--matrix m.yaml plan",
            place="plan",
            says="python -m runner run: error: unrecognized arguments: plan (the verb must come first)\n`python -m runner help run` lists what is possible.",
        ),
        Message(
            line="plan --blocks",
            place="argument --blocks",
            says="python -m runner plan: error: argument --blocks: expected one argument\n`python -m runner help plan` lists what is possible.",
        ),
        Message(
            line="plan --blocks 0",
            place="argument --blocks",
            says="python -m runner plan: error: argument --blocks: expected a whole number from 1 to 10,000, not '0'\n`python -m runner help plan` lists what is possible.",
        ),
        Message(
            line="plan --seed x",
            place="argument --seed",
            says="python -m runner plan: error: argument --seed: expected a whole number of at most 18 digits, not 'x'\n`python -m runner help plan` lists what is possible.",
        ),
        Message(
            line="run --budget 5",
            place="argument --budget",
            says="python -m runner run: error: argument --budget: expected a time such as 90s, 30m or 2h, not '5'\n`python -m runner help run` lists what is possible.",
        ),
        Message(
            line="run --engine dokcer",
            place="argument --engine",
            says="python -m runner run: error: argument --engine: expected auto, docker, podman or venv, not 'dokcer'; did you mean `docker`?\n`python -m runner help run` lists what is possible.",
        ),
        Message(
            line="run --engine xyz",
            place="argument --engine",
            says="python -m runner run: error: argument --engine: expected auto, docker, podman or venv, not 'xyz'\n`python -m runner help run` lists what is possible.",
        ),
        Message(
            line="run --max-fail no",
            place="argument --max-fail",
            says="python -m runner run: error: argument --max-fail: expected a whole number of at least 1, not 'no'\n`python -m runner help run` lists what is possible.",
        ),
        Message(
            line="logs",
            place="CELL",
            says="python -m runner logs: error: the following arguments are required: CELL\n`python -m runner help logs` lists what is possible.",
        ),
        Message(
            line="diff a",
            place="B",
            says="python -m runner diff: error: the following arguments are required: B\n`python -m runner help diff` lists what is possible.",
        ),
        Message(
            line="completion tcsh",
            place="argument shell",
            says="python -m runner completion: error: argument shell: expected bash, zsh or fish, not 'tcsh'\n`python -m runner help completion` lists what is possible.",
        ),
        Message(
            line="schema nothing",
            place="argument of",
            says="python -m runner schema: error: argument of: expected matrix or report, not 'nothing'\n`python -m runner help schema` lists what is possible.",
        ),
        Message(
            line="bundle --output a.zip",
            place="argument --output",
            says="python -m runner bundle: error: argument --output: expected NAME.tar.gz, not 'a.zip'\n`python -m runner help bundle` lists what is possible.",
        ),
        Message(
            line="bundle --for-python 2.7",
            place="argument --for-python",
            says="python -m runner bundle: error: argument --for-python: expected 3.10 or later, not '2.7'\n`python -m runner help bundle` lists what is possible.",
        ),
        Message(
            line="run -q -v",
            place="--quiet",
            says="python -m runner run: error: give --quiet or --verbose, not both\n`python -m runner help run` lists what is possible.",
        ),
        Message(
            line="help nothing",
            place="'nothing'",
            says="python -m runner: error: there is no verb 'nothing'; the verbs are run, lock, plan, prepare, compare, init, try, shell, list, status, logs, diff, explain, export, doctor, report, worker, merge, bundle, replay, schema, module, ci, clean, completion and help\n`python -m runner help` lists what is possible.",
        ),
        Message(
            line="run --matrix=",
            place=".",
            says=".: this is a folder; name a file in it with --matrix",
        ),
        Message(
            line="plan",
            place="matrix.yaml",
            says="matrix.yaml: file not found; name another one with --matrix",
        ),
        Message(
            line="plan",
            given=folder("matrix.yaml"),
            place="matrix.yaml",
            says="matrix.yaml: this is a folder; name a file in it with --matrix",
        ),
        Message(
            line="plan",
            given=pipe("matrix.yaml"),
            place="matrix.yaml",
            says="matrix.yaml: the file cannot be read (is not a regular file); name another one with --matrix",
        ),
        Message(
            line="plan",
            given=link("matrix.yaml", "matrix.yaml"),
            place="matrix.yaml",
            says="matrix.yaml: the file cannot be read (Too many levels of symbolic links); name another one with --matrix",
        ),
        Message(
            line="plan --set blocks",
            given=small(),
            place="--set blocks",
            says="--set blocks: expected keys and a value, such as `parameters.epochs=3`",
        ),
        Message(
            line="plan --set =3",
            given=small(),
            place="--set =3",
            says="--set =3: expected keys and a value, such as `parameters.epochs=3`",
        ),
        Message(
            line="plan --set blocks=[",
            given=small(),
            place="--set blocks",
            says="--set blocks: this is not YAML: did not find expected node content; correct it",
        ),
        Message(
            line="plan --set blocks=two",
            given=small(),
            place="--set blocks",
            says='--set blocks: expected a whole number, found "two"',
        ),
        Message(
            line="plan --set axes.size.7=3",
            given=small(),
            place="--set axes.size.7",
            says="--set axes.size.7: the list has only 2 entries, counted from 0; name one of them",
        ),
        Message(
            line="plan --set name.first=x",
            given=small(),
            place="--set name.first",
            says='--set name.first: `name` has no key "first"; set the whole value',
        ),
        Message(
            line="plan --set parameters.epoch=3",
            given=small("parameters: {epochs: 1}"),
            place="--set parameters.epoch",
            says="--set parameters.epoch: the file has no such parameter; did you mean `epochs`?",
        ),
        Message(
            line="run --until x",
            given=study(),
            place="--until",
            says="--until: 'x' is not a goal; write METRIC:±2%, METRIC:±0.1 or decided.",
        ),
        Message(
            line="run --until y:±2%",
            given=study(),
            place="--until",
            says="--until: the matrix has no metric 'y'; its metrics are x",
        ),
        Message(
            line="run --until x:±2",
            given=study(),
            place="--until",
            says="--until: x is compared by ratios; write 'x:±2%'.",
        ),
        Message(
            line="replay",
            place="BUNDLE",
            says="python -m runner replay: error: the following arguments are required: BUNDLE\n`python -m runner help replay` lists what is possible.",
        ),
        Message(
            line="try --blocks 3",
            place="--blocks",
            says="python -m runner try: error: unrecognized arguments: --blocks (run, plan, compare, explain, replay or ci has this option, but try has not)\n`python -m runner help try` lists what is possible.",
        ),
        Message(
            line="plan --blocks 99999999999999999999",
            given=small(),
            place="argument --blocks",
            says="python -m runner plan: error: argument --blocks: expected a whole number from 1 to 10,000, not '99999999999999999999'\n`python -m runner help plan` lists what is possible.",
        ),
        Message(
            line="plan --seed 99999999999999999999",
            given=small(),
            place="argument --seed",
            says="python -m runner plan: error: argument --seed: expected a whole number of at most 18 digits, not '99999999999999999999'\n`python -m runner help plan` lists what is possible.",
        ),
        Message(
            line="plan --matrix .",
            place=".",
            says=".: this is a folder; name a file in it with --matrix",
        ),
        Message(
            line="run --budget 5m5",
            place="argument --budget",
            says="python -m runner run: error: argument --budget: expected a time such as 90s, 30m or 2h, not '5m5'\n`python -m runner help run` lists what is possible.",
        ),
    ),
)
