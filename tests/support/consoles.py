"""Consoles for shells in tests: what is typed is known before, and what is shown is kept."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class CommandsConsole:
    """No terminal: commands from a file."""

    is_terminal = False

    def __init__(self, commands: str) -> None:
        self.out = self.errors = ""
        self._commands = commands

    @contextmanager
    def typing(self, send: Callable[[bytes], None]) -> Iterator[None]:
        """Send all commands before the shell reads them."""
        send(_message(input=self._commands))
        send(_message(input=""))
        yield

    def show(self, out: bytes | None, errors: bytes | None) -> None:
        """Keep both streams."""
        self.out += (out or b"").decode()
        self.errors += (errors or b"").decode()


class TypedConsole:
    """A terminal of 33 rows and 77 columns. It types each text when it sees what it waits for."""

    is_terminal = True

    def __init__(self, *texts: tuple[str, str]) -> None:
        """Take pairs: what to wait for, and what to type then."""
        self.out = ""
        self._unseen = ""
        self._texts = list(texts)
        self._send: Callable[[bytes], None] = lambda _: None

    @contextmanager
    def typing(self, send: Callable[[bytes], None]) -> Iterator[None]:
        """Send the size of the terminal, and keep what sends texts later."""
        send(_message(size=[33, 77]))
        self._send = send
        yield

    def show(self, out: bytes | None, errors: bytes | None) -> None:
        """Keep what the shell shows, and answer."""
        for one in filter(None, (out, errors)):
            self.out += one.decode()
            self._unseen += one.decode()
        if self._texts and self._texts[0][0] in self._unseen:
            self._unseen = ""
            self._send(_message(input=self._texts.pop(0)[1]))


def _message(**content: object) -> bytes:
    return json.dumps(content).encode() + b"\n"
