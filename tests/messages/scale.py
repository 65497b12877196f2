"""Shards, merged runs and clusters: studies on several machines."""

import io
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from runner.cli.progress import Progress
from runner.cluster.worker import Claim
from runner.errors import Exit
from runner.system.host import this_host
from tests.messages.message import Message, Section
from tests.messages.world import (
    State,
    World,
    after,
    edited,
    fails,
    files,
    folder,
    has,
    ran,
    study,
    variables,
    without,
)
from tests.support.fake_cluster import FakeCluster
from tests.support.whole_runs import WatchedEngine

no_scheduler = without(
    "MATRIX_RUNNER_SHARD", "MATRIX_RUNNER_SHARDS", "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"
)
"""Have no variables that choose a shard."""


def task(number: str, *, first: str = "1", last: str = "4", count: str = "4") -> State:
    """Be a task of a Slurm array."""
    return after(
        study(),
        no_scheduler,
        variables(
            SLURM_ARRAY_TASK_ID=number,
            SLURM_ARRAY_TASK_MIN=first,
            SLURM_ARRAY_TASK_MAX=last,
            SLURM_ARRAY_TASK_COUNT=count,
        ),
    )


def parts(*between: State, first: str = "run", second: str = "run --new") -> State:
    """Have two runs, with changes between them."""
    return after(study(), ran(f"{first} --reports a"), *between, ran(f"{second} --reports b"))


def claims(*, succeed: bool) -> State:
    """Let nobody, or another process, be the worker of this host."""

    def make(world: World) -> None:
        claim = Claim()
        world.patch.setattr("runner.cluster.CLAIM", claim)
        world.patch.setattr("runner.cluster.worker.CLAIM", claim)
        world.patch.setattr("runner.cluster.worker.cores.claimed", lambda *_: succeed)

    return make


def on_cluster(*names: str, breaks: str = "") -> State:
    """Have a study and a cluster with these workers, of which one sends no valid answers."""

    def make(world: World) -> None:
        study()(world)
        claims(succeed=True)(world)
        with Progress(io.StringIO()) as observer:
            engines = {name: WatchedEngine() for name in names}
            cluster = FakeCluster(Path("workers"), engines, observer)
        cluster.changes[breaks] = lambda _: b""
        for target, value in (
            ("runner.cluster.connect", lambda _: cluster),
            ("runner.cluster.ALONE_S", -1.0),
            ("runner.system.cores.keep_off_measured", lambda *_: None),
        ):
            world.patch.setattr(target, value)

    return make


TLS = "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ..._CLIENT__CERT and ..._CLIENT__KEY"

SCALE = Section(
    title="Several machines",
    messages=(
        Message(
            line="run --shard 3",
            place="--shard",
            says="python -m runner run: error: argument --shard: expected a shard such as 2/5, not '3'\n`python -m runner help run` lists what is possible.",
        ),
        Message(
            line="run --shard 6/5",
            place="--shard",
            says="python -m runner run: error: argument --shard: expected a shard such as 2/5, not '6/5'\n`python -m runner help run` lists what is possible.",
        ),
        Message(
            line="run --shard 1/2",
            given=study(),
            code=Exit.OK,
            note=True,
            reason=True,
            place="--shard",
            says="shard 1/2, chosen by --shard",
        ),
        Message(
            line="run --shard 3/5",
            given=study(),
            code=Exit.NOTHING_SELECTED,
            place="--shard",
            says="shard 3/5 (--shard) has no block: the plan has 2 blocks. Use fewer shards, or more --blocks.",
        ),
        Message(
            line="run --shard 1/2 --gate",
            given=study(),
            place="--gate",
            says="--gate needs the verdicts of all blocks, and this is shard 1/2 (--shard). Leave it out here, and use `merge --gate` for the gate.",
        ),
        Message(
            line="run",
            given=after(study(), variables(MATRIX_RUNNER_SHARD="half")),
            place="MATRIX_RUNNER_SHARD",
            says='MATRIX_RUNNER_SHARD: expected a shard such as 2/5, not "half".',
        ),
        Message(
            line="run",
            given=task("7", first="3", last="7", count="2"),
            place="SLURM_ARRAY_TASK_ID",
            says="SLURM_ARRAY_TASK_ID is 7, but the tasks of this array are not numbered 1-N, so it does not say how many shards there are. Set MATRIX_RUNNER_SHARDS to their number, or use --shard.",
        ),
        Message(
            line="run",
            given=after(task("0", first="0"), variables(MATRIX_RUNNER_SHARDS="2")),
            place="SLURM_ARRAY_TASK_ID",
            says="SLURM_ARRAY_TASK_ID means shard 0 of 2, which does not exist; number the tasks of the array from 1, or change MATRIX_RUNNER_SHARDS.",
        ),
        Message(
            line="run",
            given=after(task("1"), variables(MATRIX_RUNNER_SHARDS="two")),
            place="MATRIX_RUNNER_SHARDS",
            says='MATRIX_RUNNER_SHARDS: expected a whole number, not "two"; correct it, or use --shard.',
        ),
        Message(
            line="run",
            given=after(study(), no_scheduler, variables(JOB_COMPLETION_INDEX="1")),
            place="JOB_COMPLETION_INDEX",
            says="JOB_COMPLETION_INDEX is set, but not the number of shards. Set MATRIX_RUNNER_SHARDS to the `completions` of the job, or use --shard (`--shard 1/1` runs all blocks).",
        ),
        Message(
            line="run",
            given=after(
                study(),
                no_scheduler,
                variables(JOB_COMPLETION_INDEX="3", MATRIX_RUNNER_SHARDS="3"),
            ),
            place="JOB_COMPLETION_INDEX",
            says="JOB_COMPLETION_INDEX means shard 4 of 3, which does not exist; change MATRIX_RUNNER_SHARDS.",
        ),
        Message(
            line="merge gone",
            code=Exit.RUN_FOLDER,
            place="gone",
            says="neither gone nor reports/gone is a run folder; name a folder with a run.json.",
        ),
        Message(
            line="merge a",
            given=folder("a"),
            code=Exit.RUN_FOLDER,
            place="a",
            says="there is no run in a: no folder below it has a run.json; name another folder.",
        ),
        Message(
            line="merge a",
            given=after(study(), ran("run --budget 1s --reports a")),
            code=Exit.RUN_FOLDER,
            place="a",
            says="there is nothing to merge in a: no block is complete yet; run the study further.",
        ),
        Message(
            line="merge a b",
            given=parts(edited("matrix.yaml", "epochs: 5", "epochs: 6")),
            code=Exit.RUN_FOLDER,
            place="b/20260101-000000-tiny",
            says="b/20260101-000000-tiny does not belong to a/20260101-000000-tiny: they differ in cells model=one and cells model=two; merge only runs of one study.",
        ),
        Message(
            line="merge a b",
            given=parts(first="run --seed 1", second="run --seed 2"),
            code=Exit.RUN_FOLDER,
            place="b/20260101-000000-tiny",
            says="b/20260101-000000-tiny does not belong to a/20260101-000000-tiny: their plans differ in seed and trials; give --seed and --blocks the same values.",
        ),
        Message(
            line="merge a",
            given=after(
                study(), ran("run --reports a"), edited("a/*/run.json", '"tiny"', '"tony"')
            ),
            code=Exit.RUN_FOLDER,
            place="a/20260101-000000-tiny",
            says="a/20260101-000000-tiny is not merged, because run.json was edited after the run saved it; restore the folder from a copy.",
        ),
        Message(
            line="merge a",
            given=after(
                study(),
                ran("run --reports a"),
                edited("a/*/run.json", '"format": 11', '"format": 6'),
            ),
            code=Exit.RUN_FOLDER,
            place="a/20260101-000000-tiny",
            says="a/20260101-000000-tiny is not merged, because an older matrix-runner wrote it, which did not protect results against edits; run the study again.",
        ),
        Message(
            line="merge a --into latest",
            given=after(
                study(),
                ran("run --reports a"),
                ran("merge a"),
                has("runner.runs.merge.occupied", lambda _: nullcontext(False)),
            ),
            code=Exit.RUN_FOLDER,
            place="reports/20260101-000000-tiny",
            says="another process is writing to {here}/reports/20260101-000000-tiny; wait until it ends.",
        ),
        Message(
            line="bundle",
            given=after(
                study(),
                ran("run --shard 1/2 --reports a"),
                has("runner.cli.commands.this_host", lambda: replace(this_host(), id="other")),
                ran("run --shard 2/2 --reports b"),
                ran("merge a b"),
            ),
            code=Exit.RUN_FOLDER,
            place="reports/20260101-000000-tiny",
            says="reports/20260101-000000-tiny was merged from 2 machines, and a bundle contains the run of one machine; name one of the merged runs.",
        ),
        Message(
            line="merge a --into a/latest",
            given=after(study(), ran("run --reports a")),
            code=Exit.RUN_FOLDER,
            place="{here}/a/20260101-000000-tiny",
            says="{here}/a/20260101-000000-tiny is not a merged run; leave --into out to make one.",
        ),
        Message(
            line="run --cluster scheduler",
            given=study(),
            place='"scheduler"',
            says='"scheduler" is not the address of a scheduler; write tls://scheduler:8786.',
        ),
        Message(
            line="worker tls://scheduler:99999",
            place='"tls://scheduler:99999"',
            says='"tls://scheduler:99999" is not the address of a scheduler; write tls://scheduler:8786.',
        ),
        Message(
            line="run --cluster tcp://scheduler:8786",
            given=study(),
            place="tcp://scheduler:8786",
            says="tcp://scheduler:8786 is not encrypted: whoever reaches such a scheduler controls all its machines. Start the scheduler with certificates and write tls://scheduler:8786; docs/scale.md shows how.",
        ),
        Message(
            line="run --cluster tls://127.0.0.1:1 --shard 1/2",
            given=study(),
            place="--cluster",
            says="--cluster executes all blocks; leave --shard out.",
        ),
        Message(
            line="run --cluster tls://127.0.0.1:1",
            given=after(
                study(),
                fails("runner.cluster.import_module", ImportError("No module named 'distributed'")),
            ),
            place="Dask distributed",
            says="a cluster needs Dask distributed (No module named 'distributed'); install it with `pip install 'matrix-runner[cluster]'`.",
        ),
        Message(
            line="run --cluster tcp://127.0.0.1:1",
            given=study(),
            code=Exit.ENGINE,
            place="tcp://127.0.0.1:1",
            says="the scheduler at tcp://127.0.0.1:1 does not answer (Connection refused); start it, or check the address.",
        ),
        Message(
            line="run --cluster tls://127.0.0.1:1",
            given=study(),
            place="tls://",
            says=f"tls:// needs certificates: set {TLS} to their files, or the same keys in Dask's configuration; docs/scale.md shows how.",
        ),
        Message(
            line="run --cluster tls://127.0.0.1:1",
            given=after(
                study(),
                files({"ca.pem": "x"}),
                has(
                    "distributed.Security.get_tls_config_for_role",
                    lambda *_: {"ca_file": "ca.pem", "cert": "own.pem"},
                ),
            ),
            place="DASK_DISTRIBUTED__COMM__TLS__CA_FILE",
            says=f"the certificates for the scheduler cannot be read (no certificate or crl found); check {TLS}.",
        ),
        Message(
            line="run --cluster tcp://127.0.0.1:1",
            given=on_cluster(),
            code=Exit.ENGINE,
            place="the scheduler",
            says="no worker is connected to the scheduler: start `matrix-runner worker` on each host, and run the same command to resume (finished blocks are kept).",
        ),
        Message(
            line="run --cluster tcp://127.0.0.1:1",
            given=on_cluster(),
            code=Exit.ENGINE,
            note=True,
            reason=True,
            place="worker",
            says="No worker is connected; waiting for one.",
        ),
        Message(
            line="run --cluster tcp://127.0.0.1:1",
            given=on_cluster("h1", breaks="h1"),
            code=Exit.ENGINE,
            place="worker",
            says="no worker is left that can execute blocks; the last one said: its answer is not valid (the whole file: Invalid JSON: EOF while parsing a value at line 1 column 0); install the same matrix-runner on all machines. Fix that and run the same command to resume (finished blocks are kept).",
        ),
        Message(
            line="run --cluster tcp://127.0.0.1:1",
            given=on_cluster("h1", "h2", breaks="h2"),
            code=Exit.OK,
            note=True,
            reason=True,
            place="Block 1",
            says="Block 1 goes to another worker, and h2 is sent away: its answer is not valid (the whole file: Invalid JSON: EOF while parsing a value at line 1 column 0); install the same matrix-runner on all machines.",
        ),
        Message(
            line="worker tcp://127.0.0.1:1",
            given=claims(succeed=False),
            code=Exit.ENGINE,
            place="this host",
            says="another worker executes blocks on this host already; start only one on each host.",
        ),
    ),
)
