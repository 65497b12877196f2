"""What `plan` and `run` warn of."""

from runner.errors import Exit
from tests.messages.message import Message, Section
from tests.messages.world import after, files, small

WARNINGS = Section(
    title="Warnings",
    messages=(
        Message(
            line="plan --engine docker",
            given=small("policy: {seconds: +3%}\nblocks: 2"),
            code=Exit.OK,
            note=True,
            place="blocks: 5",
            says="warning:  a comparison needs 5 blocks, so 2 give no verdict; write `blocks: 5` or more, or give --blocks 6",
        ),
        Message(
            line="plan --quick --engine docker",
            given=small("policy: {seconds: +3%}\nblocks: 2"),
            code=Exit.OK,
            note=True,
            place="--quick",
            says="warning:  a comparison needs 5 blocks, so 1 block gives no verdict; run without --quick for verdicts",
        ),
        Message(
            line="plan --engine docker",
            given=small("policy: {seconds: -3%}"),
            code=Exit.OK,
            note=True,
            place="policy.seconds:",
            says="warning:  policy.seconds: lower is better, so this limit asks every candidate to improve by 3%; to allow a loss of 3%, write `seconds: +3%`",
        ),
        Message(
            line="plan --engine docker",
            given=small("limits: {cpus: 999}"),
            code=Exit.OK,
            note=True,
            place="limits.cpus",
            says="warning:  limits.cpus is 999, but this machine has only ...; lower it",
        ),
        Message(
            line="plan --engine docker --parallel 999",
            given=small(),
            code=Exit.OK,
            note=True,
            place="parallel",
            says="warning:  ... trials side by side take all ... cores of this machine, so the runner itself disturbs them; lower `parallel` if times matter",
        ),
        Message(
            line="plan --engine docker",
            given=after(small(), files({"run.py": "import other\n", "other.py": ""})),
            code=Exit.OK,
            note=True,
            place="run.py",
            says="warning:  run.py imports other, which a trial does not get; write `files: [other.py]` under `experiment`",
        ),
    ),
)
