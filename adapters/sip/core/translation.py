"""What names a dialog of one leg, said in the words of the other leg of the call.

A B2BUA's legs are dialogs of their own (RFC 7092 §3): Call-ID, tags and CSeq numbers differ on both sides. Header fields that quote them
mean nothing on the other side as they stand:

- ``Replaces``, ``Join`` and ``Target-Dialog`` (RFC 3891 §3, RFC 3911 §4, RFC 4538 §3) name a dialog as *their recipient* sees it. Where that is a
  dialog of ours, the recipient on the other side knows its call by the dialog of the leg that ours is joined with;
- the same inside a ``Refer-To`` (RFC 3891 §5);
- ``In-Reply-To`` (RFC 3261 §20.21) names calls: those that are up here pass;
- ``Event: refer;id=`` (RFC 3515 §2.4.6) is the CSeq number of a REFER.

A dialog that is none of ours passes as it is: it may be about a call that never came by here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, unquote

from calltable.adapters.sip.core.leg import Leg
from calltable.adapters.sip.message import MessageError, format_params, parse_name_addr, split_list, split_params
from calltable.engine.run import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from calltable.adapters.sip.core.index import Index
    from calltable.adapters.sip.dialog import Dialog, Dialogs
    from calltable.adapters.sip.message import Message, Request

NAMING: Final = frozenset({"replaces", "join", "target-dialog", "in-reply-to", "refer-to", "event"})
"""Header fields that may name a dialog."""
_TAGS: Final = {"replaces": ("to-tag", "from-tag"), "join": ("to-tag", "from-tag"), "target-dialog": ("local-tag", "remote-tag")}
"""The parameters that hold the recipient's own tag and its peer's."""
_SAFE: Final = "-_.!~*'()"
"""Characters that stand in a header of a URI as they are, whatever follows (RFC 3261 §25.1, ``hvalue``)."""


class Translation(NamedTuple):
    """Says header fields of ``source``, which came in on another leg, for a message that leaves on ``leg``."""

    legs: Index
    source: Message
    leg: Leg

    def header(self, name: str, value: str) -> str:
        """The value as the other side has to read it; unchanged where it names nothing of ours, or cannot be read.

        Empty where nothing is left of it: Call-IDs of ``In-Reply-To`` that are not ours name one side, and stay there.
        """
        try:
            if name == "event":
                return self._event(value)
            if name == "refer-to":
                return self._refer_to(value)
            if name == "in-reply-to":
                return ", ".join(filter(None, map(self._call_id, split_list(value))))
            return self._dialog(name, value)
        except MessageError:
            return value

    def _dialog(self, name: str, value: str) -> str:
        call_id, params = split_params(value, name)
        own, peers = _TAGS[name]
        found = self.legs.find(call_id, params.get(own), params.get(peers))
        other = twin(found[0]) if found is not None else None
        if other is None:
            return value
        dialog = other.dialogs.current
        return dialog.call_id + format_params({**params, own: dialog.remote_tag or "0", peers: dialog.local_tag})

    def _call_id(self, call_id: str) -> str:
        leg = self.legs.calls.get(call_id)
        other = twin(leg) if leg is not None else None
        return other.dialogs.current.call_id if other is not None else ""

    def _refer_to(self, value: str) -> str:
        address = parse_name_addr(value, "Refer-To")
        uri, mark, headers = address.uri.partition("?")
        if not mark:
            return value
        fields = []
        changed = False
        for field in headers.split("&"):
            name, equals, quoted = field.partition("=")
            known = name.lower()
            if known in _TAGS:
                named = unquote(quoted)
                said = self._dialog(known, named)
                if said != named:
                    changed = True
                    quoted = quote(said, safe=_SAFE)
            fields.append(f"{name}{equals}{quoted}")
        return str(address._replace(uri=f"{uri}?{'&'.join(fields)}")) if changed else value

    def _event(self, value: str) -> str:
        package, params = split_params(value, "Event")
        number = params.get("id")
        if package.lower() != "refer" or not number or not number.isdecimal():
            return value
        for came, went in self.leg.dialogs.referred:
            if str(came) == number:  # a subscriber speaks of a REFER that it sent, and that left on this leg
                return package + format_params({**params, "id": str(went)})
        origin = self.legs.of(self.source)
        for came, went in origin.dialogs.referred if origin is not None else ():
            if str(went) == number:  # a notifier speaks of a REFER that reached it on the leg its message came in by
                return package + format_params({**params, "id": str(came)})
        return value


def twin(leg: Leg) -> Leg | None:
    """The other leg of the same call: of those that the same coordinator owns, a confirmed one before others."""
    owner = leg.session.owner
    if not isinstance(owner, Session):
        return None
    found: Leg | None = None
    for child in (owner.children or {}).values():
        other = child.context
        if isinstance(other, Leg) and other is not leg:
            if other.dialogs.current.confirmed:
                return other
            found = other
    return found


def shown_to(dialogs: Dialogs, other: Leg | None, source: Request) -> Dialog | None:
    """Which of a leg's ``dialogs`` stands for the one ``source`` came in by, on the ``other`` leg; None where that fork is gone.

    A caller's request in one of several early dialogs is for the callee's fork behind it, and a fork's request is for the
    early dialog that shows it to the caller (RFC 3261 §12.2.1.1).
    """
    if other is None or (other.dialogs.current.confirmed and other.dialogs.current.local_tag == source.to_tag):
        return dialogs.current
    wanted = next((theirs for theirs, ours in other.dialogs.shown if ours == source.to_tag), None)
    if wanted is not None:  # the other leg speaks for forks of this one
        return _early(dialogs, lambda one: one.remote_tag == wanted)
    ours = dialogs.tag_of(source.from_tag or "")
    if ours is not None:  # this leg speaks for forks of the other one
        return _early(dialogs, lambda one: one.local_tag == ours)
    return dialogs.current


def _early(dialogs: Dialogs, wanted: Callable[[Dialog], bool]) -> Dialog | None:
    if wanted(dialogs.current) or dialogs.current.confirmed:
        return dialogs.current if wanted(dialogs.current) else None
    return next(filter(wanted, dialogs.early), None)
