"""A package index on this machine, with packages made up by a test."""

import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def wheel(folder: Path, name: str, version: str, requires: Sequence[str] = ()) -> Path:
    """Make a wheel that contains nothing."""
    plain = name.replace("-", "_")
    facts = f"{plain}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    texts = {
        "METADATA": "\n".join([*lines, *(f"Requires-Dist: {one}" for one in requires), ""]),
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    path = folder / f"{plain}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        for part, text in texts.items():
            packed.writestr(f"{facts}/{part}", text)
    return path


@dataclass(frozen=True)
class Index:
    """A running index."""

    url: str
    requests: list[str]
    """The path of every request that it got."""


@contextmanager
def serving(folder: Path, wheels: Mapping[str, Sequence[Path]]) -> Iterator[Index]:
    """Serve wheels, which lie in the folder, by the names of their projects."""
    for name, paths in wheels.items():
        page = folder / "simple" / name / "index.html"
        page.parent.mkdir(parents=True)
        page.write_text("".join(f'<a href="/{one.name}">{one.name}</a>' for one in paths))
    requests: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Index(f"http://127.0.0.1:{server.server_port}/simple/", requests)
        server.shutdown()
