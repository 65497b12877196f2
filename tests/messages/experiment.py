"""Mistakes in the experiment and the metrics."""

from tests.messages.message import Message, Section
from tests.messages.world import after, files, folder, has, link, metric, small, whole

EXPERIMENT = Section(
    title="Experiment and metrics in matrix.yaml",
    messages=(
        Message(
            line="plan",
            given=small("experiment: {script: a}"),
            place="matrix.yaml:10:1: experiment",
            says="matrix.yaml:10:1: experiment: this key is already on line 6; keep one",
        ),
        Message(
            line="plan",
            given=small("", ("script: run.py", "args: [x]")),
            place="matrix.yaml:6:13: experiment",
            says="matrix.yaml:6:13: experiment: there is nothing to run; give `script` or `command`",
        ),
        Message(
            line="plan",
            given=small("", ("script: run.py", "script: run.py, command: [python]")),
            place="matrix.yaml:6:30: experiment.command",
            says="matrix.yaml:6:30: experiment.command: give either a script with `args`, or a command; remove one of them",
        ),
        Message(
            line="plan",
            given=small("", ("script: run.py", "command: [python], args: [x]")),
            place="matrix.yaml:6:33: experiment.args",
            says="matrix.yaml:6:33: experiment.args: add these to the command, which has its own arguments",
        ),
        Message(
            line="plan",
            given=small("", ("script: run.py", 'script: run.py, args: ["{epoch}"]')),
            place="matrix.yaml:6:37: experiment.args[0]",
            says='matrix.yaml:6:37: experiment.args[0]: unknown parameter "epoch"; expected lib, seed or size',
        ),
        Message(
            line="plan",
            given=small(
                "include: [{size: 1, parameters: {e: 1}}]",
                ("script: run.py", 'script: run.py, args: ["{e}"]'),
            ),
            place="matrix.yaml:6:37: experiment.args[0]",
            says='matrix.yaml:6:37: experiment.args[0]: only some cells have the parameter "e"; add it to `parameters`',
        ),
        Message(
            line="plan",
            given=small("", ("script: run.py", 'script: run.py, args: ["a\\nb"]')),
            place="matrix.yaml:6:37: experiment.args[0]",
            says='matrix.yaml:6:37: experiment.args[0]: expected text without control characters, found "a\\nb"',
        ),
        Message(
            line="plan",
            given=small("", ("run.py", "gone.py")),
            place="matrix.yaml:6:22: experiment.script",
            says='matrix.yaml:6:22: experiment.script: "gone.py" does not exist beside this file; check the path',
        ),
        Message(
            line="plan",
            given=small("", ("run.py", "../run.py")),
            place="matrix.yaml:6:22: experiment.script",
            says='matrix.yaml:6:22: experiment.script: expected a path inside the folder of this file, found "../run.py"',
        ),
        Message(
            line="plan",
            given=after(small("", ("run.py", "sub")), folder("sub")),
            place="matrix.yaml:6:22: experiment.script",
            says='matrix.yaml:6:22: experiment.script: "sub" is not a file; name each file',
        ),
        Message(
            line="plan",
            given=after(small("", ("run.py", "bad.py")), link("bad.py", "nowhere")),
            place="matrix.yaml:6:22: experiment.script",
            says='matrix.yaml:6:22: experiment.script: "bad.py" is a link to a file that does not exist; check the link',
        ),
        Message(
            line="plan",
            given=after(
                small("", ("run.py", "out.py")),
                files({"../out.py": ""}),
                link("out.py", "../out.py"),
            ),
            place="matrix.yaml:6:22: experiment.script",
            says='matrix.yaml:6:22: experiment.script: "out.py" is a link that leads out of the folder of this file; copy the file',
        ),
        Message(
            line="plan",
            given=after(small("", ("run.py", "loop.py")), link("loop.py", "loop.py")),
            place="matrix.yaml:6:22: experiment.script",
            says='matrix.yaml:6:22: experiment.script: "loop.py" cannot be read: Too many levels of symbolic links; check the file',
        ),
        Message(
            line="plan",
            given=small("", ("run.py", "run.py, data: [run.py, run.py]")),
            place="matrix.yaml:6:45: experiment.data[1]",
            says='matrix.yaml:6:45: experiment.data[1]: "run.py" is already at experiment.data[0]; change or remove one',
        ),
        Message(
            line="plan",
            given=small("", ("run.py", "run.py, files: [matrix.yaml]")),
            place="matrix.yaml:6:38: experiment.files[0]",
            says="matrix.yaml:6:38: experiment.files[0]: no trial gets the matrix, its lock or its runs; remove this",
        ),
        Message(
            line="plan",
            given=small("", ("run.py", "run.py, files: [/etc/*]")),
            place="matrix.yaml:6:38: experiment.files[0]",
            says='matrix.yaml:6:38: experiment.files[0]: expected a path inside the folder of this file, found "/etc/*"',
        ),
        Message(
            line="plan",
            given=small("", ("run.py", "run.py, files: ['*.txt']")),
            place="matrix.yaml:6:38: experiment.files[0]",
            says='matrix.yaml:6:38: experiment.files[0]: no file matches "*.txt"; check the path',
        ),
        Message(
            line="plan",
            given=after(small("", ("run.py", "run.py, files: [sub]")), folder("sub")),
            place="matrix.yaml:6:38: experiment.files[0]",
            says='matrix.yaml:6:38: experiment.files[0]: "sub" is a folder; write "sub/**"',
        ),
        Message(
            line="plan",
            given=after(small("", ("run.py", "run.py, files: ['*.txt']")), files({"a\nb.txt": ""})),
            place="matrix.yaml:6:38: experiment.files[0]",
            says='matrix.yaml:6:38: experiment.files[0]: the name "a\\nb.txt" is not printable text; rename the file',
        ),
        Message(
            line="plan",
            given=after(
                small("", ("run.py", "run.py, files: ['*.txt']")), link("a.txt", "nowhere")
            ),
            place="matrix.yaml:6:38: experiment.files[0]",
            says='matrix.yaml:6:38: experiment.files[0]: "a.txt" is a link to a file that does not exist; check the link, or leave it out with "!a.txt"',
        ),
        Message(
            line="plan",
            given=after(
                small("", ("run.py", "run.py, files: ['*']")),
                has("runner.read.inputs.MOST_MATCHED", 1),
                files({"a": "", "b": "", "c": ""}),
            ),
            place="matrix.yaml:6:38: experiment.files[0]",
            says="matrix.yaml:6:38: experiment.files[0]: this matches more than 1 file; write a narrower pattern",
        ),
        Message(
            line="plan",
            given=after(
                small("", ("run.py", "run.py, files: ['*']")),
                has("runner.read.inputs.MOST_FILES", 1),
                files({"a": "", "b": "", "c": ""}),
            ),
            place="matrix.yaml:6:37: experiment.files",
            says="matrix.yaml:6:37: experiment.files: these are more than 1 file; include fewer",
        ),
        Message(
            line="plan",
            given=small("limits: {files: 2}"),
            place="matrix.yaml:6:13: experiment",
            says="matrix.yaml:6:13: experiment: a trial has room for 2 files, and these need 2 with their folders; include fewer, or raise `limits: {files: ...}`",
        ),
        Message(
            line="plan",
            given=metric("{from: {stdout: '('}, better: lower}"),
            place="matrix.yaml:8:28: metrics.seconds.from.stdout",
            says='matrix.yaml:8:28: metrics.seconds.from.stdout: expected a regular expression (missing ), unterminated subpattern at position 0), found "("',
        ),
        Message(
            line="plan",
            given=metric("{from: {stdout: '(a)(b)'}, better: lower}"),
            place="matrix.yaml:8:28: metrics.seconds.from.stdout",
            says='matrix.yaml:8:28: metrics.seconds.from.stdout: expected at most one group in parentheses, for the number; write (?:...) elsewhere, found "(a)(b)"',
        ),
        Message(
            line="plan",
            given=metric("{from: {json: /a, at: a}, better: lower}"),
            place="matrix.yaml:8:26: metrics.seconds.from.json",
            says='matrix.yaml:8:26: metrics.seconds.from.json: expected a path in the working folder of the script, found "/a"',
        ),
        Message(
            line="plan",
            given=metric("{from: {json: a, at: []}, better: lower}"),
            place="matrix.yaml:8:33: metrics.seconds.from.at",
            says="matrix.yaml:8:33: metrics.seconds.from.at: expected keys such as `eval.accuracy`, or a list of keys, found a list",
        ),
        Message(
            line="plan",
            given=metric("{from: {json: a, at: 1.5}, better: lower}"),
            place="matrix.yaml:8:33: metrics.seconds.from.at",
            says='matrix.yaml:8:33: metrics.seconds.from.at: 1.5 is a YAML float; quote it: "1.5"',
        ),
        Message(
            line="plan",
            given=metric("{from: cpu, better: lower}"),
            place="matrix.yaml:8:19: metrics.seconds.from",
            says='matrix.yaml:8:19: metrics.seconds.from: expected `wall_time`, `cpu_time`, `peak_memory`, or one of the keys `stdout`, `json`, `csv`, `pytest-benchmark` and `result`, found "cpu"',
        ),
        Message(
            line="plan",
            given=metric("{}"),
            place="matrix.yaml:8:12: metrics.seconds.better",
            says="matrix.yaml:8:12: metrics.seconds.better: the key is missing; write `lower`, `higher` or `neither`",
        ),
        Message(
            line="plan",
            given=metric("{from: wall_time, unit: ms}"),
            place="matrix.yaml:8:36: metrics.seconds.unit",
            says="matrix.yaml:8:36: metrics.seconds.unit: this is measured in s; remove the unit",
        ),
        Message(
            line="plan",
            given=metric("{from: wall_time, reduce: mean}"),
            place="matrix.yaml:8:30: metrics.seconds.reduce",
            says="matrix.yaml:8:30: metrics.seconds.reduce: this is one number in each trial, and no series; remove this",
        ),
        Message(
            line="plan",
            given=metric("{from: {pytest-benchmark: a.json, name: t}, warmup: 1}"),
            place="matrix.yaml:8:56: metrics.seconds.warmup",
            says="matrix.yaml:8:56: metrics.seconds.warmup: pytest-benchmark drops the rounds of its own warm-up; remove this",
        ),
        Message(
            line="plan",
            given=metric("{from: {pytest-benchmark: a.json, name: t}, reduce: last}"),
            place="matrix.yaml:8:64: metrics.seconds.reduce",
            says="matrix.yaml:8:64: metrics.seconds.reduce: for rounds of a benchmark, write `median`, `mean` or `best`",
        ),
        Message(
            line="plan",
            given=metric("{from: {stdout: 'a'}, better: lower, reduce: mean}"),
            place="matrix.yaml:8:49: metrics.seconds.reduce",
            says="matrix.yaml:8:49: metrics.seconds.reduce: only a series is reduced; add `series: true` to `from`, or remove this",
        ),
        Message(
            line="plan",
            given=metric("{better: neither, reduce: best}"),
            place="matrix.yaml:8:38: metrics.seconds.reduce",
            says="matrix.yaml:8:38: metrics.seconds.reduce: no direction is better, so none of the numbers is the best; write another reduction",
        ),
        Message(
            line="plan",
            given=metric("{better: lower, paired: false}"),
            place="matrix.yaml:8:36: metrics.seconds.paired",
            says="matrix.yaml:8:36: metrics.seconds.paired: ratios are always formed within blocks; remove this, or compare the metric by `scale: difference`",
        ),
        Message(
            line="plan",
            given=metric("{better: lower, margin: 0}"),
            place="matrix.yaml:8:36: metrics.seconds.margin",
            says="matrix.yaml:8:36: metrics.seconds.margin: expected a margin above 0, such as 3%\nmatrix.yaml:8:36: metrics.seconds.margin: expected a share such as 3%, on the scale `ratio`",
        ),
        Message(
            line="plan",
            given=metric("{better: lower, margin: 3}"),
            place="matrix.yaml:8:36: metrics.seconds.margin",
            says="matrix.yaml:8:36: metrics.seconds.margin: expected a share such as 3%, on the scale `ratio`",
        ),
        Message(
            line="plan",
            given=metric("{better: lower, cpu_time: seconds}"),
            place="matrix.yaml:8:38: metrics.seconds.cpu_time",
            says="matrix.yaml:8:38: metrics.seconds.cpu_time: a metric cannot be its own CPU time; name another one",
        ),
        Message(
            line="plan",
            given=metric("{better: lower, cpu_time: second}"),
            place="matrix.yaml:8:38: metrics.seconds.cpu_time",
            says="matrix.yaml:8:38: metrics.seconds.cpu_time: unknown metric; did you mean `seconds`?",
        ),
        Message(
            line="plan",
            given=metric("{better: lower, cpu_time: loss_at_end}"),
            place="matrix.yaml:8:38: metrics.seconds.cpu_time",
            says="matrix.yaml:8:38: metrics.seconds.cpu_time: both must be times of the same work, but seconds is not a time; remove this",
        ),
        Message(
            line="plan",
            given=small(
                "",
                ("loss_at_end: {better: neither}", "loss: {better: lower, from: {stdout: a}}"),
                ("{unit: s, better: lower}", "{better: lower, from: {result: loss}}"),
            ),
            place="matrix.yaml:8:43: metrics.seconds.from.result",
            says="matrix.yaml:8:43: metrics.seconds.from.result: the metric of this name comes from elsewhere; give that metric another name",
        ),
        Message(
            line="plan",
            given=whole("format: 1"),
            place="matrix.yaml:1:1: name",
            says="matrix.yaml:1:1: name: the key is missing; add it\nmatrix.yaml:1:1: axes: the key is missing; add it\nmatrix.yaml:1:1: experiment: the key is missing; add it",
        ),
    ),
)
