"""A package index on this machine, and a source package whose build looks around."""

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

UPLOADED = "2020-01-01T00:00:00.000000Z"

_BACKEND = """
import base64, hashlib, json, os, zipfile

def attempt(action):
    try:
        return action()
    except OSError as error:
        return type(error).__name__

def write(path):
    with open(path, "w") as file:
        file.write("planted")
    return "written"

def look():
    processes = [name for name in os.listdir("/proc") if name.isdigit()]
    return {
        "uid": os.getuid(),
        "environment": dict(os.environ),
        "home": attempt(lambda: os.listdir(os.path.expanduser("~"))),
        "read": {path: attempt(lambda: open(path).read()) for path in PATHS["read"]},
        "listed": {path: attempt(lambda: os.listdir(path)) for path in PATHS["list"]},
        "written": {path: attempt(lambda: write(path)) for path in PATHS["write"]},
        "commands": [attempt(lambda: open(f"/proc/{one}/cmdline").read()) for one in processes],
    }

def build_wheel(folder, config_settings=None, metadata_directory=None):
    built = os.path.join(os.environ.get("HOME", "."), "..", "built")
    if os.path.isdir(os.path.dirname(built)):
        attempt(lambda: os.makedirs(built, exist_ok=True))
        attempt(lambda: os.symlink(PATHS["read"][0], os.path.join(built, "link.txt")))
    files = {
        "spy.json": json.dumps(look()),
        "spy-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: spy\\nVersion: 1.0\\n",
        "spy-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: spy\\n"
        "Root-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
        record += "%s,sha256=%s,%d\\n" % (name, digest.decode().rstrip("="), len(text.encode()))
    files["spy-1.0.dist-info/RECORD"] = record + "spy-1.0.dist-info/RECORD,,\\n"
    with zipfile.ZipFile(os.path.join(folder, "spy-1.0-py3-none-any.whl"), "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return "spy-1.0-py3-none-any.whl"
"""
_PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def spy(paths: Mapping[str, list[str]]) -> bytes:
    """Return the source package ``spy`` 1.0. Its wheel contains what its build could see and do.

    The build tries to read, list and write the given paths.
    """
    files = {
        "pyproject.toml": _PROJECT + '[project]\nname = "spy"\ndynamic = ["version"]\n',
        "backend.py": f"PATHS = {dict(paths)!r}\n{_BACKEND}",
        "PKG-INFO": "Metadata-Version: 2.1\nName: spy\nVersion: 1.0\n",
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"spy-1.0/{name}")
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


@contextmanager
def index(files: Mapping[str, bytes]) -> Iterator[str]:
    """Serve the files of the package ``spy`` by their names; yield the address of the index."""
    listing = {
        "meta": {"api-version": "1.1"},
        "name": "spy",
        "versions": ["1.0"],
        "files": [
            {
                "filename": name,
                "url": f"/files/{name}",
                "hashes": {"sha256": hashlib.sha256(content).hexdigest()},
                "upload-time": UPLOADED,
                "size": len(content),
            }
            for name, content in files.items()
        ],
    }

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served = {f"/files/{name}": content for name, content in files.items()}
            served["/simple/spy/"] = json.dumps(listing).encode()
            content = served.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
