"""What a leg owes its owner, and a B2BUA its two sides: the contract beside the protocol.

A call can be perfectly in order on the wire and useless: the owner is never told that the callee answered, a hold is not passed
on, a call is torn down because of a retransmission. So, in the very step in which something comes in,

- a leg tells its owner about it, as ``adapters`` post it: a response, an ACK, a BYE, a request (``Expected``);
- a leg that hangs up, cancels or ends by itself says that its call is over, unless its owner has hung up or been told before;
- a B2BUA of two legs gives what one leg publishes to the other (``Wiring.relays``), and hangs up nobody without a reason. It may
  ignore that a leg has failed where it starts another in the same step. With three legs, which of them hears what
  is the table's choice, and so is whom it hangs up when one of them answers;
- no message is sent twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from calltable.adapters.sip.explore.dialogs import CALLING, PROCEEDING
from calltable.engine.explore import Violation
from calltable.engine.model import STARTED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from calltable.adapters.sip.explore.dialogs import DialogEnd
    from calltable.engine.explore import Scene, Shown

OVER = frozenset({"failed", "hung_up", "cancelled"})
"""Publications by which a leg says that its call is over."""

ASKED = frozenset({"user.hangup", "user.reject"})
"""What an owner asks that ends a call, so that it need not be told."""

REASONS = frozenset({"user.hangup", "route.rejected"})
"""Events of the B2BUA itself for which it may hang up, beside the end of a leg or a failure."""

RELAYS: Mapping[str, tuple[str, ...]] = {
    "progress": ("user.progress",),
    "answered": ("user.answer",),
    "failed": ("user.reject", "user.hangup"),
    "hung_up": ("user.hangup",),
    "cancelled": ("user.hangup",),
    "reinvite": ("user.reinvite",),
    "reinvite_answered": ("user.answer",),
    "reinvite_failed": ("user.reject",),
    "reinvite_cancelled": ("user.cancel",),
    "response": ("user.respond",),
    "request": ("user.request", "self:user.respond"),
}
"""What a B2BUA gives to the other leg for a publication of one; ``self:`` to the leg itself."""
ROUTED: Mapping[str, tuple[str, ...]] = {"route.rejected": ("user.reject", "user.hangup")}
"""What a B2BUA gives to every leg that lives for an event of its own."""

CONNECTED = ("confirmed", "connected")
"""When the leg that was called publishes the first, the B2BUA publishes the second: the first time, and never again."""


class Expected(NamedTuple):
    """The session in ``slot`` takes ``event``, and tells its owner one of ``names``."""

    slot: str
    event: str
    names: Collection[str]


def told(scene: Scene, expected: Iterable[Expected]) -> None:
    """Raise ``Violation`` where an owner was not told."""
    for one in expected:
        shown = next((s for s in scene.shown if s.slot == one.slot and s.event == one.event), None)
        if shown is None or shown.kind == "deferred" or set(one.names) & set(shown.publications):
            continue
        actor = scene.actor(one.slot)
        if one.event == "sip.invite.glare" and actor is not None and actor.timers:
            continue  # it will be tried again
        raise Violation("untold", f"{one.slot} takes {one.event}, and its owner is not told ({' or '.join(one.names)})")


def said_over(scene: Scene, port: str, line: DialogEnd, *, doomed: bool) -> None:
    """Raise ``Violation`` where a leg gives up its call by itself and says nothing. ``doomed``: before this step."""
    shown = [one for one in scene.shown if one.slot == line.leg]
    if doomed or not shown or line.leg.endswith("stray"):
        return
    events = {one.event for one in shown}
    if events & ASKED or any(OVER & set(one.publications) for one in shown):
        return
    sent = {message[0] for where, message in scene.sent if where == port}
    gives_up = "BYE" in sent or ("CANCEL" in sent and not line.confirmed) or scene.actor(line.leg) is None
    if gives_up:
        raise Violation("untold", f"{line.leg} gives up its call on {shown[-1].event}, and its owner is not told")


def cancelled(scene: Scene, line: DialogEnd) -> None:
    """Raise ``Violation`` where the owner withdraws an INVITE, the leg takes it, and the INVITE goes on."""
    asked = any(one.slot == line.leg and one.event == "user.cancel" and one.kind == "taken" for one in scene.shown)
    if asked and any(key[1] == "INVITE" and phase in {CALLING, PROCEEDING} for key, (phase, _) in line.clients.items()):
        raise Violation("unsent", f"{line.leg} is asked to cancel its INVITE, and does not")


def withdrawn(scene: Scene, port: str, line: DialogEnd, waiting: int) -> None:
    """Raise ``Violation`` where a leg refuses a re-INVITE (number ``waiting``) that its owner has been given, and does not say so."""
    refused = any(where == port and isinstance(m[0], int) and m[0] >= 300 and m[1:] == (waiting, "INVITE") for where, m in scene.sent)
    shown = [one for one in scene.shown if one.slot == line.leg]
    if not refused or any(one.event.startswith("user.") for one in shown):
        return
    if not any((OVER | {"reinvite_cancelled"}) & set(one.publications) for one in shown):
        raise Violation("untold", f"{line.leg} refuses a re-INVITE by itself, and its owner is not told (reinvite_cancelled)")


def relayed(scene: Scene, lines: Mapping[str, DialogEnd], before: Mapping[str, bool], relays: Mapping[str, tuple[str, ...]]) -> None:
    """Raise ``Violation`` where a publication of one leg of a B2BUA does not reach the other. ``before``: doomed legs by slot."""
    for one in scene.shown:
        parent = one.slot.rpartition(".")[0]
        if not parent or (scene.actor(parent) is None and not any(s.slot == parent for s in scene.shown)):
            continue  # no child of anybody, or of a B2BUA that is over: it ends by its own rows
        others = [
            line for line in lines.values()
            if line.leg != one.slot and line.leg.rpartition(".")[0] == parent and not before.get(line.leg, True)
        ]  # fmt: skip
        for line in others if len(others) == 1 else ():
            other = line.leg
            _one_relayed(scene, one, other, relays)
            if "confirmed" in one.publications and line.unacknowledged and scene.actor(other) is not None:
                raise Violation("not-relayed", f"{one.slot} is confirmed, and {other} is not given the answer for its ACK")
        alone = not any(
            line.leg != one.slot and line.leg.rpartition(".")[0] == parent and scene.actor(line.leg) is not None
            for line in lines.values()
        )
        if "request" in one.publications and alone:
            _given(scene, one.slot, ("user.respond",), "publishes a request that nobody can carry on")
        if one.event == "user.reinvite" and one.kind == "refused":
            for line in lines.values():
                if line.leg != one.slot and line.leg.rpartition(".")[0] == parent and scene.actor(line.leg) is not None:
                    _given(scene, line.leg, ("user.reject",), f"has a re-INVITE that {one.slot} refuses")
    for one in scene.shown:
        wanted = ROUTED.get(one.event)
        for slot, doomed in before.items() if wanted is not None and one.kind == "taken" else ():
            if slot.startswith(one.slot + ".") and not doomed:
                _given(scene, slot, wanted or (), f"waits, and {one.slot} has {one.event}")
    _torn_down(scene, before)
    given = [(one.slot, one.event) for one in scene.shown if "." in one.slot and one.event.startswith("user.")]
    for slot, event in given:
        if event != "user.hangup" and given.count((slot, event)) > 1:
            raise Violation("told-twice", f"{slot} is given {event} twice in one step")


def _given(scene: Scene, slot: str, wanted: tuple[str, ...], why: str) -> None:
    if not any(one.slot == slot and one.event in wanted for one in scene.shown):
        raise Violation("not-relayed", f"{slot} {why}, and it is not given {' or '.join(wanted)}")


def announced(scene: Scene, slot: str, doomed: Mapping[str, bool], *, before: bool) -> bool:
    """Whether the B2BUA in ``slot`` has said that the call is connected. ``before``: by an earlier step.

    Raises ``Violation`` where it says so twice, or does not though the caller's leg is confirmed.
    """
    first, second = CONNECTED
    said = sum(name == second for one in scene.shown if one.slot == slot for name in one.publications)
    due = any(first in one.publications for one in scene.shown if one.slot == f"{slot}.a") and not any(doomed.values())
    if said + before > 1:
        raise Violation("told-twice", f"{slot} says {second} again")
    if due and not said + before and not any(OVER & set(one.publications) for one in scene.shown):
        raise Violation("untold", f"{slot} has a confirmed call, and its owner is not told ({second})")
    return bool(said) or before


def _one_relayed(scene: Scene, one: Shown, other: str, relays: Mapping[str, tuple[str, ...]]) -> None:
    for name in one.publications:
        wanted = relays.get(name)
        if wanted is None:
            continue
        given = {s.event for s in scene.shown if s.slot == other} | {
            f"self:{s.event}" for s in scene.shown if s.slot == one.slot
        }
        instead = name == "failed" and any(s.event == STARTED and _sibling(s.slot, one.slot) for s in scene.shown)
        if not given & set(wanted) and not instead:
            raise Violation("not-relayed", f"{one.slot} says {name}, and {other} is not given {' or '.join(wanted)}")


def _sibling(slot: str, other: str) -> bool:
    return slot.rpartition(".")[0] == other.rpartition(".")[0]


def _many(scene: Scene, slot: str) -> bool:
    """Whether the session may have more than two legs: then it may hang up those that it wants no more."""
    actor = scene.actor(slot)
    return actor is not None and len(actor.session.machine.model.children) > 2


def _torn_down(scene: Scene, before: Mapping[str, bool]) -> None:
    for one in scene.shown:
        if "." not in one.slot or one.event != "user.hangup" or before.get(one.slot, True) or one.kind == "refused":
            continue
        if one.slot in scene.holding:
            continue  # it was deferred, and had its reason then
        reasons = any(
            OVER & set(s.publications) or s.event.startswith("after.") or s.event.endswith((".ended", ".refused"))
            or (s.event in REASONS and "." not in s.slot) or s.event == "engine.failed"
            or ("answered" in s.publications and _many(scene, s.slot.rpartition(".")[0]))
            for s in scene.shown
        )  # fmt: skip
        if not reasons:
            raise Violation("torn-down", f"{one.slot} is hung up on {scene.shown[0].event}, for no reason")


def sent_once(scene: Scene) -> None:
    """Raise ``Violation`` where one step sends the same message twice."""
    for port, message in scene.sent:
        if scene.sent.count((port, message)) > 1:
            raise Violation("sent-twice", f"{message[0]} is sent twice")
