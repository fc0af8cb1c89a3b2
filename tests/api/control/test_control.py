"""The control socket: commands, mistakes, and sockets that were left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import pytest

from calltable.control.unix import Control, ControlError, ask


def fail(request):
    raise ControlError(f"there is no call {request['call']}")


async def later(request):
    await asyncio.sleep(0)
    return request["number"] + 1


COMMANDS = {"status": lambda _: {"calls": 3}, "hangup": fail, "next": later, "broken": lambda _: 1 / 0}


def asked(path, *questions):
    """What a server at ``path`` answers to each (command, parameters)."""

    async def main():
        control = Control(path, COMMANDS)
        await control.start()
        try:
            answers = []
            for command, parameters in questions:
                try:
                    answers.append(await asyncio.to_thread(ask, path, command, **parameters))
                except ControlError as error:
                    answers.append(str(error))
            return answers
        finally:
            await control.close()

    return asyncio.run(main())


def test_commands_are_carried_out(tmp_path):
    assert asked(tmp_path / "s", ("status", {}), ("next", {"number": 4})) == [{"calls": 3}, 5]


def test_a_command_that_fails_says_why_and_the_socket_goes_on(tmp_path):
    answers = asked(tmp_path / "s", ("hangup", {"call": 7}), ("stauts", {}), ("broken", {}), ("status", {}))
    assert answers == [
        "there is no call 7", "unknown command 'stauts': did you mean status?",
        "broken failed: ZeroDivisionError('division by zero')", {"calls": 3},
    ]  # fmt: skip


@pytest.mark.parametrize("line", [b"\n", b"hello\n", b"[]\n", b"{}\n", b'{"command": 7}\n', b"\xff\xfe\n"])
def test_a_line_that_is_no_command_is_answered(tmp_path, line):
    async def main():
        answer = await Control(tmp_path / "s", COMMANDS).answer(line)
        assert answer["ok"] is False
        assert answer["error"]

    asyncio.run(main())


def test_only_the_owner_may_open_the_socket_and_it_goes_with_the_server(tmp_path):
    path = tmp_path / "s"

    async def main():
        control = Control(path, COMMANDS)
        await control.start()
        mode = path.stat().st_mode
        await control.close()
        return mode

    assert asyncio.run(main()) & 0o077 == 0
    assert not path.exists()


def test_a_socket_that_a_dead_server_left_is_replaced(tmp_path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    assert asked(tmp_path / "s", ("status", {})) == [{"calls": 3}]


def test_a_living_server_keeps_its_socket(tmp_path):
    async def main():
        first = Control(tmp_path / "s", COMMANDS)
        await first.start()
        with pytest.raises(ControlError, match="another server uses"):
            await Control(tmp_path / "s", COMMANDS).start()
        await first.close()

    asyncio.run(main())


def test_a_file_is_never_replaced(tmp_path):
    (tmp_path / "s").write_text("precious", encoding="utf-8")

    async def main():
        with pytest.raises(ControlError, match="is not a socket"):
            await Control(tmp_path / "s", COMMANDS).start()

    asyncio.run(main())
    assert (tmp_path / "s").read_text(encoding="utf-8") == "precious"


def test_asking_nobody_says_what_to_do(tmp_path):
    with pytest.raises(ControlError, match="is the server running with --control"):
        ask(tmp_path / "s", "status")


def test_a_client_that_says_too_much_is_cut_off_and_the_next_is_served(tmp_path):
    async def main():
        control = Control(tmp_path / "s", COMMANDS)
        await control.start()
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(b"x" * (2 << 20))
        with contextlib.suppress(ConnectionError):  # or an orderly end: as the kernel likes
            assert await reader.read() == b""
        writer.close()
        again, other = await asyncio.open_unix_connection(str(tmp_path / "s"))
        other.write(b'{"command": "status"}\n')
        assert json.loads(await again.readline())["ok"]
        other.close()
        await control.close()

    asyncio.run(main())
