"""The compositions that are explored: which elements, how they are joined, and within which bounds. Data only.

``quick`` bounds are for every check of a table; ``full`` ones take minutes.
"""

from __future__ import annotations

from calltable.adapters.sip.explore.commands import BRIEF, COMMANDS, Wiring
from calltable.adapters.sip.explore.contract import RELAYS
from calltable.adapters.sip.explore.transactions import SLOT, Role
from calltable.engine.explore.composition import Composition, Part
from calltable.engine.explore.system import Wire

OFFERS = ({"offer": True}, {"offer": False})

CALLER = Part("caller", Wiring(dials={"caller": ("x",)}, owners={"caller": COMMANDS}), ("caller", "leg/uac"), OFFERS)
CALLEE = Part("callee", Wiring(answers=("callee", "leg/uas"), owners={"callee": COMMANDS}))
SECOND = Part("second", Wiring(answers=("second", "leg/uas"), owners={"second": BRIEF}))
"""Who is called where a B2BUA calls again; it costs nothing where it does not."""

BRIDGE = Part("b2bua", Wiring(answers=("b2bua", "b2bua/bridge"), dials={"b2bua.b": ("b", "c")}, owners={"b2bua": ()}, relays=RELAYS))


def _transactions(name: str, request: str, client: str, server: str, *, reliable: bool = False) -> Composition:
    """A client and a server transaction, over a channel that loses, doubles and reorders, or a reliable one."""
    started = {"message": (request,), "reliable": reliable}
    parts = (
        Part("client", Wiring(), (SLOT, client), (started,), Role(client, True, request, reliable)),
        Part("server", Wiring(), None, ({},), Role(server, False, request, reliable)),
    )
    user = {"client.command": 1, "server.command": 3}
    channel = {} if reliable else {"loss": 1, "duplicate": 1, "again": 1}
    more = {} if reliable else {"loss": 3, "duplicate": 2, "again": 2}
    return Composition(
        name, f"{client} and {server} over a {'reliable' if reliable else 'lossy, reordering'} transport.",
        parts, (Wire(("client", "x"), ("server", "x")),), (client, server),
        quick={**user, **channel, "timer": 1}, full={**user, **more, "timer": 2, "failure": 1}, ordered=reliable,
    )  # fmt: skip


LEGS = ("leg/uac", "leg/uas", "leg/stray")
DIRECT = (Wire(("caller", "x"), ("callee", "x")),)
THROUGH = (
    Wire(("caller", "x"), ("b2bua", "a")), Wire(("b2bua", "b"), ("callee", "x")), Wire(("b2bua", "c"), ("second", "x")),
)  # fmt: skip

COMPOSITIONS = (
    Composition(
        "call", "A UAC calls a UAS, nothing is lost.", (CALLER, CALLEE), DIRECT, LEGS,
        quick={"caller.command": 1, "caller.hangup": 1, "callee.command": 2, "callee.hangup": 1, "timer": 1},
        full={"caller.command": 2, "caller.hangup": 1, "callee.command": 3, "callee.hangup": 1, "timer": 1},
    ),
    Composition(
        "call-reordered", "A UAC calls a UAS, messages overtake each other.", (CALLER, CALLEE), DIRECT, LEGS,
        quick=None,
        full={"caller.command": 1, "caller.hangup": 1, "callee.command": 3, "callee.hangup": 1, "timer": 1},
        ordered=False,
    ),
    Composition(
        "call-lossy", "A UAC calls a UAS, a message is lost for good.", (CALLER, CALLEE), DIRECT, LEGS,
        quick={"caller.command": 1, "caller.hangup": 1, "callee.command": 2, "callee.hangup": 1, "timer": 1, "loss": 1},
        full={"caller.command": 1, "caller.hangup": 1, "callee.command": 3, "callee.hangup": 1, "timer": 1, "loss": 1,
              "fault": 1},
    ),
    Composition(
        "call-failing", "A UAC calls a UAS, and one of the two fails internally.", (CALLER, CALLEE), DIRECT, LEGS,
        quick={"caller.command": 1, "caller.hangup": 1, "callee.command": 2, "callee.hangup": 0, "timer": 0, "failure": 1},
        full={"caller.command": 2, "caller.hangup": 1, "callee.command": 2, "callee.hangup": 1, "timer": 1, "failure": 1},
    ),
    Composition(
        "bridge-failing", "A UAC calls a UAS through a B2BUA in which something fails.", (CALLER, BRIDGE, CALLEE, SECOND),
        THROUGH, (*LEGS, "b2bua/bridge"),
        quick={"caller.command": 0, "caller.hangup": 1, "callee.command": 1, "callee.hangup": 0, "b2bua.hangup": 1,
               "second.command": 1, "timer": 1, "failure": 1},
        full={"caller.command": 1, "caller.hangup": 1, "callee.command": 2, "callee.hangup": 0, "b2bua.hangup": 1,
              "second.command": 1, "timer": 1, "failure": 1},
    ),
    Composition(
        "bridge", "A UAC calls a UAS through a B2BUA.", (CALLER, BRIDGE, CALLEE, SECOND), THROUGH, (*LEGS, "b2bua/bridge"),
        quick={"caller.command": 1, "caller.hangup": 1, "callee.command": 2, "callee.hangup": 1, "second.command": 1,
               "timer": 0},
        full={"caller.command": 1, "caller.hangup": 1, "callee.command": 2, "callee.hangup": 1, "b2bua.hangup": 1,
              "second.command": 1, "timer": 1},
    ),
    Composition(
        "bridge-timers", "A UAC calls a UAS through a B2BUA; a timer fires, and the caller asks something.", (CALLER, BRIDGE, CALLEE, SECOND),
        THROUGH, (*LEGS, "b2bua/bridge"),
        quick={"caller.command": 1, "caller.hangup": 1, "callee.command": 1, "callee.hangup": 1, "second.command": 1,
               "timer": 1},
        full=None,  # within the bounds of bridge
    ),
    Composition(
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
