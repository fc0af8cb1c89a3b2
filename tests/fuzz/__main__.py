"""Run the fuzz: ``python -m tests.fuzz --messages 1000000 --seed S``. The exit status is 1 at the first failure, which is shown."""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback

from tests.fuzz.rounds import Round
from tests.fuzz.tables import broken

ROUND = 40
"""Messages of strangers' own accord in one round; what they answer comes on top."""
EVERY = 5_000
"""Messages to one broken table."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the codec, the SIP stack and the tables.")
    parser.add_argument("--messages", type=int, default=1_000_000, metavar="N", help="how many messages to send (default: 1000000)")
    parser.add_argument("--seed", default="1", metavar="S", help="what chance is drawn from (default: 1)")
    parser.add_argument("--round", type=int, metavar="R", help="play this round alone, to see a failure again")
    parser.add_argument("--table", type=int, metavar="T", help="load this broken table alone")
    options = parser.parse_args(arguments)
    if options.table is not None:
        return _table(options.seed, options.table)
    if options.round is not None:
        logging.basicConfig(level=logging.WARNING)
        return 0 if _round(options.seed, options.round, keep=True) is not None else 1
    logging.disable(logging.CRITICAL)
    begin, sent, number, tables = time.monotonic(), 0, 0, 0
    shown = begin
    while sent < options.messages:
        count = _round(options.seed, number)
        if count is None:
            return 1
        sent += count
        number += 1
        if sent // EVERY > tables:
            if _table(options.seed, tables):
                return 1
            tables += 1
        now = time.monotonic()
        if now - shown >= 5:
            shown = now
            print(f"{sent} messages in {number} rounds, {tables} tables, {sent / (now - begin):.0f} messages/s", flush=True)
    print(f"{sent} messages in {number} rounds, {tables} tables: no fault found in {time.monotonic() - begin:.0f} s")
    return 0


def _round(seed: str, number: int, *, keep: bool = False) -> int | None:
    """Play one round; how many messages were sent, None where it failed."""
    one = None
    try:
        one = Round(seed, number, ROUND, keep=keep)
        return one.run()
    except Exception:  # noqa: BLE001 - any exception is a finding
        traceback.print_exc()
        print(f"\nfailed: seed {seed}, round {number}; again: python -m tests.fuzz --seed {seed} --round {number}")
        if one is not None:
            print(f"the last of {len(one.sent)} messages:\n{one.last.decode('utf-8', 'backslashreplace')}")
        return None


def _table(seed: str, number: int) -> int:
    try:
        broken(seed, number)
    except Exception:  # noqa: BLE001 - any exception is a finding
        traceback.print_exc()
        print(f"\nfailed: seed {seed}, table {number}; again: python -m tests.fuzz --seed {seed} --table {number}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
