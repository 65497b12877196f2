"""Pages of a package index, served on this machine."""

import io
import tarfile
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Page = tuple[int, str, str | bytes]
"""The status, the type and the content of an answer."""


@contextmanager
def serving(
    pages: Mapping[str, Page], credentials: str | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Serve pages by their path; yield the address and the list of all requests.

    With ``credentials``, ``user:password``, all others are refused.
    """
    asked: list[str] = []
    wanted = credentials and f"Basic {b64encode(credentials.encode()).decode()}"

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers.get('Authorization', '')}".strip())
            code, kind, text = pages.get(self.path, (404, "text/plain", "no"))
            if wanted and self.headers.get("Authorization") != wanted:
                code, kind, text = 401, "text/plain", "who are you?"
            self.send_response(code)
            if code == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="packages"')
            self.send_header("Content-Type", kind)
            content = text if isinstance(text, bytes) else text.encode()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_HEAD = do_GET  # noqa: N815 (the name that the server looks for)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def source_package(name: str) -> Mapping[str, Page]:
    """Return the pages of a source package that is built with setuptools."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry, content = tarfile.TarInfo(f"{name}-1.0/setup.py"), b"import setuptools\n"
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    file = f"{name}-1.0.tar.gz"
    return {
        f"/{name}/": (200, "text/html", f'<a href="/{file}">{file}</a>'),
        f"/{file}": (200, "application/gzip", packed.getvalue()),
    }
