"""A small GitHub on loopback.

It knows the pull requests of a commit or a branch, their comments, and the runs of a workflow.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

REPOSITORY, TOKEN = "owner/project", "a-token"
SHA = "5ca1ab1e" * 5
BOT = "github-actions[bot]"


def pull_request(number: int, *, sha: str = SHA, **others: object) -> dict[str, object]:
    """Return an open pull request of this repository, as GitHub lists it."""
    base = {"repo": {"full_name": REPOSITORY}}
    return {"number": number, "state": "open", "head": {"sha": sha}, "base": base, **others}


@dataclass
class FakeGitHub:
    """What it knows and did. ``answers`` come first, one for each request: (status, body)."""

    of_commit: list[Any] = field(default_factory=list)
    of_branch: dict[str, list[Any]] = field(default_factory=dict)
    comments: dict[int, list[Any]] = field(default_factory=dict)
    weekly: list[Any] = field(default_factory=list)
    """The scheduled runs of matrix.yml that succeeded, the newest first."""
    answers: list[tuple[int, object]] = field(default_factory=list)
    refuses_to_write: int | None = None
    """The status with which every change is refused, as for a token of a fork."""
    requests: list[str] = field(default_factory=list)
    address: str = ""

    def comment(self, number: int, text: str, login: str = BOT) -> None:
        """Have a comment on a pull request."""
        known = self.comments.setdefault(number, [])
        new = 1 + sum(map(len, self.comments.values()))
        known.append({"id": new, "user": {"login": login}, "body": text})

    def texts(self, number: int) -> list[str]:
        """Return the comments on a pull request."""
        return [one["body"] for one in self.comments.get(number, [])]

    def answer(self, method: str, target: str, body: Any) -> tuple[int, object]:
        """Return the status and the body of the answer to a request."""
        if self.answers:
            return self.answers.pop(0)
        return self._changed(method, target, body) if method != "GET" else self._listed(target)

    def _listed(self, target: str) -> tuple[int, object]:
        url = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        path = url.path.removeprefix(f"/repos/{REPOSITORY}/")
        if found := re.fullmatch(r"issues/(\d+)/comments", path):
            return 200, _page(self.comments.get(int(found[1]), []), query)
        if path == f"commits/{SHA}/pulls":
            return 200, _page(self.of_commit, query)
        if (path, query.get("event")) == ("actions/workflows/matrix.yml/runs", "schedule"):
            return 200, {"workflow_runs": self.weekly[: int(query["per_page"])]}
        if path == "pulls" and query.get("state") == "open":
            return 200, _page(self.of_branch.get(query["head"], []), query)
        return 404, {"message": "Not Found"}

    def _changed(self, method: str, target: str, body: Any) -> tuple[int, object]:
        path = target.removeprefix(f"/repos/{REPOSITORY}/")
        if self.refuses_to_write:
            return self.refuses_to_write, {"message": "Resource not accessible by integration"}
        if (method, path) == ("PUT", "actions/workflows/matrix.yml/enable"):
            return 204, b""
        if method == "PATCH" and (found := re.fullmatch(r"issues/comments/(\d+)", path)):
            every = (one for some in self.comments.values() for one in some)
            next(one for one in every if one["id"] == int(found[1]))["body"] = body["body"]
            return 200, {}
        found = re.fullmatch(r"issues/(\d+)/comments", path)
        assert found
        assert method == "POST"
        self.comment(int(found[1]), body["body"])
        return 201, {}


def _page(entries: list[Any], query: dict[str, str]) -> list[Any]:
    size, page = int(query.get("per_page", "30")), int(query.get("page", "1"))
    return entries[size * (page - 1) : size * page]


@contextmanager
def serving() -> Iterator[FakeGitHub]:
    """Start it on a free port of loopback, and stop it afterwards."""
    github = FakeGitHub()

    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            github.requests.append(f"{self.command} {self.path}")
            if self.headers["Authorization"] == f"Bearer {TOKEN}":
                status, answer = github.answer(self.command, self.path, body)
            else:
                status, answer = 401, {"message": "Bad credentials"}
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_PUT = _respond  # noqa: N815 (names of http.server)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        github.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield github
        server.shutdown()
