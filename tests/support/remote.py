"""An engine on another machine: a daemon in its own network, reached over TLS.

``Recorder`` is a proxy that records all requests.
"""

import os
import select
import shlex
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.support import daemons
from tests.support.daemons import Daemon

POSSIBLE = daemons.POSSIBLE and all(map(shutil.which, ("ip", "openssl")))
REASON = f"{daemons.REASON}; a remote daemon also needs ip and openssl"
PORT = 2376
NEW = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={name}"
AUTHORITY = (
    f"{NEW} -x509 -days 2 -addext keyUsage=critical,keyCertSign -keyout ca-key.pem -out {{to}}"
)
REQUEST = f"{NEW} -keyout {{key}} -out request.pem"
SIGN = (
    "openssl x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 "
    "-extfile extensions -out {to}"
)
EXTENSIONS = """\
basicConstraints = CA:false
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
extendedKeyUsage = serverAuth,clientAuth
subjectAltName = {addresses}
"""


def make_certificates(folder: Path, *addresses: str) -> None:
    """Make ca.pem, cert.pem and key.pem for a client, and those of an engine in ``engine/``."""
    (folder / "engine").mkdir(parents=True)
    names = ",".join(f"IP:{one}" for one in ("127.0.0.1", *addresses))
    (folder / "extensions").write_text(EXTENSIONS.format(addresses=names))
    lines = [AUTHORITY.format(name="authority", to="ca.pem")]
    for place in ("", "engine/"):
        lines += [
            REQUEST.format(name="somebody", key=f"{place}key.pem"),
            SIGN.format(to=f"{place}cert.pem"),
        ]
    for line in lines:
        subprocess.run(shlex.split(line), cwd=folder, check=True, capture_output=True)
    shutil.copy(folder / "ca.pem", folder / "engine")


class RemoteDaemon(Daemon):
    """A daemon on a machine that only a virtual cable connects to this machine."""

    def __init__(self, folder: Path) -> None:
        number = os.getpid() % 256
        self.here, self.there = (f"198.18.{number}.{end}" for end in (1, 2))
        self.certificates = folder / "certificates"
        self.url = f"tcp://{self.there}:{PORT}"
        own = self.certificates / "engine"
        super().__init__(
            folder,
            arguments=[
                *("--host", self.url, "--tlsverify", "--tlscacert", f"{own}/ca.pem"),
                *("--tlscert", f"{own}/cert.pem", "--tlskey", f"{own}/key.pem"),
            ],
        )
        if not self.certificates.exists():
            make_certificates(self.certificates, self.there)

    def connect_network(self, target: int) -> None:
        """Make the cable. It disappears with the machine."""
        end = f"mr{os.getpid()}"
        with suppress(subprocess.CalledProcessError):  # it exists already
            run_ip(f"link add {end}a type veth peer name {end}b netns {target}")
            run_ip(f"addr add {self.here}/30 dev {end}a")
            run_ip(f"link set {end}a up")
            inside = f"nsenter --target {target} --net "
            run_ip(f"addr add {self.there}/30 dev {end}b", inside)
            run_ip(f"link set {end}b up", inside)
            run_ip("link set lo up", inside)


def run_ip(arguments: str, prefix: str = "") -> None:
    """Run the program ip, perhaps behind another one that enters namespaces."""
    subprocess.run(shlex.split(f"{prefix}ip {arguments}"), check=True, capture_output=True)


class Recorder:
    """Forwards a client's requests to an engine, both over TLS, and records them."""

    def __init__(self, daemon: RemoteDaemon) -> None:
        self.requests = bytearray()
        self._there = (daemon.there, PORT)
        own = daemon.certificates
        self._to = ssl.create_default_context(cafile=own / "ca.pem")
        self._to.load_cert_chain(own / "cert.pem", own / "key.pem")
        self._from = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=own / "ca.pem")
        self._from.load_cert_chain(own / "engine" / "cert.pem", own / "engine" / "key.pem")
        self._from.verify_mode = ssl.CERT_REQUIRED
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._connect, args=(connection,), daemon=True).start()

    def _connect(self, connection: socket.socket) -> None:
        with ExitStack() as open_sockets, suppress(OSError):
            client = open_sockets.enter_context(
                self._from.wrap_socket(connection, server_side=True)
            )
            plain = open_sockets.enter_context(socket.create_connection(self._there))
            engine = self._to.wrap_socket(plain, server_hostname=self._there[0])
            open_sockets.enter_context(engine)
            while self._forward(client, engine):
                pass

    def _forward(self, client: ssl.SSLSocket, engine: ssl.SSLSocket) -> bool:
        """Forward the received bytes of both sides; return False if a side has closed."""
        ready = [side for side in (client, engine) if side.pending()]
        for side in ready or select.select([client, engine], [], [])[0]:
            side.setblocking(False)
            try:
                content = side.recv(2**16)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):  # the record is not complete yet
                continue
            finally:
                side.setblocking(True)
            if not content:
                return False
            if side is client:
                self.requests += content
            (engine if side is client else client).sendall(content)
        return True


def dial(path: str) -> None:
    """Connect stdin and stdout to a socket, like ``docker system dial-stdio``."""
    with socket.socket(socket.AF_UNIX) as engine:
        engine.connect(path)
        targets = {0: engine.fileno(), engine.fileno(): 1}
        while True:
            for source in select.select(list(targets), [], [])[0]:
                content = os.read(source, 2**16)
                if not content:
                    return
                while content:
                    content = content[os.write(targets[source], content) :]
