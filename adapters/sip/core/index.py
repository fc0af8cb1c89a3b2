"""Finding the leg and the dialog that a message belongs to (RFC 3261 §12.2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calltable.adapters.sip.core.leg import Leg
    from calltable.adapters.sip.dialog import Dialog
    from calltable.adapters.sip.message import Message


class Index:
    """All legs, by Call-ID and local tag; those that hang up a late fork by its remote tag as well."""

    def __init__(self) -> None:
        self.legs: dict[str, Leg] = {}
        self.calls: dict[str, Leg] = {}
        """By Call-ID alone: the latest leg that has it."""

    def find(self, call_id: str, local_tag: str | None, remote_tag: str | None) -> tuple[Leg, Dialog] | None:
        """The leg and its dialog with these tags."""
        key = f"{call_id}|{local_tag}"
        for leg in (self.legs.get(key), self.legs.get(f"{key}|{remote_tag}")):
            dialog = leg.dialogs.find(local_tag, remote_tag) if leg is not None else None
            if leg is not None and dialog is not None:
                return leg, dialog
        return None

    def of(self, message: Message) -> Leg | None:
        """The leg that a request of the peer, or a response to one of ours, came in by; perhaps in a dialog that is over now."""
        prefix = f"{message.call_id}|"
        return self.legs.get(f"{prefix}{message.to_tag}") or self.legs.get(f"{prefix}{message.from_tag}")

    def enter(self, leg: Leg, *, late: bool = False) -> None:
        """Let a leg be found; ``late`` where another has its Call-ID and local tag."""
        dialog = leg.dialogs.current
        key = f"{dialog.call_id}|{dialog.local_tag}"
        self.legs[f"{key}|{dialog.remote_tag}" if late else key] = leg
        if not late:
            self.calls[dialog.call_id] = leg

    def show(self, leg: Leg, tag: str) -> None:
        """Let a leg be found by another local tag: that of a further early dialog."""
        self.legs[f"{leg.dialogs.current.call_id}|{tag}"] = leg

    def leave(self, leg: Leg) -> None:
        """Forget a leg."""
        dialogs = leg.dialogs
        current, shown = dialogs.current, dialogs.shown
        key = f"{current.call_id}|{current.local_tag}"
        for entry in (key, f"{key}|{current.remote_tag}", *(f"{current.call_id}|{tag}" for _, tag in shown)):
            if self.legs.get(entry) is leg:
                del self.legs[entry]
        if self.calls.get(current.call_id) is leg:
            del self.calls[current.call_id]
