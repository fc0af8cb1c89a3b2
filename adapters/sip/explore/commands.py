"""What an element has to do with the world: what its owners ask, and by which ports its legs meet the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Command(NamedTuple):
    """Something that the owner of a leg may ask."""

    event: str
    fields: tuple[tuple[str, Any], ...] = ()


COMMANDS = (
    Command("user.progress", (("code", 180),)),
    Command("user.answer"),
    Command("user.reject", (("code", 486),)),
    Command("user.reject", (("code", 491),)),
    Command("user.acknowledge"),
    Command("user.reinvite", (("offer", True),)),
    Command("user.reinvite", (("offer", False),)),
    Command("user.cancel"),
    Command("user.request", (("method", "INFO"), ("transaction", None))),
    Command("user.request", (("method", "UPDATE"), ("transaction", None))),
)
"""What the owner of a leg may ask, beside hanging up and answering requests. A command that the table refuses
changes nothing, so all may be tried in every state."""
BRIEF = (Command("user.answer"), Command("user.reject", (("code", 486),)))
"""What one may ask who is there to take a call or not."""


class Wiring(NamedTuple):
    """How sessions of an element meet the network.

    ``answers``: slot and machine that an INVITE outside a dialog starts. ``dials``: slot to the ports its INVITEs leave by: the
    first, and for each leg that takes its place the next; ``spare`` are the ports of slots that it does not name.
    ``owners``: root slots whose owner is the environment, with what it may ask beside ``user.hangup``. ``relays``: what
    the other leg is given for a publication of one.
    """

    answers: tuple[str, str] | None = None
    dials: Mapping[str, tuple[str, ...]] = {}
    spare: tuple[str, ...] = ()
    owners: Mapping[str, tuple[Command, ...]] = {}
    relays: Mapping[str, tuple[str, ...]] = {}
