"""Tell what changing the version of a framework does to training speed and accuracy.

The program is one straight line, one module for each verb::

    read -> lock -> plan -> prepare -> execute -> summarise -> judge -> report

Its words. One word has one meaning in code, YAML, messages and report.

matrix
    The whole declared study, from ``matrix.yaml``.
axis
    A named list of values. A *build axis* changes the environment, a *run axis* only parameters.
cell
    One value on every axis. Its **id** is made of its values:
    ``tensorflow=2.0.0,model=sequential``.
request
    What a cell asks of its environment: packages at versions, an interpreter, a date.
environment
    Interpreter and locked packages; several cells share one. Its **digest** (lock entry and recipe)
    is its key.
lock
    ``X.lock`` beside ``X.yaml``: exact packages with hashes, interpreter minor version, platform.
base
    The image an environment stands on. Its kind and digest are facts recorded in a run.
image
    An environment built for an engine on a base.
recipe
    How an environment becomes an image: the Dockerfile and the way packages are installed.
experiment
    A script in ``experiments/`` and the metrics it promises.
inputs
    The script, its data files and the launcher, as every trial of a run sees them.
metric
    A named number with unit and direction (lower, higher or neither is better).
block
    One pass over all cells on one host in fresh random order; trials of a block are compared
    pairwise.
baseline
    What the others are compared with: values of some axes, and the cells that have them.
twin
    The second copy of the baseline's first cell in each block, by which a run checks itself.
trial
    One container (or process), once: one cell in one block; id ``<cell id>@b<block>.<attempt>``.
    We *execute* a trial.
plan
    The ordered trials. Making one runs nothing.
run
    One execution of a plan; a folder ``reports/<run-id>/``.
bundle
    A run with all that it needs in one file. What goes into it is its *cargo*.
replay
    A run of what a bundle holds, on another machine, compared with the results in it.
key
    The digest of all that touches a measurement: runs of the same key are one run.
mark
    What an engine is told of a run: its folder's name and a digest of its path, which stays here.
reap
    To remove what dead runs left. A run lives while a process holds the lock of its folder.
course
    A run on its way to its end: the blocks and looks that are still to come.
engine
    What builds images and executes trials: docker and podman in containers, on this machine or
    another one, venv as processes.
isolation
    Behind what the venv engine executes a trial: bubblewrap, unshare or nothing (plain).
keeper
    ``runner/engines/venv/subreaper.py``, which ends all processes of a plain trial.
outcome
    What the engine saw of a trial.
lost
    Of a trial: spoilt by the machine (status engine-lost). It is repeated, and its cell not blamed.
result
    What we concluded from the outcome: status, reason, values.
status
    ok, failed, bad-output, timed-out, out-of-memory, no-image, unsupported or engine-lost.
launcher
    ``runner/inside/launcher.py``, which runs inside the container: it starts the script.
order
    What the launcher is told of its trial.
attempt
    Which time a trial is executed; a lost engine asks for another one.
reading
    What the launcher measured from inside the container, before and after the script.
guards
    When the machine, and never a result, makes a trial's times doubtful. Such a trial is *tainted*:
    a flag with a reason, not a status.
summary
    The numbers of one cell and one metric over the trials that are ok.
pair
    Two cells that are compared, as *named* before the run. All else is *screened*.
scale
    How a pair is compared: by ratios within blocks, or by differences over seeds.
estimate
    A change with its interval.
margin
    The largest change that is called negligible.
comparison
    The numbers for one pair of cells and one metric, with its verdict.
verdict
    Lower (faster), higher (slower), equivalent, cannot tell, no comparison; of a claim: reproduced,
    direction only, contradicted, inconclusive. Always with a reason.
look
    One of the planned moments, after some complete blocks, at which verdicts are read.
goal
    What is to be known before no more blocks are added.
group
    Cells that were not told apart in a metric.
claim
    A published sentence that the data can support or contradict.
policy
    The worst acceptable change of each metric. It decides about *candidates*: adopt, hold or cannot
    tell.
matched
    Of cells: handed the same initial weights and order of samples.
finding
    One thing that the results in a bundle say: how a cell ended, a comparison, the numbers of a
    cell. A replay reproduces it or not.
reproduction
    Whether a replay came out as the run in its bundle: reproduced, not reproduced, cannot tell.
judgement
    All verdicts of a run at one look.
report
    The document made from a run folder, at any time, without an engine.

Not used: job, task, session, manager, handler, helper, util, data (except the data files of an
experiment), info, misc.
"""

__version__ = "0.1.0"
