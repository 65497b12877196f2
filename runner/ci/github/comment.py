"""The comment with the report on a pull request.

It is written with rights that the pull request does not have, and from files that a stranger may
have written: a fork runs its own code to make them. So the report must fit its schema, the text of
the summary loses whatever notifies people, links elsewhere or is HTML, and only the newest commit
of an open pull request gets a comment.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.ci.github import artifact, outputs
from runner.ci.github.api import GitHub, RefusedError, UnavailableError
from runner.ci.github.artifact import Artifact
from runner.errors import ConfigError
from runner.records import Record
from runner.report.render import escape
from runner.system.retry import Note, retry
from runner.text import printable

LARGEST_COMMENT = 60_000
"""In bytes. GitHub refuses more than 65,536 characters."""
CUT_HERE = "\n\nThe summary was cut here: it is too long for a comment.\n"
BREAK = "\u200b"
"""Has no width; what it separates is neither notified nor linked, in text and in code."""
WORDS = {"adopt": "Adopt", "hold": "Hold", "cannot tell": "Cannot tell"}

_ALLOWED = re.compile(r"(<br>|<!-- -->|</?details>|</?summary>|&(?:lt|gt|amp|#124);)")
"""What our own summaries contain of HTML."""
_ACTIVE = re.compile(
    r"@(?=\S)"  # notifies a person or a team
    r"|#(?=\\*[0-9])|\bGH(?=\\*-\\*[0-9])"  # leaves a trace in another issue
    r"|:(?=\\*/\\*/)|\bwww(?=\\*\.)|\](?=\\*[(:\[])"  # a link
    r"|<(?=[A-Za-z/!?])|&(?=[A-Za-z#])"  # HTML, and characters that are spelt otherwise
    r"|^\s*(?=/\w)",  # a command to a bot
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Record):
    """The finished run of a workflow that a comment is about, and where to send the comment."""

    api: str
    server: str
    repository: str
    token: str
    head_sha: str
    head: str
    """The branch of the pull request, as ``owner:branch``."""
    workflow_id: str
    run_id: str


_FORMS = {
    "GITHUB_API_URL": r"https?://[\w.:/-]+",
    "GITHUB_SERVER_URL": r"https?://[\w.:/-]+",
    "GITHUB_REPOSITORY": r"[\w.-]+/[\w.-]+",
    "TOKEN": r"[!-~]+",
    "HEAD_SHA": r"[0-9a-f]{40,64}",
    "HEAD_OWNER": r"[\w.\[\]-]+",
    "HEAD_BRANCH": r"[^\x00-\x20]+",
    "WORKFLOW_ID": r"[0-9]+",
    "RUN_ID": r"[0-9]+",
}


def finished(variables: Mapping[str, str]) -> Finished:
    """Return what the variables of the step say; ConfigError for what is missing or wrong."""
    found = {name: variables.get(name, "") for name in _FORMS}
    wrong = [name for name, form in _FORMS.items() if not re.fullmatch(form, found[name], re.ASCII)]
    if wrong:
        raise ConfigError(
            f"{', '.join(wrong)}: not set, or not usable. Use the action matrix-runner/comment in "
            "a workflow_run instead of this command; it sets these variables."
        )
    return Finished(
        api=found["GITHUB_API_URL"],
        server=found["GITHUB_SERVER_URL"],
        repository=found["GITHUB_REPOSITORY"],
        token=found["TOKEN"],
        head_sha=found["HEAD_SHA"],
        head=f"{found['HEAD_OWNER']}:{found['HEAD_BRANCH']}",
        workflow_id=found["WORKFLOW_ID"],
        run_id=found["RUN_ID"],
    )


def write(folder: Path, run: Finished, note: Note) -> None:
    """Write the report that was downloaded to a folder as a comment.

    It takes the place of an older comment of the same workflow. A note says why there is no
    comment: a run without a report, a pull request that was closed or has newer commits, or a token
    that may not comment. DamagedError if it is no report, ServiceError if GitHub does not answer.
    """
    found = artifact.read(folder)
    if found is None:
        note("The run left no report, so there is nothing to comment.")
        return
    text = body(found, run)
    github = GitHub(run.api, run.repository, run.token)
    try:
        # From the start each time: a comment may be there although its request failed.
        note(retry(lambda: _written(github, run, text), UnavailableError, note))
    except RefusedError as error:
        note(f"There is no comment: {error}")


def body(found: Artifact, run: Finished) -> str:
    """Return the comment: its mark and the verdict, and then the summary, made harmless."""
    document = outputs.parsed(found.report, found.path / artifact.REPORT)
    said = WORDS.get(outputs.verdict(document), "No verdict")
    address = f"{run.server}/{run.repository}/actions/runs/{run.run_id}"
    head = (
        f"{_mark(run)}\n**{said}** for {run.head_sha[:12]}: {escape(document.title)} "
        f"([run {run.run_id}]({address}))\n\n"
    )
    return _cut(head + harmless(found.summary))


def harmless(text: str) -> str:
    """Return Markdown that notifies nobody, links nowhere and contains only our own HTML."""
    parts = _ALLOWED.split(printable(text.replace("\r", "")))
    return "".join(
        part if at % 2 else _ACTIVE.sub(lambda found: found[0] + BREAK, part)
        for at, part in enumerate(parts)
    )


def _mark(run: Finished) -> str:
    """Return the invisible first line, by which the comment is found again."""
    return f"<!-- matrix-runner: workflow {run.workflow_id} -->"


def _cut(text: str) -> str:
    content = text.encode()
    if len(content) <= LARGEST_COMMENT:
        return text
    kept = content[: LARGEST_COMMENT - len(CUT_HERE)].decode(errors="ignore")
    return kept.rpartition("\n")[0] + CUT_HERE


def _written(github: GitHub, run: Finished, text: str) -> str:
    """Write the comment, and say what was done."""
    number = github.pull_request(run.head_sha, run.head)
    if number is None:
        return f"No open pull request has {run.head_sha[:12]} as its newest commit: no comment."
    known = github.own_comment(number, _mark(run))
    if known is None:
        github.add_comment(number, text)
        return f"Commented on pull request {number}."
    github.replace_comment(known, text)
    return f"Updated the comment on pull request {number}."
