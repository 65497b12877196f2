"""The little that is needed of GitHub's REST API: pull requests of a commit, and their comments."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import requests

from runner.errors import ServiceError
from runner.text import cut, first_cause, one_line

TIMEOUT_S = 30.0
PER_PAGE = 100
MOST_PAGES = 50
BOT = "github-actions[bot]"
"""Who comments with the token of a workflow. Comments of others are never replaced."""
_LONGEST_ANSWER = 200
_BROKEN = HTTPStatus.INTERNAL_SERVER_ERROR


class UnavailableError(ServiceError):
    """GitHub does not answer, or is too busy. The same request may succeed later."""


class RefusedError(ServiceError):
    """GitHub does not allow the request, or what it is about is gone."""


class GitHub:
    """One repository, with the rights of a token."""

    def __init__(self, api: str, repository: str, token: str) -> None:
        self._top, self._repository, self._token = f"{api}/repos/{repository}", repository, token

    def pull_request(self, sha: str, head: str) -> int | None:
        """Return the number of the open pull request whose newest commit this is, if there is one.

        ``head`` is its branch as ``owner:branch``. The pull requests of a commit may lack those of
        forks, so they are also looked for by branch.
        """
        branch = {"state": "open", "head": head}
        found = [*self._pages(f"commits/{sha}/pulls", {}), *self._pages("pulls", branch)]
        for one in found:
            match one:
                case {
                    "number": int(number),
                    "state": "open",
                    "head": {"sha": str(newest)},
                    "base": {"repo": {"full_name": str(base)}},
                } if newest == sha and base.lower() == self._repository.lower():
                    return number
        return None

    def own_comment(self, number: int, mark: str) -> int | None:
        """Return the id of our comment that begins with a mark, if there is one."""
        for one in self._pages(f"issues/{number}/comments", {}):
            match one:
                case {"id": int(known), "user": {"login": str(login)}, "body": str(body)} if (
                    login == BOT and body.startswith(mark)
                ):
                    return known
        return None

    def add_comment(self, number: int, body: str) -> None:
        """Add a comment to a pull request."""
        self._answer("POST", f"issues/{number}/comments", json={"body": body})

    def replace_comment(self, known: int, body: str) -> None:
        """Replace the text of a comment."""
        self._answer("PATCH", f"issues/comments/{known}", json={"body": body})

    def _pages(self, path: str, query: dict[str, str]) -> Iterator[object]:
        """Yield the entries of all pages of a list."""
        for page in range(1, MOST_PAGES + 1):
            numbered = {**query, "per_page": str(PER_PAGE), "page": str(page)}
            entries = self._answer("GET", path, params=numbered)
            if not isinstance(entries, list):
                raise ServiceError(
                    f"{self._top}/{path} does not answer like GitHub; check GITHUB_API_URL."
                )
            yield from entries
            if len(entries) < PER_PAGE:
                return

    def _answer(self, method: str, path: str, **content: Any) -> object:
        """Return the answer of GitHub to a request."""
        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        try:
            answer = requests.request(
                method,
                f"{self._top}/{path}",
                headers=headers,
                auth=self._authorized,  # also keeps requests from reading ~/.netrc
                timeout=TIMEOUT_S,
                **content,
            )
            if answer.ok:
                return answer.json()
        except requests.RequestException as error:
            raise UnavailableError(
                f"GitHub does not answer ({first_cause(error)}); if this lasts, run the job again "
                "later."
            ) from error
        said = cut(one_line(answer.text), _LONGEST_ANSWER)
        problem = f"GitHub answered {method} {path} with {answer.status_code}: {said}"
        if answer.status_code in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
            raise RefusedError(f"{problem}; give the job `pull-requests: write`.")
        if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or answer.status_code >= _BROKEN:
            raise UnavailableError(f"{problem}; if this lasts, run the job again later.")
        raise ServiceError(f"{problem}; check the token of the job.")

    def _authorized(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request
