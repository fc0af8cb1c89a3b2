"""What leg tables ask of SIP, in the abstract: dialogs and transactions as they look from above.

This is ``adapters/sip`` boiled down to what a leg can notice. A *line* is one end of a dialog on one port of the
element. Transactions are reliable here, as retransmission makes them, unless the run loses messages or lets a
transaction time out: so a request arrives once, its response arrives once, and what a leg never sees (100 to a
re-INVITE's peer, the ACK to a failure, repeated messages) is left out. ``transactions.py`` looks at those.

What stands here by rule:

- CANCEL waits for a provisional response (RFC 3261 §9.1); it meets its INVITE by number, and gets 200 by itself once the
  leg is gone (§9.2);
- a request inside no known dialog gets 481, one that comes out of order 500 (§12.2.2);
- a 2xx for a leg that is gone starts ``leg/stray`` (RFC 6026 §8.4);
- a leg that ends must have answered what it was asked, acknowledged what it was given and closed its dialog:
  the *obligations*. The real adapter has safety nets for some of these; here needing one is a violation.

A message is a tuple: ``(method, number, offer)`` for a request, ``(code, number, method)`` for a response, where
``number`` is the CSeq number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from calltable.adapters.sip.explore import contract
from calltable.adapters.sip.explore.contract import OVER, Expected
from calltable.adapters.sip.explore.dialogs import (
    ACCEPTED,
    ASKED,
    CALLING,
    CANCELLING,
    HELD,
    LEFT,
    OPEN,
    PROCEEDING,
    WITHDRAWN,
    DialogEnd,
)  # fmt: skip
from calltable.engine.explore import BEYOND, FORMER, TOKEN, EffectError, Violation, blank
from calltable.engine.model import FAILED

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from calltable.adapters.sip.explore.commands import Wiring
    from calltable.engine.explore import Actor, Input, Message, Scene
    from calltable.engine.model import Catalogue

STRAY = "leg/stray"
PROBE = "probe"
"""The handle of an OPTIONS that a leg sends for itself."""
FAILURE = 480
"""The status code of an outcome that carries one."""


class LegsCode(NamedTuple):
    """The state of ``Legs`` as a value: the dialogs by port, the awaited outcomes, and whether the call was announced."""

    lines: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    awaited: tuple[tuple[str, str], ...] = ()
    announced: bool = False


class Legs:
    """The adapter of elements whose sessions are legs, or own legs."""

    def __init__(self, plan: Wiring, catalogue: Catalogue) -> None:
        self.plan = plan
        self.catalogue = catalogue
        self.lines: dict[str, DialogEnd] = {}
        self.awaited: tuple[tuple[str, str], ...] = ()
        """Slot and action of each effect whose outcome is still to come."""
        self.announced = False
        """The B2BUA has said that its call is connected."""
        self._expected: list[Expected] = []
        self._doomed: dict[str, bool] = {}
        self._waiting: dict[str, int] = {}
        """By leg, the INVITE that waited for its owner when the step began."""

    # -- as a value
    def load(self, code: Hashable) -> None:
        """Take up a state that ``code`` gave."""
        lines, self.awaited, self.announced = code if isinstance(code, LegsCode) else LegsCode()
        self.lines = {port: DialogEnd.of(line) for port, line in lines}
        self._expected = []
        self._doomed = {line.leg: line.doomed or not line.known for line in self.lines.values()}
        self._waiting = {
            line.leg: line.invite for line in self.lines.values() if (line.invite, "INVITE") in line.servers
        }

    def code(self) -> Hashable:
        """The state as one hashable value."""
        return LegsCode(tuple((port, line.code()) for port, line in sorted(self.lines.items())), self.awaited, self.announced)

    def _line(self, actor: Actor) -> tuple[str, DialogEnd]:
        for port, line in self.lines.items():
            if line.leg == actor.slot:
                return port, line
        raise EffectError(f"{actor.slot} has no dialog")

    def _tell(self, scene: Scene, line: DialogEnd, actor: Actor, event: str, payload: Mapping[str, Any], names: tuple[str, ...] = ()) -> None:
        """Post an event; ``names`` is what its leg owes its owner for it."""
        scene.post(actor, event, payload)
        if names and not line.doomed and line.leg == actor.slot and not line.leg.endswith("stray"):
            self._expected.append(Expected(actor.slot, event, names))

    # -- actions
    def perform(self, scene: Scene, actor: Actor, action: str, parameters: Mapping[str, Any]) -> None:
        """Carry out an action of a row."""
        match action:
            case "sip.attach":
                self._attach(actor, parameters["transaction"])
            case "sip.invite":
                self._invite(scene, actor)
            case "sip.acknowledge":
                port, line = self._line(actor)
                if not line.unacknowledged:
                    raise EffectError("there is no 2xx to acknowledge")
                scene.send(port, ("ACK", line.unacknowledged, False))
                line.unacknowledged = 0
            case "sip.cancel":
                self._cancel(scene, actor)
            case "sip.abandon":
                _, line = self._line(actor)
                line.clients = {key: one for key, one in line.clients.items() if key[1] != "INVITE"}
                line.abandoned = True
            case "sip.bye":
                port, line = self._line(actor)
                line.closed = True
                self._ask(scene, port, line, "BYE", None)
            case "sip.request":
                port, line = self._line(actor)
                self._ask(scene, port, line, parameters["method"], parameters.get("transaction"), parameters.get("purpose", ""))
            case "sip.probe":
                port, line = self._line(actor)
                self._ask(scene, port, line, "OPTIONS", PROBE)
            case "sip.respond":
                self._respond(scene, actor, parameters["to"], parameters["code"])
            case "sip.accept":
                self._accept(scene, actor)
            case "sip.hangup_all":
                self._hangup_all(scene, actor)
            case _:
                if self.catalogue.actions[action].outcomes:
                    self.awaited = (*self.awaited, (actor.slot, action))

    def _attach(self, actor: Actor, handle: Any) -> None:
        port, number = handle
        line = self.lines.get(port)
        if line is None or not line.leg:
            line = self.lines[port] = DialogEnd(actor.slot)
            line.heard = number
            line.learned = True
            line.servers[number, "INVITE"] = OPEN
        line.invite = number

    def _invite(self, scene: Scene, actor: Actor) -> None:
        try:
            port, line = self._line(actor)
        except EffectError:
            free = [one for one in self.plan.dials.get(actor.slot.lstrip(FORMER), self.plan.spare) if one not in self.lines]
            if not free:
                msg = f"{actor.slot} calls somebody, and the composition has nobody left to be called"
                raise Violation(BEYOND, msg) from None
            port = free[0]
            line = self.lines[port] = DialogEnd(actor.slot)
        line.sent += 1
        line.clients[line.sent, "INVITE"] = (CALLING, None)
        # whether it carries an offer is known to its sender's table only; both are explored from the start
        offered = getattr(actor.session, "v_offered", True)
        scene.send(port, ("INVITE", line.sent, bool(offered)))

    def _ask(self, scene: Scene, port: str, line: DialogEnd, method: str, handle: Any, purpose: str = "") -> None:
        line.sent += 1
        line.clients[line.sent, method] = (f"{ASKED} {purpose}", handle)
        scene.send(port, (method, line.sent, method == "UPDATE"))

    def _cancel(self, scene: Scene, actor: Actor) -> None:
        port, line = self._line(actor)
        open_ = [number for number, method in line.clients if method == "INVITE"]
        if open_:
            key = (open_[-1], "INVITE")
            phase = line.clients[key][0]
            if phase == CALLING:
                line.clients[key] = (WITHDRAWN, None)
            elif phase == PROCEEDING:
                line.clients[key] = (CANCELLING, None)
                scene.send(port, ("CANCEL", open_[-1], False))
        elif not line.unacknowledged:
            scene.post(actor, "sip.invite.failure", {"code": 487, "message": None})

    def _respond(self, scene: Scene, actor: Actor, to: Any, code: int) -> None:
        port, line = self._line(actor)
        if to == "invite":
            key = (line.invite, "INVITE")
            if not line.invite:
                raise EffectError("there is no invite to respond to")
        elif to in ("bye", "cancel"):
            method = to.upper()
            known = [one for one in line.servers if one[1] == method]
            if not known:
                raise EffectError(f"there is no {to} to respond to")
            key = known[-1]
        else:
            port, number = to
            line = self.lines[port]
            known = [one for one in line.servers if one[0] == number and one[1] not in ("CANCEL", "BYE")]
            if not known:
                return  # its dialog is over, and with it the request: answered 481 by the adapter
            key = known[0]
        self._answer(scene, port, line, key, code)

    def _answer(self, scene: Scene, port: str, line: DialogEnd, key: tuple[int, str], code: int) -> None:
        if line.servers.get(key) in (None, ACCEPTED):
            raise Violation("answered-twice", f"the {key[1]} is answered with {code}, and has had its final response")
        held = line.servers[key] == HELD
        if key[1] in ("BYE", "CANCEL"):
            if code not in (200, 481):
                raise Violation("wrong-code", f"a {key[1]} is answered with {code}: 200, or 481 (RFC 3261 §15.1.2, §9.2)")
        elif 200 <= code < 300 and (key[1] == "INVITE" or not held):
            raise Violation("wrong-code", f"the {key[1]} is answered with {code}, and nobody has taken it")
        if code >= 200:
            del line.servers[key]
        scene.send(port, (code, *key))

    def _accept(self, scene: Scene, actor: Actor) -> None:
        port, line = self._line(actor)
        line.confirmed = True
        key = (line.invite, "INVITE")
        if line.servers.get(key) != OPEN:
            raise Violation("answered-twice", "the INVITE is accepted, and has had its final response")
        line.servers[key] = ACCEPTED
        scene.send(port, (200, *key))

    def _hangup_all(self, scene: Scene, actor: Actor) -> None:
        try:
            port, line = self._line(actor)
        except EffectError:
            return
        for key, phase in sorted(line.servers.items()):
            if phase != ACCEPTED:
                self._answer(scene, port, line, key, 200 if key[1] in ("BYE", "CANCEL") else 500)
        if line.unacknowledged:
            scene.send(port, ("ACK", line.unacknowledged, False))
            line.unacknowledged = 0
        if any(method == "INVITE" for _, method in line.clients):
            self._cancel(scene, actor)
        if line.confirmed and not line.closed:
            line.closed = True
            self._ask(scene, port, line, "BYE", None)

    # -- the network
    def receive(self, scene: Scene, port: str, message: Message) -> None:
        """A message came in through a port."""
        if isinstance(message[0], int):
            self._response(scene, port, *message)
        else:
            self._request(scene, port, *message)

    def _response(self, scene: Scene, port: str, code: int, number: int, method: str) -> None:
        line = self.lines[port]
        phase, handle = line.clients.get((number, method), ("", None))
        if not phase:
            return  # its transaction is gone
        actor = scene.actor(line.leg)
        if method == "INVITE":
            self._invite_response(scene, port, line, actor, code, number, phase)
        elif code >= 200:
            del line.clients[number, method]
            if actor is not None and method == "BYE":
                scene.post(actor, "sip.bye.final", {"code": code})
            elif actor is not None and handle == PROBE:
                scene.post(actor, "sip.probe.final", {"code": code, "message": TOKEN})
            elif actor is not None:
                payload = {"method": method, "purpose": phase.partition(" ")[2], "code": code, "message": TOKEN, "transaction": handle}
                self._tell(scene, line, actor, "sip.request.final", payload, ("response",))

    def _invite_response(
        self, scene: Scene, port: str, line: DialogEnd, actor: Actor | None, code: int, number: int, phase: str
    ) -> None:
        key = (number, "INVITE")
        if code < 200:
            line.learned |= code > 100
            if phase == WITHDRAWN:
                line.clients[key] = (CANCELLING, None)
                scene.send(port, ("CANCEL", number, False))
            elif phase != CANCELLING:
                line.clients[key] = (PROCEEDING, None)
                if actor is not None:
                    names: tuple[str, ...] = ("progress",) if code > 100 and not line.confirmed else ()
                    self._tell(scene, line, actor, "sip.invite.provisional", {"code": code, "message": TOKEN}, names)
            return
        del line.clients[key]
        if code < 300:
            line.learned = line.confirmed = True
            line.unacknowledged = number
            if actor is None:
                line.leg = f"{line.leg.partition('.')[0]}.stray"
                if scene.actor(line.leg) is not None:
                    line.leg = f"{line.leg.partition('.')[0]}.{port}-stray"
                line.closed = False
                line.clients = {}  # what the leg asked before is nobody's any more
                scene.start(line.leg, STRAY, {"message": TOKEN})
            else:
                names = ("answered", "reinvite_answered")
                self._tell(scene, line, actor, "sip.invite.success", {"code": code, "message": TOKEN}, names)
        elif actor is not None:
            event = "sip.invite.glare" if code == 491 else "sip.invite.failure"
            self._tell(scene, line, actor, event, {"code": code, "message": TOKEN}, ("failed", "reinvite_failed"))

    def _request(self, scene: Scene, port: str, method: str, number: int, offer: bool) -> None:
        line = self.lines.get(port)
        if method == "ACK":
            self._acknowledged(scene, line, number)
            return
        if method == "CANCEL":
            self._cancelled(scene, port, line, number)
            return
        if method == "INVITE":
            scene.send(port, (100, number, method))
        if line is None and method == "INVITE" and self.plan.answers is not None:
            slot, machine = self.plan.answers
            scene.start(slot, machine, {"transaction": (port, number), "message": TOKEN, "offer": offer, "relay": False})
            return
        actor = scene.actor(line.leg) if line is not None and line.known and line.learned else None
        if line is None or actor is None:
            scene.send(port, (481, number, method))
            return
        if number <= line.heard:
            scene.send(port, (500, number, method))
            return
        line.heard = number
        line.servers[number, method] = OPEN
        payload = {"message": TOKEN, "transaction": (port, number)}
        if method == "BYE":
            line.closed = True
            self._tell(scene, line, actor, "sip.bye", payload, tuple(sorted(OVER)))
        elif method == "INVITE":
            scene.post(actor, "sip.invite", {**payload, "offer": offer})
        else:
            scene.post(actor, "sip.request", {**payload, "method": method, "offer": offer})

    def _acknowledged(self, scene: Scene, line: DialogEnd | None, number: int) -> None:
        if line is not None and line.servers.get((number, "INVITE")) == ACCEPTED:
            del line.servers[number, "INVITE"]
            actor = scene.actor(line.leg)
            if actor is not None:
                self._tell(scene, line, actor, "sip.ack", {"message": TOKEN}, ("confirmed",))

    def _cancelled(self, scene: Scene, port: str, line: DialogEnd | None, number: int) -> None:
        actor = scene.actor(line.leg) if line is not None else None
        if line is None:
            scene.send(port, (481, number, "CANCEL"))
        elif actor is None or number != line.invite:
            scene.send(port, (200, number, "CANCEL"))
        else:
            line.servers[number, "CANCEL"] = OPEN
            waits = line.servers.get((number, "INVITE")) == OPEN
            names: tuple[str, ...] = ("cancelled", "reinvite_cancelled") if waits else ()
            self._tell(scene, line, actor, "sip.cancel", {"message": TOKEN, "transaction": (port, number)}, names)

    # -- what may come from inside
    def inputs(self, scene: Scene) -> Iterator[tuple[str, Input]]:
        """What the owner may ask, what may time out, and outcomes that are awaited."""
        for slot, action in self.awaited:
            for outcome in self.catalogue.actions[action].outcomes:
                yield "", ("outcome", slot, action, outcome.event)
        for slot, commands in self.plan.owners.items():
            if slot not in scene.actors:
                continue
            events = scene.actors[slot].session.cells
            yield "hangup", ("event", slot, "user.hangup", ())
            for command in commands:
                if command.event in events:
                    yield "command", ("event", slot, command.event, command.fields)
            for port, line in self.lines.items():
                if line.leg == slot:
                    for (number, _), phase in sorted(line.servers.items()):
                        if phase == HELD:
                            yield "", ("event", slot, "user.respond", (("transaction", (port, number)), ("code", 200)))
        for port, line in sorted(self.lines.items()):
            for (number, method), (phase, _) in sorted(line.clients.items()):
                if phase != PROCEEDING:
                    yield "fault", ("timeout", port, number, method, 487 if phase == CANCELLING else 408)
            for (number, method), phase in sorted(line.servers.items()):
                if phase == ACCEPTED:
                    yield "fault", ("unacknowledged", port, number, method)

    def give(self, scene: Scene, given: Input) -> None:
        """An input of this adapter: an outcome, a time-out, a missing ACK."""
        match given:
            case ("outcome", slot, action, event):
                awaited = list(self.awaited)
                spec = self.catalogue.actions[action]
                if not any(one.event == event and one.more for one in spec.outcomes):
                    awaited.remove((slot, action))
                self.awaited = tuple(awaited)
                known = self.catalogue.outcomes[event]
                fields = {name: blank(kind) for name, kind in known.fields.items()}
                scene.post(scene.actors[slot], event, fields | ({"code": FAILURE} if "code" in fields else {}))
            case ("timeout", port, number, method, code):
                line = self.lines[port]
                phase, handle = line.clients.pop((number, method))
                actor = scene.actor(line.leg)
                if actor is None:
                    return
                if method == "INVITE":
                    payload = {"code": code, "message": None}
                    self._tell(scene, line, actor, "sip.invite.failure", payload, ("failed", "reinvite_failed"))
                elif method == "BYE":
                    scene.post(actor, "sip.bye.final", {"code": code})
                elif handle == PROBE:
                    scene.post(actor, "sip.probe.final", {"code": code, "message": None})
                else:
                    payload = {"method": method, "purpose": phase.partition(" ")[2], "code": code, "message": None, "transaction": handle}
                    scene.post(actor, "sip.request.final", payload)
            case ("unacknowledged", port, number, method):
                line = self.lines[port]
                del line.servers[number, method]
                actor = scene.actor(line.leg)
                if actor is not None:
                    self._tell(scene, line, actor, "sip.unacknowledged", {}, ("hung_up",))
            case _:
                raise LookupError(given)

    # -- obligations
    def published(self, scene: Scene, actor: Actor, name: str, fields: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Note whom a request of the peer was handed on to, and that a call is over."""
        handle = fields.get("transaction")
        if isinstance(handle, tuple):
            servers = self.lines[handle[0]].servers
            for key, phase in servers.items():
                if key[0] == handle[1] and phase == OPEN:
                    servers[key] = HELD
        for line in self.lines.values():
            if line.leg == actor.slot and name in OVER:
                line.doomed = True

    def succeeded(self, slot: str, former: str) -> None:
        """A slot is given to another session: what its first one had is ``former``'s."""
        for line in [one for one in self.lines.values() if one.leg == slot]:
            line.leg = former
            for _, handle in line.clients.values():
                if isinstance(handle, tuple):
                    servers = self.lines[handle[0]].servers
                    servers.update({key: LEFT for key, phase in servers.items() if key[0] == handle[1] and phase == HELD})
        self.awaited = tuple((former if one == slot else one, action) for one, action in self.awaited)

    def ended(self, scene: Scene, actor: Actor) -> None:
        """Look at what the leg leaves behind."""
        self.awaited = tuple(one for one in self.awaited if one[0] != actor.slot)
        for port, line in self.lines.items():
            if line.leg == actor.slot:
                self._settled(scene, port, line, actor)
                line.known = False

    def _settled(self, scene: Scene, port: str, line: DialogEnd, actor: Actor) -> None:
        if line.unacknowledged:
            raise Violation("ack", f"{actor.slot} ends and has never acknowledged the 2xx to its INVITE")
        for key, phase in sorted(line.servers.items()):
            if phase in (HELD, LEFT):
                self._answer(scene, port, line, key, 481)
            elif phase == OPEN:
                raise Violation("unanswered", f"{actor.slot} ends and has never answered the {key[1]} of its peer")
        failed = any(one.slot == actor.slot and one.event == FAILED for one in scene.shown)
        for (_, method), (phase, _) in line.clients.items():
            if method == "BYE" and not failed:
                raise Violation("leak", f"{actor.slot} ends before its BYE is answered")
            if method == "INVITE" and phase not in (CANCELLING, WITHDRAWN):
                raise Violation("leak", f"{actor.slot} ends, and its INVITE is neither answered nor cancelled nor given up")
        if line.confirmed and not line.closed:
            raise Violation("leak", f"{actor.slot} ends, and its dialog was never closed with a BYE")

    def settle(self, scene: Scene) -> None:
        """Hold the step to the contract; note which lines are doomed by a hang-up that was taken."""
        contract.told(scene, self._expected)
        contract.sent_once(scene)
        for port, line in self.lines.items():
            contract.said_over(scene, port, line, doomed=self._doomed.get(line.leg, False))
            contract.cancelled(scene, line)
            waiting = self._waiting.get(line.leg, 0)
            if waiting and not self._doomed.get(line.leg, False):
                contract.withdrawn(scene, port, line, waiting)
        if self.plan.relays:
            contract.relayed(scene, self.lines, self._doomed, self.plan.relays)
            if self.plan.answers is not None:
                self.announced = contract.announced(
                    scene, self.plan.answers[0], self._doomed, before=self.announced
                )
        for shown in scene.shown:
            if shown.event == "user.hangup" and shown.kind == "taken":
                for line in self.lines.values():
                    if line.leg == shown.slot:
                        line.doomed = True
