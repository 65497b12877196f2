"""Runs: how they end, and folders that cannot be used."""

from runner.errors import Exit
from tests.messages.message import Message, Section
from tests.messages.world import after, edited, files, link, ran, removed, small, study

RUNS = Section(
    title="Runs",
    messages=(
        Message(
            line="status",
            code=Exit.RUN_FOLDER,
            place="reports",
            says="reports contains no run; start one with `python -m runner`.",
        ),
        Message(
            line="status",
            given=files({"reports": ""}),
            code=Exit.RUN_FOLDER,
            place="reports",
            says="reports: Not a directory; fix this and repeat the command. Everything saved before is kept.",
        ),
        Message(
            line="status gone",
            code=Exit.RUN_FOLDER,
            place="reports/gone",
            says="neither gone nor reports/gone is a run folder; name a folder with a run.json.",
        ),
        Message(
            line="status --matrix matrix.yaml",
            given=small(),
            code=Exit.RUN_FOLDER,
            place="reports",
            says="reports contains no run of small; start one with `python -m runner --matrix matrix.yaml`.",
        ),
        Message(
            line="logs model=one",
            given=study(),
            code=Exit.RUN_FOLDER,
            place="reports",
            says="reports contains no run; start one with `python -m runner`.",
        ),
        Message(
            line="logs model=one --block 9",
            given=after(study(), ran()),
            code=Exit.NOTHING_SELECTED,
            place="model=one in block 9",
            says="no trial of model=one in block 9 has ended in {here}/reports/20260101-000000-tiny yet; wait for one.",
        ),
        Message(
            line="logs model=three",
            given=after(study(), ran()),
            code=Exit.NOTHING_SELECTED,
            place="model=three",
            says="there is no cell 'model=three'; did you mean `model=two`?\nthe cells are:\n  model=one\n  model=two",
        ),
        Message(
            line="diff latest model=one",
            given=after(study(), ran(), edited("reports/*/run.json", "x", "y")),
            place="model=one",
            says="latest is a run, but model=one is none; name two runs, or two cells of the matrix.",
        ),
        Message(
            line="report --issue model=one",
            given=after(study(), ran()),
            place="model=one",
            says="model=one is the baseline, and it does not fail; name a cell that is compared with it.",
        ),
        Message(
            line="report --issue model=three",
            given=after(study(), ran()),
            place="model=three",
            says="there is no cell 'model=three'; did you mean `model=two`?\nthe cells are:\n  model=one\n  model=two",
        ),
        Message(
            line="replay gone.tar.gz",
            code=Exit.RUN_FOLDER,
            place="gone.tar.gz",
            says="there is no readable bundle at gone.tar.gz; name the file or its folder.",
        ),
        Message(
            line="run --budget 1s",
            given=study(),
            code=Exit.OK,
            note=True,
            place="Block 1",
            says="Block 1 would take about 40 s, but the budget has only 1 s left. Run the same command to resume.",
        ),
        Message(
            line="run",
            given=after(study(), ran()),
            code=Exit.OK,
            note=True,
            place="reports/20260101-000000-tiny",
            says="reports/20260101-000000-tiny is complete: nothing is left to do.",
        ),
        Message(
            line="run",
            given=after(study(), files({"reports": ""})),
            code=Exit.RUN_FOLDER,
            place="reports",
            says="reports: Not a directory; fix this and repeat the command. Everything saved before is kept.",
        ),
        Message(
            line="run",
            given=after(study(), link("reports", "reports")),
            code=Exit.RUN_FOLDER,
            place="reports",
            says="reports: Too many levels of symbolic links; fix this and repeat the command. Everything saved before is kept.",
        ),
        Message(
            line="run",
            given=after(
                study(), ran("run --blocks 1"), edited("reports/*/run.json", '"tiny"', '"tony"')
            ),
            code=Exit.OK,
            note=True,
            place="reports/20260101-000000-tiny",
            says="reports/20260101-000000-tiny is not continued, because it was edited (run.json); restore it.",
        ),
        Message(
            line="run",
            given=after(
                study(), ran("run --blocks 1"), edited("reports/*/plan.json", '"seed"', '"seat"')
            ),
            code=Exit.OK,
            note=True,
            place="reports/20260101-000000-tiny",
            says="reports/20260101-000000-tiny is not continued: reports/20260101-000000-tiny/plan.json is damaged (seed: Field required); remove it and repeat the command.",
        ),
        Message(
            line="status",
            given=after(
                study(), ran("run --blocks 1"), edited("reports/*/run.json", '"format"', '"farmot"')
            ),
            code=Exit.RUN_FOLDER,
            place="{here}/reports/20260101-000000-tiny/run.json",
            says="{here}/reports/20260101-000000-tiny/run.json is damaged (farmot: Unexpected keyword argument); remove it and repeat the command.",
        ),
        Message(
            line="status",
            given=after(
                study(),
                ran("run --blocks 1"),
                edited("reports/*/run.json", '"format": 11', '"format": 99'),
            ),
            code=Exit.RUN_FOLDER,
            place="{here}/reports/20260101-000000-tiny/run.json",
            says="{here}/reports/20260101-000000-tiny/run.json was written by a newer matrix-runner (format 99, this one reads up to 11): upgrade matrix-runner.",
        ),
        Message(
            line="run",
            given=after(
                study(), ran("run --blocks 1"), files({"reports/latest/trials/a.json": "x"})
            ),
            code=Exit.OK,
            note=True,
            place="reports/20260101-000000-tiny/trials/a.json.damaged",
            says="reports/20260101-000000-tiny/trials/a.json.damaged: this result is set aside, because it is damaged; its trial will run again.",
        ),
        Message(
            line="status",
            given=after(
                study(), ran("run --blocks 1"), files({"reports/latest/trials/a.json": "x"})
            ),
            code=Exit.RUN_FOLDER,
            place="{here}/reports/20260101-000000-tiny/trials/a.json",
            says="{here}/reports/20260101-000000-tiny/trials/a.json is damaged (the whole file: Invalid JSON: expected value at line 1 column 1); remove it and repeat the command.",
        ),
        Message(
            line="run",
            given=after(
                study(),
                ran("run --blocks 1"),
                edited("reports/latest/trials/model=one@b1.1.json", '"ok"', '"failed"'),
            ),
            code=Exit.OK,
            note=True,
            place="reports/20260101-000000-tiny/trials/model=one@b1.1.json.damaged",
            says="reports/20260101-000000-tiny/trials/model=one@b1.1.json.damaged: this result is set aside, because it was edited after it was saved; its trial will run again.",
        ),
        Message(
            line="status",
            given=after(
                study(),
                ran("run --blocks 1"),
                edited("reports/latest/trials/model=one@b1.1.json", '"ok"', '"failed"'),
            ),
            code=Exit.OK,
            note=True,
            reason=True,
            place="model=one@b1.1.json",
            says="refused: model=one@b1.1.json: it was edited after it was saved",
        ),
        Message(
            line="status",
            given=after(study(), ran("run --blocks 1"), removed("reports/latest/plan.json")),
            code=Exit.RUN_FOLDER,
            place="{here}/reports/20260101-000000-tiny/plan.json",
            says="{here}/reports/20260101-000000-tiny/plan.json: No such file or directory; fix this and repeat the command. Everything saved before is kept.",
        ),
        Message(
            line="run --seed 4",
            given=after(study(), ran("run --blocks 1 --seed 3")),
            code=Exit.OK,
            note=True,
            place="`seed`",
            says="`seed` was changed, but this run keeps its own; use --new to apply the change.",
        ),
        Message(
            line="run",
            given=after(
                study(),
                ran("run --blocks 1"),
                edited("matrix.yaml", "blocks: 2", "blocks: 2\nlooks: 2"),
            ),
            code=Exit.OK,
            note=True,
            place="`looks`",
            says="`looks` was changed, but this run keeps its own; use --new to apply the change.",
        ),
        Message(
            line="run -x",
            given=study("", ("[one, two]", "[one, broken]")),
            code=Exit.CELL_FAILED,
            note=True,
            place="model=broken",
            says="Stopped after 1 unexpected failure. `python -m runner logs model=broken` prints its log. Run the same command to resume.",
        ),
        Message(
            line="run",
            given=study(script="import sys; sys.exit('no luck')"),
            code=Exit.CELL_FAILED,
            note=True,
            place="block 1",
            says="Stopped because every cell failed unexpectedly in block 1. `python -m runner logs model=...` prints its log. Run the same command to resume, and --keep-going to continue in this case.",
        ),
        Message(
            line="run",
            given=after(study(), removed("numbers.txt")),
            place="matrix.yaml:6:40: experiment.data[0]",
            says='matrix.yaml:6:40: experiment.data[0]: "numbers.txt" does not exist beside this file; check the path',
        ),
    ),
)
