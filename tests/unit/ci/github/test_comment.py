"""The comment on a pull request, end to end against a small GitHub; its files are hostile."""

import json
import os
import re
import stat
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from runner.ci.github.artifact import LARGEST_ARCHIVE, LARGEST_REPORT, LARGEST_SUMMARY
from runner.ci.github.comment import LARGEST_COMMENT, harmless
from runner.cli import main
from runner.errors import Exit
from tests.support import github
from tests.support.github import REPOSITORY, SHA, TOKEN, FakeGitHub, pull_request
from tests.support.studies import ROOT

REFERENCE = ROOT / "reports" / "reference" / "founding"
MARK = "<!-- matrix-runner: workflow 7 -->"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    """Return a GitHub that the step's variables lead to; waits take no time."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with github.serving() as running:
        variables = {
            "GITHUB_API_URL": running.address,
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_REPOSITORY": REPOSITORY,
            "TOKEN": TOKEN,
            "HEAD_SHA": SHA,
            "HEAD_OWNER": "stranger",
            "HEAD_BRANCH": "bump/#1",
            "WORKFLOW_ID": "7",
            "RUN_ID": "1234",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """Return a folder with the archive of a run."""
    pack(tmp_path)
    return tmp_path


def pack(folder: Path, **changed: bytes | None) -> None:
    """Write the archive as it is uploaded, with other contents or without a file."""
    with zipfile.ZipFile(folder / "artifact.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("report.json", "summary.md"):
            content = changed.get(name.partition(".")[0], (REFERENCE / name).read_bytes())
            if content is not None:
                archive.writestr(name, content)


def commented(folder: Path) -> Exit:
    """Run the step."""
    return Exit(main(["ci", "github-comment", "--reports", str(folder)]))


def test_a_pull_request_gets_a_comment(
    server: FakeGitHub, artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It begins with the verdict and a link to the run, and the summary follows."""
    server.of_commit = [pull_request(5)]
    assert commented(artifact) is Exit.OK
    assert capsys.readouterr().out == "Commented on pull request 5.\n"
    (text,) = server.texts(5)
    head = text.splitlines()[1]
    assert text.startswith(f"{MARK}\n**Hold** for 5ca1ab1e5ca1: MNIST, one softmax layer")
    assert head.endswith("([run 1234](https://github.example/owner/project/actions/runs/1234))")
    assert text.endswith((REFERENCE / "summary.md").read_text())


def test_the_next_run_updates_it(server: FakeGitHub, artifact: Path) -> None:
    """It is found on any page, and comments of other people or workflows stay as they are."""
    server.of_commit = [pull_request(5)]
    server.comment(5, f"{MARK}\nfrom somebody else", login="stranger")
    server.comment(5, "<!-- matrix-runner: workflow 8 -->\nof another workflow")
    for number in range(250):
        server.comment(5, f"talk {number}", login="friend")
    server.comment(5, f"{MARK}\nold")
    before = server.texts(5)
    for _ in range(2):
        assert commented(artifact) is Exit.OK
    after = server.texts(5)
    assert (after[:-1], len(after)) == (before[:-1], len(before))
    assert after[-1].startswith(f"{MARK}\n**Hold**")


def test_the_pull_request_of_a_fork_is_found_by_its_branch(
    server: FakeGitHub, artifact: Path
) -> None:
    """GitHub lists none for the commit of a fork."""
    server.of_branch = {"stranger:bump/#1": [pull_request(6)]}
    assert commented(artifact) is Exit.OK
    assert len(server.texts(6)) == 1


@pytest.mark.parametrize(
    "found",
    [
        pull_request(5, sha="0" * 40),
        pull_request(5, state="closed"),
        pull_request(5, base={"repo": {"full_name": "other/project"}}),
        pull_request(5, base={"repo": None}),
        {"number": "5"},
        "nothing",
    ],
    ids=["newer commits", "closed", "elsewhere", "deleted", "not a number", "no record"],
)
def test_no_other_pull_request_gets_the_comment(
    server: FakeGitHub, artifact: Path, capsys: pytest.CaptureFixture[str], found: object
) -> None:
    """It must be open, in this repository, and at the commit that was measured."""
    server.of_commit = [found]
    assert commented(artifact) is Exit.OK
    assert "No open pull request has 5ca1ab1e5ca1 as its newest commit" in capsys.readouterr().out
    assert not any(one.startswith(("POST", "PATCH")) for one in server.requests)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_no_failure(
    server: FakeGitHub, artifact: Path, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    """A token that may not write, as in a fork, turns no run red."""
    server.of_commit, server.refuses_to_write = [pull_request(5)], status
    assert commented(artifact) is Exit.OK
    out, err = capsys.readouterr()
    assert out.startswith(
        f"There is no comment: GitHub answered POST issues/5/comments with {status}: "
    )
    assert err == ""


def test_a_token_that_may_not_even_read_is_no_failure(server: FakeGitHub, artifact: Path) -> None:
    """The first request is refused."""
    server.answers = [(403, {"message": "Resource not accessible by integration"})]
    assert commented(artifact) is Exit.OK
    assert len(server.requests) == 1


def test_errors_that_may_pass_are_retried(server: FakeGitHub, artifact: Path) -> None:
    """A comment that was written although GitHub answered with an error is found again."""
    server.of_commit = [pull_request(5)]
    server.answers = [(502, "Bad Gateway"), (429, "slow down"), (200, b"no JSON"), (503, "")]
    original = server.answer

    def written_but_failed(method: str, target: str, body: object) -> tuple[int, object]:
        answer = original(method, target, body)
        return (500, "lost") if method == "POST" and len(server.texts(5)) == 1 else answer

    server.answer = written_but_failed  # type: ignore[method-assign]
    assert commented(artifact) is Exit.OK
    assert len(server.texts(5)) == 1
    assert sum(one.startswith("POST") for one in server.requests) == 1
    assert sum(one.startswith("PATCH") for one in server.requests) == 1


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([(500, "broken")] * 6, "with 500"),
        ([(422, "too long")], "with 422"),
        ([(200, {})], "like GitHub"),
    ],
)
def test_an_error_that_stays_ends_the_step(
    server: FakeGitHub,
    artifact: Path,
    capsys: pytest.CaptureFixture[str],
    answers: list[tuple[int, object]],
    said: str,
) -> None:
    """The message has what GitHub answered, and no token."""
    server.answers = answers
    assert commented(artifact) is Exit.ENGINE
    err = capsys.readouterr().err
    assert said in err
    assert TOKEN not in err


def test_a_run_without_a_report_gets_no_comment(
    server: FakeGitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ended before its first block, and its own check says why."""
    for folder in (tmp_path, tmp_path / "absent"):
        assert commented(folder) is Exit.OK
        assert "left no report" in capsys.readouterr().out
    assert server.requests == []


def test_missing_variables_are_named(
    server: FakeGitHub,
    artifact: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also those with values that nobody can use."""
    monkeypatch.setenv("HEAD_SHA", "main; rm -rf /")
    monkeypatch.delenv("TOKEN")
    assert commented(artifact) is Exit.CONFIG
    assert capsys.readouterr().err.startswith("TOKEN, HEAD_SHA: not set, or not usable.")
    assert server.requests == []


# --- hostile files ---


def a_link(folder: Path) -> None:
    """Have the archive be a link to another one."""
    (folder / "artifact.zip").rename(folder.parent / "artifact.zip")
    (folder / "artifact.zip").symlink_to(folder.parent / "artifact.zip")


def a_pipe(folder: Path) -> None:
    """Have the archive be something that nobody ever writes to."""
    (folder / "artifact.zip").unlink()
    os.mkfifo(folder / "artifact.zip")


def a_link_inside(folder: Path) -> None:
    """Have the summary be a link to a file of the machine, as zip archives store links."""
    with zipfile.ZipFile(folder / "artifact.zip", "w") as archive:
        entry = zipfile.ZipInfo("report.json")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/hostname")
        archive.writestr("../summary.md", "")


def other_fields(folder: Path) -> None:
    """Have the report lack a field and have another one."""
    report = json.loads((REFERENCE / "report.json").read_text())
    report["secret"] = report.pop("title")
    pack(folder, report=json.dumps(report).encode())


def cut_short(folder: Path) -> None:
    """Have the archive end too early."""
    content = (folder / "artifact.zip").read_bytes()
    (folder / "artifact.zip").write_bytes(content[:-100])


@pytest.mark.parametrize(
    "plant",
    [
        a_link,
        a_pipe,
        a_link_inside,
        other_fields,
        cut_short,
        lambda folder: pack(folder, report=b"[" * 100_000),
        lambda folder: pack(folder, report=b"\0" * (LARGEST_REPORT + 1)),
        lambda folder: pack(folder, summary=b"x" * (LARGEST_SUMMARY + 1)),
        lambda folder: pack(folder, summary=None),
        lambda folder: (folder / "artifact.zip").write_bytes(os.urandom(LARGEST_ARCHIVE + 1)),
    ],
)
def test_archives_without_a_report_are_refused(
    server: FakeGitHub, artifact: Path, capsys: pytest.CaptureFixture[str], plant: object
) -> None:
    """Before anything is sent."""
    assert callable(plant)
    plant(artifact)
    server.of_commit = [pull_request(5)]
    assert commented(artifact) is Exit.RUN_FOLDER
    err = capsys.readouterr().err
    assert "artifact.zip" in err
    assert "Traceback" not in err
    assert server.requests == []


HOSTILE = [
    "@maintainer",
    r"\@maintainer",
    "&#64;maintainer",
    "&commat;maintainer",
    "@owner/team",
    "owner/project#12",
    "#12",
    r"GH\-12",
    "https://evil.example/a",
    r"https:\/\/evil.example",
    "www.evil.example",
    "someone@evil.example",
    "<https://evil.example>",
    "[text](https://evil.example)",
    "[text](//evil.example)",
    "![pixel](https://evil.example/a.png)",
    "[text][ref]\n\n[ref]: //evil.example",
    "[ref]\n\n[ref]: evil.html",
    "<img src=//evil.example/a.png>",
    "<a href='javascript:alert(1)'>",
    "<!-- hidden",
    "<?php",
    "<script>alert(1)</script>",
    "</details><h1>approved</h1>",
    "/approve",
    "text\n   /lgtm",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_stranger_wrote_does_nothing(text: str) -> None:
    """It notifies nobody, leads nowhere, and has no HTML but ours."""
    shown = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(harmless(text))
    plain = re.sub(r"</?(?:p|br|details|summary|code)>", "", shown)
    assert not re.search(r"<[a-z/!?]", plain, re.IGNORECASE), shown
    visible = re.sub(r"&\w+;", " ", plain)
    assert not re.search(r"@\w|#\d|GH-\d|://|www\.|^\s*/\w", visible, re.MULTILINE), shown


def test_an_honest_summary_stays_as_it_is() -> None:
    """Our own renderer escapes everything already."""
    for path in (ROOT / "reports" / "reference").glob("*/summary.md"):
        text = path.read_text(encoding="utf-8")
        assert harmless(text) == text, path


def test_control_characters_are_spelt_out() -> None:
    """Also those that turn the direction of a text around."""
    assert harmless("a\x1b[31m\u202eb\r\n") == "a\\x1b[31m\\u202eb\n"


def test_the_title_is_harmless_and_a_long_summary_is_cut(
    server: FakeGitHub, artifact: Path
) -> None:
    """The verdict stays: it comes first."""
    report = json.loads((REFERENCE / "report.json").read_text())
    report["title"] = "@maintainer](https://evil.example) <img>\n# Adopt"
    report["answers"] = [{**report["answers"][0], "verdict": "@maintainer"}]
    summary = "line\n" * 2_000 + "@x " * 30_000
    pack(artifact, report=json.dumps(report).encode(), summary=summary.encode())
    server.of_commit = [pull_request(5)]
    assert commented(artifact) is Exit.OK
    (text,) = server.texts(5)
    assert len(text.encode()) <= LARGEST_COMMENT
    head = text.splitlines()[1]
    assert head.startswith("**No verdict** for 5ca1ab1e5ca1: @<!-- -->maintainer\\](https\\://evil")
    assert "<img>" not in head
    assert text.endswith("The summary was cut here: it is too long for a comment.\n")
