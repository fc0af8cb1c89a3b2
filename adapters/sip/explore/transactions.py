"""What transaction tables ask of SIP, in the abstract: single messages over a channel that may lose and double them.

Each element is one transaction and its *transaction user*, which is the environment: it answers, cancels, abandons,
and acknowledges a 2xx as it is told. Messages are tuples: ``("INVITE",)``, ``("REQUEST",)``, ``("CANCEL",)``,
``("ACK",)`` or a status code, ``(180,)``. What the user was told is remembered, for it has to be told exactly once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from calltable.adapters.sip.explore.contract import sent_once
from calltable.engine.explore import TOKEN, EffectError, Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    from calltable.engine.explore import Actor, Broken, Element, Input, Message, Scene, State, System

FINALS = frozenset({"success", "failure", "final", "timeout", "cancelled", "transport_error"})
"""What a client tells its user about the fate of the request: one of them, once."""

FATES = frozenset({"acknowledged", "unacknowledged"})
"""What an INVITE server tells its user about its 2xx: one of them, once."""

GIVEN_UP = frozenset({"timeout", "unacknowledged"})
"""What may only be told where the network is broken for good."""
ABSORBED = ("sip.", "user.")
"""Events on which no transaction ends: it has to stay for repetitions (Timers D, I, J, K, L, M; zero where reliable)."""

REPEATS = ("timer.", "sip.repeated", "sip.failure")
"""The events on which a message is sent again."""
ASKED: Mapping[str, Callable[[Message], bool]] = {
    "user.acknowledge": lambda message: message[0] == "ACK",
    "user.provisional": lambda message: message[0] == 180,
    "user.success": lambda message: message[0] == 200,
    "user.failure": lambda message: message[0] in (486, 487),
}
"""What the user asks of a transaction, and whether a message is it."""


class Role(NamedTuple):
    """Which end an element is: the table it runs in slot ``transaction``, and the request."""

    machine: str
    client: bool
    request: str
    reliable: bool


SLOT = "transaction"


class TransactionCode(NamedTuple):
    """The state of ``Transaction`` as a value; the fields are its attributes."""

    last: Message | None = None
    heard: bool = False
    kept: bool = False
    owed: bool = False
    answered: int = 0
    told: tuple[str, ...] = ()
    cancel: str = ""
    provisional: bool = False


class Transaction:
    """The adapter of an element that is one transaction."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.last: Message | None = None
        self.heard = False
        """Client: a 2xx has come. Server: the request has come."""
        self.kept = False
        """The ACK to a 2xx was made and is kept."""
        self.owed = False
        """Client: the user owes the ACK to a 2xx. Server: a CANCEL came, the user owes 487."""
        self.answered = 0
        """The final response that the user gave."""
        self.told: tuple[str, ...] = ()
        self.cancel = ""
        """Client: the user wants a CANCEL (``wanted``), and it was sent (``sent``)."""
        self.provisional = False
        """Client: a provisional response has come."""
        self._wanted: list[tuple[str, str]] = []
        """Events of this step that have to lead to a message."""

    def load(self, code: Hashable) -> None:
        """Take up a state that ``code`` gave."""
        self._wanted = []
        (self.last, self.heard, self.kept, self.owed, self.answered, self.told, self.cancel, self.provisional) = (
            code if isinstance(code, TransactionCode) else TransactionCode()
        )

    def code(self) -> Hashable:
        """The state as one hashable value."""
        return TransactionCode(
            self.last, self.heard, self.kept, self.owed, self.answered, self.told, self.cancel, self.provisional
        )

    # -- actions
    def perform(self, scene: Scene, actor: Actor, action: str, parameters: Mapping[str, Any]) -> None:
        """Carry out an action of a row."""
        match action:
            case "sip.transmit":
                self._send(scene, parameters["message"])
            case "sip.retransmit":
                self._again(scene, actor)
            case "sip.trying":
                self._send(scene, (100,))
            case "sip.acknowledge_failure":
                self._send(scene, ("ACK",))
            case "sip.acknowledge_success":
                self.kept = True
                self.last = None
                scene.send("x", ("ACK",))
            case "sip.acknowledge_again":
                if self.kept:
                    scene.send("x", ("ACK",))
            case "sip.send_cancel":
                self.cancel = "sent"
                scene.send("x", ("CANCEL",))
            case _:
                raise EffectError(f"a transaction cannot {action}")

    def _again(self, scene: Scene, actor: Actor) -> None:
        """Send the last message again: on a timer, or because the peer repeats itself, and only where that may help."""
        event = next(one.event for one in reversed(scene.shown) if one.slot == actor.slot)
        one_shot = event.startswith("timer.") and not actor.timers.get(event.removeprefix("timer."), False)
        if one_shot or not event.startswith(REPEATS):
            raise Violation("resent", f"the last message is sent again on {event}")
        if self.last is None:
            return
        if event == "sip.failure" and self.last != ("ACK",):
            raise Violation("resent", f"a failure is answered with the {self.last[0]}: it wants the ACK again")
        accepted = isinstance(self.last[0], int) and 200 <= self.last[0] < 300
        if self.role.reliable and event.startswith("timer.") and not accepted:
            raise Violation("resent", "a message is sent again by timer on a reliable transport (RFC 3261 §17)")
        scene.send("x", self.last)

    def _send(self, scene: Scene, message: Message) -> None:
        self.last = message
        scene.send("x", message)

    # -- the network
    def receive(self, scene: Scene, port: str, message: Message) -> None:  # noqa: ARG002
        """A message came in through a port."""
        actor = scene.actor(SLOT)
        what = message[0]
        if isinstance(what, int):
            if actor is not None and self.role.client:
                self._response(scene, actor, what)
        elif what == self.role.request:
            if not self.heard:
                self.heard = True
                scene.start(SLOT, self.role.machine, {"reliable": self.role.reliable})
            elif actor is not None:
                scene.post(actor, "sip.repeated", {})
        elif actor is not None and what == "ACK":
            scene.post(actor, "sip.ack", {"message": TOKEN})
        elif actor is not None and what == "CANCEL" and not self.answered:
            self.owed = True

    def _response(self, scene: Scene, actor: Actor, code: int) -> None:
        if code < 200:
            self.provisional = True
            scene.post(actor, "sip.provisional", {"message": TOKEN, "code": code})
        elif code < 300:
            if self.heard and self.kept:
                self._wanted.append(("sip.success", "ACK"))
            scene.post(actor, "sip.success", {"message": TOKEN, "code": code, "repeated": self.heard})
            self.heard = True
        else:
            if self.role.request == "INVITE" and not self.heard:
                self._wanted.append(("sip.failure", "ACK"))
            scene.post(actor, "sip.failure", {"message": TOKEN, "code": code})

    # -- the transaction user
    def inputs(self, scene: Scene) -> Iterator[tuple[str, Input]]:
        """What the transaction user may do, and a transport that fails."""
        actor = scene.actor(SLOT)
        if actor is None:
            return
        yield "failure", ("event", SLOT, "transport.failed", (("reason", "injected"),))
        if self.role.client:
            if self.role.request == "INVITE":
                yield "command", ("event", SLOT, "user.cancel", ())
                yield "failure", ("event", SLOT, "user.abandon", ())
                if self.owed:
                    yield "", ("acknowledge",)
        elif not self.answered:
            yield "command", ("answer", 180)
            for code in (487,) if self.owed else (200, 486):
                yield "command", ("answer", code)
                yield "duty", ("answer", code)

    def give(self, scene: Scene, given: Input) -> None:
        """An input of this adapter: what the transaction user does."""
        actor = scene.actors[SLOT]
        match given:
            case ("acknowledge",):
                self.owed = False
                scene.post(actor, "user.acknowledge", {"message": TOKEN})
            case ("answer", int(code)):
                kind = "provisional" if code < 200 else "success" if code < 300 else "failure"
                if code >= 200:
                    self.answered = code
                    self.owed = False
                scene.post(actor, f"user.{kind}", {"message": (code,)})
            case _:
                raise LookupError(given)

    # -- obligations
    def published(self, scene: Scene, actor: Actor, name: str, fields: Mapping[str, Any]) -> None:  # noqa: ARG002
        """The user is told something: once."""
        if self.role.client and name in FINALS:
            if set(self.told) & FINALS:
                raise Violation("told-twice", f"the user is told {name}, and was told {self.told[-1]} before")
            self.told = (*self.told, name)
            self.owed = name == "success"
        elif name in FATES:
            if set(self.told) & FATES:
                raise Violation("told-twice", f"the user is told {name}, and was told {self.told[-1]} before")
            self.told = (*self.told, name)

    def succeeded(self, slot: str, former: str) -> None:
        """A transaction has no children that another could take the name of."""

    def ended(self, scene: Scene, actor: Actor) -> None:
        """Look at whether the user was told."""
        taken = next((one for one in reversed(scene.shown) if one.slot == actor.slot), None)
        if taken is not None and taken.event == "user.abandon":
            return
        if taken is not None and taken.event.startswith(ABSORBED):
            raise Violation("early-end", f"the transaction ends on {taken.event}, and nobody absorbs what is repeated")
        if self.role.client:
            if not set(self.told) & FINALS:
                raise Violation("untold", "the transaction ends and its user was never told how the request fared")
            if self.owed and not (taken is not None and taken.event.startswith(("after.", "engine."))):
                # after Timer M it is its user who was too slow
                raise Violation("ack", "the transaction ends and its user never gave it the ACK to the 2xx")
        elif self.role.request == "INVITE" and 200 <= self.answered < 300 and not set(self.told) & FATES:
            raise Violation("untold", "the transaction ends and its user was never told about the ACK to its 2xx")

    def settle(self, scene: Scene) -> None:
        """Nothing is sent twice, and what the user or the peer asks for is sent."""
        sent_once(scene)
        sent = {message[0] for _, message in scene.sent}
        for event, wanted_ in self._wanted:
            if wanted_ not in sent:
                raise Violation("unsent", f"{event} wants the {wanted_} (RFC 3261 §17.1.1.3, §13.2.2.4), and nothing is sent")
        for one in scene.shown:
            told = "provisional" in one.publications or self.cancel or self.role.request != "INVITE"
            if one.event == "sip.provisional" and one.kind == "taken" and not told:
                raise Violation("untold", "a provisional response comes, and the user is not told")
        if any(one.event == "user.cancel" and one.kind == "taken" for one in scene.shown):
            self.cancel = self.cancel or "wanted"
        if self.cancel == "wanted" and self.provisional and scene.actor(SLOT) is not None and not set(self.told) & FINALS:
            raise Violation("unsent", "the user has cancelled, a provisional response has come, and no CANCEL is sent")
        if self.cancel == "sent" and not self.provisional:
            raise Violation("too-early", "a CANCEL is sent before any provisional response (RFC 3261 §9.1)")
        for one in scene.shown:
            wanted = ASKED.get(one.event)
            if wanted is not None and one.kind == "taken" and not any(wanted(message) for _, message in scene.sent):
                raise Violation("unsent", f"the user asks {one.event}, and nothing is sent")


class TransactionInvariants:
    """Where nothing is broken for good, retransmission repairs every loss: nobody is told that it gave up."""

    def __init__(self, system: System) -> None:
        self.system = system
        shared = [name for name in ("timer", "failure") if name in system.budgets]
        self._at = [(system.place(name), system.budgets[name]) for name in shared]

    def final(self, state: State) -> bool:
        """Whether both transactions are over, or never began, and no message is under way."""
        return self.system.silent(state) and all(
            not one.codes[state[i]].actors for i, one in enumerate(self.system.elements)
        )

    def invariant(self, state: State) -> Broken | None:
        """What is wrong in a state, or None."""
        if any(state[at] < full for at, full in self._at):
            return None
        for i, element in enumerate(self.system.elements):
            told = _told(element, state[i]) & GIVEN_UP
            if told:
                return "gave-up", f"{element.name} tells its user {min(told)}, though every loss could be repaired"
        return None


def _told(element: Element, local: int) -> frozenset[str]:
    code = element.codes[local].adapter
    return frozenset(code.told) if isinstance(code, TransactionCode) else frozenset()
