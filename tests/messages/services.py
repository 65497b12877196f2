"""Files and steps for CI services and Slurm that cannot be written or used."""

import io
import zipfile
from pathlib import Path

import requests

from runner.errors import Exit
from tests.messages.message import Message, Section
from tests.messages.world import (
    State,
    World,
    after,
    files,
    folder,
    has,
    small,
    variables,
    without,
)

REFERENCE = Path(__file__).parents[2] / "reports" / "reference" / "founding"
SHA = "5ca1ab1e" * 5
ACTION = f"--action owner/matrix-runner@{SHA}"
LOCKS = """\
format: 1
name: bump
axes:
  deps: {lock: {before: "git:main:uv.lock", after: uv.lock}}
experiment: {script: run.py}
"""


def repository(*states: State) -> State:
    """Have a small study at the top of a repository."""
    return after(small(), folder(".git"), *states)


of_step = variables(
    GITHUB_API_URL="http://127.0.0.1:1",
    GITHUB_SERVER_URL="https://github.example",
    GITHUB_REPOSITORY="owner/project",
    TOKEN="a-token",
    HEAD_SHA=SHA,
    HEAD_OWNER="owner",
    HEAD_BRANCH="bump",
    WORKFLOW_ID="7",
    RUN_ID="8",
)
"""Have the variables of a step that comments."""


def report(world: World) -> None:
    """Have the archive of a report; waits take no time."""
    Path("report").mkdir()
    with zipfile.ZipFile("report/a.zip", "w") as archive:
        for name in ("report.json", "summary.md"):
            archive.write(REFERENCE / name, name)
    world.patch.setattr("time.sleep", lambda _: None)


def answer(status: int, text: str) -> State:
    """Let GitHub answer each request with this."""
    response = requests.Response()
    response.status_code, response.raw = status, io.BytesIO(text.encode())
    response.content  # noqa: B018  (it reads the answer once and for all)
    return after(
        variables(GITHUB_API_URL="https://api.github.example"),
        has("requests.request", lambda *_, **__: response),
    )


SERVICES = Section(
    title="GitHub Actions and Slurm",
    messages=(
        Message(
            line="ci github --blocks 3",
            given=repository(),
            place="--blocks",
            says="--blocks is only for `ci slurm`; leave it out.",
        ),
        Message(
            line="ci slurm --action a/b@c",
            given=small(),
            place="--action",
            says="--action is only for `ci github`; leave it out.",
        ),
        Message(
            line=f"ci github {ACTION}",
            given=small(),
            place="this folder",
            says="this folder is not the top of a git repository, where workflows belong; run this command there.",
        ),
        Message(
            line="ci github",
            given=repository(),
            place="--action",
            says="--action is missing; write --action OWNER/NAME@SHA, with the repository of the action matrix-runner and the whole hash of one of its commits.",
        ),
        Message(
            line="ci github --action owner/matrix-runner@v1",
            given=repository(),
            place="--action",
            says='--action: "owner/matrix-runner@v1" is not a pinned action; write OWNER/NAME@SHA, with the whole hash of a commit of matrix-runner.',
        ),
        Message(
            line=f"ci github {ACTION} --pull-request matrix.yaml",
            given=repository(),
            place="matrix.yaml",
            says="matrix.yaml has no axis of lock files whose first one is in git; add one such as `packages: {lock: {before: git:main:uv.lock, after: uv.lock}}`.",
        ),
        Message(
            line=f"ci github {ACTION} --matrix bump.yaml",
            given=repository(files({"bump.yaml": LOCKS.replace("before:", '"v1.0":')})),
            place='"deps"',
            says='the axis "deps" and its first value "v1.0" may have only letters, digits, - and _ in their names, because the workflow sets this value; rename them.',
        ),
        Message(
            line=f"ci github {ACTION} --matrix 'a b.yaml'",
            given=repository(files({"a b.yaml": LOCKS})),
            place='"a b.yaml"',
            says='"a b.yaml" cannot be used in a workflow: use a path below the top folder of the repository, with letters, digits and the characters ._/- only.',
        ),
        Message(
            line=f"ci github {ACTION}",
            given=repository(files({".github/workflows/matrix.yml": "mine"})),
            place=".github/workflows/matrix.yml",
            says=".github/workflows/matrix.yml: not written by this command; remove or rename it first.",
        ),
        Message(
            line="ci github-outputs",
            given=without("GITHUB_STEP_SUMMARY"),
            place="GITHUB_STEP_SUMMARY",
            says="GITHUB_STEP_SUMMARY is not set; use this command only in a step of GitHub Actions, which sets it.",
        ),
        Message(
            line="ci github-comment",
            given=after(of_step, variables(HEAD_SHA="main"), without("TOKEN")),
            place="TOKEN, HEAD_SHA",
            says="TOKEN, HEAD_SHA: not set, or not usable. Use the action matrix-runner/comment in a workflow_run instead of this command; it sets these variables.",
        ),
        Message(
            line="ci github-comment --reports report",
            given=of_step,
            code=Exit.OK,
            note=True,
            reason=True,
            place="The run",
            says="The run left no report, so there is nothing to comment.",
        ),
        Message(
            line="ci github-comment --reports report",
            given=after(of_step, files({"report/a.zip": "x"})),
            code=Exit.RUN_FOLDER,
            place="report/a.zip",
            says="report/a.zip is damaged (File is not a zip file); remove it and repeat the command.",
        ),
        Message(
            line="ci github-comment --reports report",
            given=after(of_step, report),
            code=Exit.ENGINE,
            note=True,
            place="GitHub",
            says="GitHub does not answer (Connection refused); if this lasts, run the job again later. Trying again in ... s.",
        ),
        Message(
            line="ci github-comment --reports report",
            given=after(of_step, report, answer(200, "{}")),
            code=Exit.ENGINE,
            place="https://api.github.example/repos/owner/project/",
            says="https://api.github.example/repos/owner/project/commits/5ca1ab1e.../pulls does not answer like GitHub; check GITHUB_API_URL.",
        ),
        Message(
            line="ci github-comment --reports report",
            given=after(of_step, report, answer(401, "Bad credentials")),
            code=Exit.ENGINE,
            place="GitHub",
            says="GitHub answered GET commits/5ca1ab1e.../pulls with 401: Bad credentials; check the token of the job.",
        ),
        Message(
            line="ci github-comment --reports report",
            given=after(of_step, report, answer(503, "Busy")),
            code=Exit.ENGINE,
            place="GitHub",
            says="GitHub answered GET commits/5ca1ab1e.../pulls with 503: Busy; if this lasts, run the job again later.",
        ),
        Message(
            line="ci github-comment --reports report",
            given=after(of_step, report, answer(403, "Resource not accessible")),
            code=Exit.OK,
            note=True,
            place="GitHub",
            says="There is no comment: GitHub answered GET commits/5ca1ab1e.../pulls with 403: Resource not accessible; give the job `pull-requests: write`.",
        ),
        Message(
            line="ci github-comment --reports report",
            given=after(of_step, report, answer(200, "[]")),
            code=Exit.OK,
            note=True,
            reason=True,
            place="5ca1ab1e5ca1",
            says="No open pull request has 5ca1ab1e5ca1 as its newest commit: no comment.",
        ),
        Message(
            line="ci slurm --shards 9 --blocks 3",
            given=small(),
            place="--shards",
            says="9 tasks cannot share 3 blocks; use fewer --shards, or more --blocks.",
        ),
        Message(
            line="ci slurm --reports 'my reports'",
            given=small(),
            place='"my reports"',
            says='"my reports" cannot be used in a Slurm script: use a path with letters, digits and the characters ._/+- only.',
        ),
        Message(
            line="ci slurm",
            given=after(small(), files({"small.sbatch": "mine"})),
            place="small.sbatch",
            says="small.sbatch: not written by this command; remove or rename it first.",
        ),
    ),
)
