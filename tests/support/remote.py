"""An engine on another machine: a daemon behind a network of its own, reached over TLS.

``Recorder`` stands between and keeps all that is asked of it.
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
REASON = f"{daemons.REASON}; ip and openssl, too, where it is to be remote"
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
subjectAltName = IP:127.0.0.1,IP:{address}
"""


def make_certificates(folder: Path, address: str) -> None:
    """Make ca.pem, cert.pem and key.pem for a client, and the same of an engine in ``engine/``."""
    (folder / "engine").mkdir(parents=True)
    (folder / "extensions").write_text(EXTENSIONS.format(address=address))
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
    """A daemon whose machine is connected with this one by a wire, and by nothing else."""

    def __init__(self, folder: Path) -> None:
        number = os.getpid() % 256
        self.here, self.there = (f"198.18.{number}.{end}" for end in (1, 2))
        self.certificates = folder / "certificates"
        self.url = f"tcp://{self.there}:{PORT}"
        own = self.certificates / "engine"
        super().__init__(
            folder,
            words=[
                *("--host", self.url, "--tlsverify", "--tlscacert", f"{own}/ca.pem"),
                *("--tlscert", f"{own}/cert.pem", "--tlskey", f"{own}/key.pem"),
            ],
        )
        if not self.certificates.exists():
            make_certificates(self.certificates, self.there)

    def wire(self, target: int) -> None:
        """Lay the wire, which goes when the machine goes."""
        end = f"mr{os.getpid()}"
        with suppress(subprocess.CalledProcessError):  # it lies already
            _ip(f"link add {end}a type veth peer name {end}b netns {target}")
            _ip(f"addr add {self.here}/30 dev {end}a")
            _ip(f"link set {end}a up")
            inside = f"nsenter --target {target} --net "
            _ip(f"addr add {self.there}/30 dev {end}b", inside)
            _ip(f"link set {end}b up", inside)
            _ip("link set lo up", inside)


def _ip(words: str, inside: str = "") -> None:
    subprocess.run(shlex.split(f"{inside}ip {words}"), check=True, capture_output=True)


class Recorder:
    """Passes on what a client asks of an engine, both over TLS, and keeps it."""

    def __init__(self, daemon: RemoteDaemon) -> None:
        self.asked = bytearray()
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
        """Listen no more."""
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listening.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._connect, args=(line,), daemon=True).start()

    def _connect(self, line: socket.socket) -> None:
        with ExitStack() as at_the_end, suppress(OSError):
            client = at_the_end.enter_context(self._from.wrap_socket(line, server_side=True))
            plain = at_the_end.enter_context(socket.create_connection(self._there))
            engine = self._to.wrap_socket(plain, server_hostname=self._there[0])
            at_the_end.enter_context(engine)
            while self._passed_on(client, engine):
                pass

    def _passed_on(self, client: ssl.SSLSocket, engine: ssl.SSLSocket) -> bool:
        """Pass on what has come from either side; False at an end."""
        waiting = [one for one in (client, engine) if one.pending()]
        for one in waiting or select.select([client, engine], [], [])[0]:
            one.setblocking(False)
            try:
                content = one.recv(2**16)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):  # no whole record yet
                continue
            finally:
                one.setblocking(True)
            if not content:
                return False
            if one is client:
                self.asked += content
            (engine if one is client else client).sendall(content)
        return True


def dial(path: str) -> None:
    """Do what ``docker system dial-stdio`` does: pass on between the own streams and a socket."""
    with socket.socket(socket.AF_UNIX) as engine:
        engine.connect(path)
        ways = {0: engine.fileno(), engine.fileno(): 1}
        while True:
            for source in select.select(list(ways), [], [])[0]:
                content = os.read(source, 2**16)
                if not content:
                    return
                while content:
                    content = content[os.write(ways[source], content) :]
