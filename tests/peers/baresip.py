"""baresip without a sound card: a phone that is told what to do over its TCP control, and says what happens to it.

The control is baresip's ``ctrl_tcp`` module: JSON objects as netstrings, ``{"command", "params", "token"}`` in and
``{"response"}`` or ``{"event", "class", "type"}`` out.
"""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any

from tests.peers.ports import free_port, wait_bound
from tests.peers.programs import Program, find

if TYPE_CHECKING:
    from pathlib import Path

MODULES = ("/usr/lib/baresip/modules", "/usr/lib64/baresip/modules", "/usr/local/lib/baresip/modules")
CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:{port}
net_interface 127.0.0.1
audio_player aubridge,none
audio_source aubridge,none
audio_alert aubridge,none
audio_level no
rtp_ports {rtp}-{rtp_last}
module_path {modules}
module g711.so
module aubridge.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
"""


class Baresip:
    """One phone. ``transport`` is how it registers nothing and calls: ``udp`` or ``tcp``."""

    def __init__(self, folder: Path, name: str, modules: str, *, answer: bool = True) -> None:
        home = folder / name
        home.mkdir(parents=True)
        self.name, self.port = name, free_port(span=2)
        control, rtp = free_port(), free_port(span=16)
        (home / "config").write_text(
            CONFIG.format(port=self.port, control=control, rtp=rtp, rtp_last=rtp + 15, modules=modules), encoding="utf-8"
        )
        mode = "auto" if answer else "manual"
        (home / "accounts").write_text(f"<sip:{name}@127.0.0.1:{self.port}>;regint=0;answermode={mode};audio_codecs=PCMU\n")
        (home / "contacts").write_text("")
        self.program = Program([find("baresip") or "baresip", "-f", home, "-4"], folder, name, environment={"HOME": str(home)})
        if not wait_bound(control, tcp=True, while_=self.program.running):
            raise AssertionError(f"baresip does not listen on {control}:\n{self.program.output}")
        self.control = socket.create_connection(("127.0.0.1", control), 5)
        self.pending = b""
        self.seen: list[dict[str, Any]] = []

    def tell(self, command: str, params: str = "") -> None:
        """Give a command of baresip's menu and wait until it was taken."""
        text = json.dumps({"command": command, "params": params, "token": command})
        self.control.sendall(f"{len(text)}:{text},".encode())
        self._until(lambda said: said.get("response") and said.get("token") == command, f"an answer to {command}")

    def expect(self, kind: str, seconds: float = 10.0) -> dict[str, Any]:
        """Wait for an event such as CALL_ESTABLISHED; what came before is passed over."""
        return self._until(lambda said: said.get("type") == kind, kind, seconds)

    def _until(self, wanted: Any, what: str, seconds: float = 10.0) -> dict[str, Any]:
        end = time.monotonic() + seconds
        passed: list[dict[str, Any]] = []
        while True:
            while self.seen:
                said = self.seen.pop(0)
                if wanted(said):
                    self.seen = passed + self.seen if "answer" in what else self.seen
                    return said
                passed.append(said)
            self.control.settimeout(max(0.01, end - time.monotonic()))
            try:
                piece = self.control.recv(65536)
            except TimeoutError:
                piece = b""
            if not piece:
                told = [said.get("type", said) for said in passed]
                raise AssertionError(f"{self.name}: no {what}; it said {told}\n{self.program.output[-3000:]}")
            self.pending += piece
            self._split()

    def _split(self) -> None:
        while b":" in self.pending:
            length, _, rest = self.pending.partition(b":")
            size = int(length)
            if len(rest) < size + 1:
                return
            self.seen.append(json.loads(rest[:size]))
            self.pending = rest[size + 1:]

    def stop(self) -> None:
        self.control.close()
        self.program.stop(3)
