"""The compositions that are explored: which elements, how they are joined, and within which bounds. Data only.

``quick`` bounds are for every check of a table; ``full`` ones take minutes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from calltable.adapters.sip.explore.commands import BRIEF, COMMANDS, Wiring
from calltable.adapters.sip.explore.contract import RELAYS
from calltable.adapters.sip.explore.legs import Legs
from calltable.adapters.sip.explore.properties import CallInvariants
from calltable.adapters.sip.explore.transactions import SLOT, Role, Transaction, TransactionInvariants
from calltable.engine.explore import Composition, Part, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from calltable.engine.model import Catalogue

OFFERS = ({"offer": True}, {"offer": False})



def _legs(name: str, wiring: Wiring, start: tuple[str, str] | None = None, choices: tuple[Mapping[str, Any], ...] = ({},)) -> Part:
    """An element whose sessions are legs, and their coordinator where there is one."""
    takes = wiring.answers[0] if wiring.answers is not None else ""
    return Part(name, partial(Legs, wiring), start, choices, takes)


CALLER = _legs("caller", Wiring(dials={"caller": ("x",)}, owners={"caller": COMMANDS}), ("caller", "leg/uac"), OFFERS)
CALLEE = _legs("callee", Wiring(answers=("callee", "leg/uas"), owners={"callee": COMMANDS}))
SECOND = _legs("second", Wiring(answers=("second", "leg/uas"), owners={"second": BRIEF}))
"""Who is called where a B2BUA calls again; it costs nothing where it does not."""

BRIDGE = _legs(
    "b2bua", Wiring(answers=("b2bua", "b2bua/bridge"), dials={"b2bua.b": ("b", "c")}, spare=("b", "c"), owners={"b2bua": ()}, relays=RELAYS)
)


def _transaction(role: Role) -> Callable[[Catalogue], Transaction]:
    return lambda _: Transaction(role)


def _transactions(name: str, request: str, client: str, server: str, *, reliable: bool = False) -> Composition:
    """A client and a server transaction, over a channel that drops, duplicates and reorders, or a reliable one."""
    started = {"message": (request,), "reliable": reliable}
    parts = (
        Part("client", _transaction(Role(client, True, request, reliable)), (SLOT, client), (started,)),
        Part("server", _transaction(Role(server, False, request, reliable))),
    )
    user = {"client.command": 1, "server.command": 3}
    channel = {} if reliable else {"loss": 1, "duplicate": 1, "again": 1}
    more = {} if reliable else {"loss": 3, "duplicate": 2, "again": 2}
    return Composition(
        name, f"{client} and {server} over a {'reliable' if reliable else 'lossy, reordering'} transport.",
        parts, (Wire(("client", "x"), ("server", "x")),), (client, server),
        quick={**user, **channel, "timer": 1}, full={**user, **more, "timer": 2, "failure": 1},
        properties=lambda system, _: TransactionInvariants(system), ordered=reliable, calls=False,
    )  # fmt: skip


LEGS = ("leg/uac", "leg/uas", "leg/stray")
DIRECT = (Wire(("caller", "x"), ("callee", "x")),)
THROUGH = (
    Wire(("caller", "x"), ("b2bua", "a")), Wire(("b2bua", "b"), ("callee", "x")), Wire(("b2bua", "c"), ("second", "x")),
)  # fmt: skip

_calls = partial(Composition, properties=CallInvariants)

EXTRA = {"leg": "sip.bye", "transaction": "sip.retransmit"}
"""The send that a mutant adds to rows that have none, by the table's folder."""

COMPOSITIONS = (
    _calls(
        "call", "A UAC calls a UAS, nothing is lost.", (CALLER, CALLEE), DIRECT, LEGS,
        quick={"caller.command": 1, "caller.hangup": 1, "callee.command": 2, "callee.hangup": 1, "timer": 1},
        full={"caller.command": 2, "caller.hangup": 1, "callee.command": 3, "callee.hangup": 1, "timer": 1},
    ),
    _calls(
        "call-reordered", "A UAC calls a UAS, messages overtake each other.", (CALLER, CALLEE), DIRECT, LEGS,
        quick=None,
        full={"caller.command": 1, "caller.hangup": 1, "callee.command": 3, "callee.hangup": 1, "timer": 1},
        ordered=False,
    ),
    _calls(
        "call-lossy", "A UAC calls a UAS, a message is lost for good.", (CALLER, CALLEE), DIRECT, LEGS,
        quick={"caller.command": 1, "caller.hangup": 1, "callee.command": 2, "callee.hangup": 1, "timer": 1, "loss": 1},
        full={"caller.command": 1, "caller.hangup": 1, "callee.command": 3, "callee.hangup": 1, "timer": 1, "loss": 1,
              "fault": 1},
    ),
    _calls(
        "call-failing", "A UAC calls a UAS, and one of the two fails internally.", (CALLER, CALLEE), DIRECT, LEGS,
        quick={"caller.command": 1, "caller.hangup": 1, "callee.command": 2, "callee.hangup": 0, "timer": 0, "failure": 1},
        full={"caller.command": 2, "caller.hangup": 1, "callee.command": 2, "callee.hangup": 1, "timer": 1, "failure": 1},
    ),
    _calls(
        "bridge-failing", "A UAC calls a UAS through a B2BUA in which something fails.", (CALLER, BRIDGE, CALLEE, SECOND),
        THROUGH, (*LEGS, "b2bua/bridge"),
        quick={"caller.command": 0, "caller.hangup": 1, "callee.command": 1, "callee.hangup": 0, "b2bua.hangup": 1,
               "second.command": 1, "timer": 1, "failure": 1},
        full={"caller.command": 1, "caller.hangup": 1, "callee.command": 2, "callee.hangup": 0, "b2bua.hangup": 1,
              "second.command": 1, "timer": 1, "failure": 1},
    ),
    _calls(
        "bridge", "A UAC calls a UAS through a B2BUA.", (CALLER, BRIDGE, CALLEE, SECOND), THROUGH, (*LEGS, "b2bua/bridge"),
        quick={"caller.command": 1, "caller.hangup": 1, "callee.command": 2, "callee.hangup": 1, "second.command": 1,
               "timer": 0},
        full={"caller.command": 1, "caller.hangup": 1, "callee.command": 2, "callee.hangup": 1, "b2bua.hangup": 1,
              "second.command": 1, "timer": 1},
    ),
    _calls(
        "bridge-timers", "A UAC calls a UAS through a B2BUA; a timer fires, and the caller asks something.", (CALLER, BRIDGE, CALLEE, SECOND),
        THROUGH, (*LEGS, "b2bua/bridge"),
        quick={"caller.command": 1, "caller.hangup": 1, "callee.command": 1, "callee.hangup": 1, "second.command": 1,
               "timer": 1},
        full=None,  # within the bounds of bridge
    ),
    _calls(
        "bridge-timers-callee", "The same; a timer fires, and the callee asks something.", (CALLER, BRIDGE, CALLEE, SECOND),
        THROUGH, (*LEGS, "b2bua/bridge"),
        quick={"caller.command": 0, "caller.hangup": 1, "callee.command": 2, "callee.hangup": 1, "second.command": 1,
               "timer": 1},
        full=None,
    ),
    _transactions("invite-transaction", "INVITE", "transaction/invite_client", "transaction/invite_server"),
    _transactions("invite-transaction-tcp", "INVITE", "transaction/invite_client", "transaction/invite_server",
                  reliable=True),
    _transactions("transaction", "REQUEST", "transaction/client", "transaction/server"),
    _transactions("transaction-tcp", "REQUEST", "transaction/client", "transaction/server", reliable=True),
)  # fmt: skip
