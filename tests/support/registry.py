"""A registry of images on loopback: as much of the distribution protocol as engines use.

It keeps everything in memory. Engines accept registries on loopback without TLS.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

BLOB = re.compile(r"/v2/(.+)/blobs/(sha256:[0-9a-f]{64})")
UPLOAD = re.compile(r"/v2/(.+)/blobs/uploads/(\d*)")
MANIFEST = re.compile(r"/v2/(.+)/manifests/([^/]+)")
UNKNOWN = {"blobs": "BLOB_UNKNOWN", "manifests": "MANIFEST_UNKNOWN"}


@dataclass
class Registry:
    """A running registry; ``credentials`` is ``user:password`` if it asks for them."""

    credentials: str | None = None
    address: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    """The type and the content of each manifest, by repository and by tag or digest."""
    uploads: list[bytearray] = field(default_factory=list)
    refused: int = 0
    """How many requests had no or other credentials."""

    def forget(self, repository: str) -> None:
        """Lose all images of a repository: an engine may still have their manifests."""
        for key in [one for one in self.manifests if one[0] == repository]:
            _, manifest = self.manifests.pop(key)
            self.blobs.pop(json.loads(manifest)["config"]["digest"], None)

    def digest(self, repository: str, tag: str) -> str:
        """Return the digest of a manifest."""
        return digest_of(self.manifests[repository, tag][1])


@contextmanager
def serving(credentials: str | None = None) -> Iterator[Registry]:
    """Start a registry on a free port of loopback, and stop it afterwards."""
    registry = Registry(credentials)
    with _Server(registry) as server:
        registry.address = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join()


def digest_of(content: bytes | bytearray) -> str:
    """Return the digest of a blob or a manifest."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, registry: Registry) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.registry = registry


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _registry(self) -> Registry:
        assert isinstance(self.server, _Server)
        return self.server.registry

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        if not self._may_go_on():
            return
        path = urlsplit(self.path).path
        if match := BLOB.fullmatch(path):
            found = self._registry.blobs.get(match[2])
            self._send_found("blobs", "application/octet-stream", found)
        elif match := MANIFEST.fullmatch(path):
            kind, found = self._registry.manifests.get((match[1], match[2]), ("", None))
            self._send_found("manifests", kind, found)
        else:
            self._send(HTTPStatus.OK if path == "/v2/" else HTTPStatus.NOT_FOUND, b"{}")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        if self._may_go_on():
            self._body()
            self._registry.uploads.append(bytearray())
            self._send_upload(urlsplit(self.path).path, len(self._registry.uploads) - 1)

    def do_PATCH(self) -> None:
        if self._may_go_on() and (match := UPLOAD.fullmatch(urlsplit(self.path).path)):
            number = int(match[2])
            self._registry.uploads[number] += self._body()
            self._send_upload(f"/v2/{match[1]}/blobs/uploads/", number)

    def do_PUT(self) -> None:
        if not self._may_go_on():
            return
        url, content = urlsplit(self.path), self._body()
        if match := UPLOAD.fullmatch(url.path):
            whole = bytes(self._registry.uploads[int(match[2])] + content)
            found = digest_of(whole)
            assert parse_qs(url.query)["digest"] == [found]
            self._registry.blobs[found] = whole
        elif match := MANIFEST.fullmatch(url.path):
            found = digest_of(content)
            for reference in (match[2], found):
                manifest = (self.headers["Content-Type"], content)
                self._registry.manifests[match[1], reference] = manifest
        else:
            raise AssertionError(self.path)
        headers = {"Docker-Content-Digest": found, "Location": url.path}
        self._send(HTTPStatus.CREATED, headers=headers)

    def _may_go_on(self) -> bool:
        """Whether the request has the credentials; otherwise ask for them."""
        if self._registry.credentials is None:
            return True
        wanted = base64.b64encode(self._registry.credentials.encode()).decode()
        if self.headers.get("Authorization") == f"Basic {wanted}":
            return True
        self._registry.refused += 1
        self._body()
        headers = {"WWW-Authenticate": 'Basic realm="tests"'}
        self._send(HTTPStatus.UNAUTHORIZED, _problem("UNAUTHORIZED"), headers)
        return False

    def _body(self) -> bytes:
        """Read the body, which may come in chunks."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = bytearray()
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(content)

    def _send_upload(self, path: str, number: int) -> None:
        received = len(self._registry.uploads[number])
        headers = {
            "Location": f"{path}{number}",
            "Docker-Upload-UUID": str(number),
            "Range": f"0-{max(received - 1, 0)}",
        }
        self._send(HTTPStatus.ACCEPTED, headers=headers)

    def _send_found(self, kind: str, content_type: str, content: bytes | None) -> None:
        if content is None:
            self._send(HTTPStatus.NOT_FOUND, _problem(UNKNOWN[kind]))
            return
        headers = {"Content-Type": content_type, "Docker-Content-Digest": digest_of(content)}
        self._send(HTTPStatus.OK, content, headers)

    def _send(
        self, status: HTTPStatus, content: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _problem(code: str) -> bytes:
    return json.dumps(
        {"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}
    ).encode()
