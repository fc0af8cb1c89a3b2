"""The control socket of a running server: one JSON object a line in, one out.

    {"command": "status"}            →  {"ok": true, "result": {"calls": 0, …}}
    {"command": "stauts"}            →  {"ok": false, "error": "unknown command 'stauts': did you mean status?"}

A command is a function from the request to something JSON can hold, or a coroutine of one; what it raises as ``ControlError`` is
told to the asker. The socket belongs to the user who runs the server: nobody else can open it.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import logging
import os
import socket
import stat
from typing import TYPE_CHECKING, Any, Final

from calltable.engine.model import suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

log = logging.getLogger("calltable.control")

_LONGEST: Final = 1 << 20
"""Bytes of one line, in either direction."""
_SECONDS: Final = 10.0


class ControlError(Exception):
    """A command that was not carried out, or a server that cannot be asked; the text says why."""


class Control:
    """Serves ``commands`` on a Unix socket at ``path``."""

    def __init__(self, path: Path, commands: Mapping[str, Callable[[Mapping[str, Any]], Any]]) -> None:
        self.path = path
        self.commands = dict(commands)
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self) -> None:
        """Open the socket; one that a dead server has left is replaced. Raises ControlError."""
        try:
            self._sweep()
            before = os.umask(0o177)
            try:
                self._server = await asyncio.start_unix_server(self._serve, str(self.path), limit=_LONGEST)
            finally:
                os.umask(before)
        except OSError as error:
            raise ControlError(f"cannot open the control socket {self.path}: {error.strerror or error}") from error

    def _sweep(self) -> None:
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise ControlError(f"{self.path} exists and is not a socket; choose another path for the control socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(self.path))
            except ConnectionRefusedError:
                self.path.unlink()
                return
        raise ControlError(f"another server uses {self.path}; stop it or choose another path")

    async def close(self) -> None:
        """Close the socket, its connections, and remove it."""
        if self._server is not None:
            self._server.close()
            clients = dict(self._clients)
            for writer in clients.values():
                writer.close()
            await asyncio.gather(*clients, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None
            with contextlib.suppress(OSError):
                self.path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._clients[task] = writer
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self.answer(line), default=str).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError, asyncio.LimitOverrunError):
            log.info("a control connection was closed", exc_info=True)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            if task is not None:
                self._clients.pop(task, None)

    async def answer(self, line: bytes) -> dict[str, Any]:
        """Carry out one line. Never raises for anything it holds."""
        try:
            request = json.loads(line)
        except ValueError as error:
            return {"ok": False, "error": f"invalid JSON: {error}"}
        name = request.get("command") if isinstance(request, dict) else None
        if not isinstance(name, str):
            return {"ok": False, "error": 'no command: write {"command": "status"}'}
        command = self.commands.get(name)
        if command is None:
            return {"ok": False, "error": f"unknown command {name!r}: {suggestion(name, self.commands, 'command')}"}
        try:
            result = command(request)
            if inspect.isawaitable(result):
                result = await result
        except ControlError as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:
            log.exception("the command %s failed", name)
            return {"ok": False, "error": f"{name} failed: {error!r}"}
        return {"ok": True, "result": result}


def ask(path: Path, command: str, **parameters: Any) -> Any:
    """Give a running server a command and wait for its result. Raises ControlError."""
    request = json.dumps({"command": command, **parameters}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(_SECONDS)
            client.connect(str(path))
            client.sendall(request)
            line = b""
            while not line.endswith(b"\n") and (data := client.recv(65536)):
                line += data
        reply = json.loads(line)
    except FileNotFoundError:
        raise ControlError(f"no control socket at {path}: is the server running with --control {path}?") from None
    except ConnectionRefusedError:
        raise ControlError(f"no answer on {path}: the server has stopped") from None
    except (OSError, ValueError) as error:
        raise ControlError(f"{path}: {error}") from error
    if not reply["ok"]:
        raise ControlError(reply["error"])
    return reply["result"]
