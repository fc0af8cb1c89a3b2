"""All dialogs of one leg, as one value: the one it speaks in, and the early ones beside it.

An INVITE that forks makes an early dialog for each To tag that answers (RFC 3261 §12.1.2, §13.2.2.4). They share the Call-ID and one
tag and nothing else: each has its own target, route set and sequence numbers. A leg that places a call keeps one for each tag of the
callee; a leg that was called and speaks for a callee who forks shows its caller one dialog for each (``shown``). Whose
2xx comes first is the one that is confirmed; requests in the others are refused from then on.

The value is immutable: each operation gives another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from calltable.adapters.sip.dialog.dialog import Dialog

if TYPE_CHECKING:
    from calltable.adapters.sip.message import Request, Response
    from calltable.adapters.sip.transport import Address


class Way(NamedTuple):
    """What a leg that calls knows only when its first request has found a way: who it speaks as, and from where."""

    local: str
    contact: str
    source: Address


class Dialogs(NamedTuple):
    """The dialogs of one leg."""

    current: Dialog
    """The confirmed dialog; until there is one, the early dialog that was heard of last."""
    early: tuple[Dialog, ...] = ()
    """The other early dialogs."""
    shown: tuple[tuple[str, str], ...] = ()
    """To tags of the leg this one speaks for, each with the local tag that its early dialog has here."""
    referred: tuple[tuple[int, int], ...] = ()
    """CSeq numbers of REFERs that were passed on: the number it came with on the other leg, and the one it went out with here."""
    over: tuple[Dialog, ...] = ()
    """Early dialogs that a BYE has ended: a late 18x of such a fork of the callee is heard no more."""
    began: int = 0
    """The CSeq number of the peer's INVITE: where its numbers begin in each early dialog."""

    @classmethod
    def of_request(cls, request: Request, local_tag: str, contact: str = "", source: Address | None = None) -> Dialogs:
        """The dialog that an INVITE asks for, at the side that answers (§12.1.1). Raises MessageError."""
        return cls(Dialog.of_request(request, local_tag, contact, source), began=request.cseq.number)

    def find(self, local_tag: str | None, remote_tag: str | None) -> Dialog | None:
        """The dialog of a request with these tags: ours in its To, the peer's in its From (§12.2.2)."""
        current = self.current
        if current.local_tag == local_tag and (current.remote_tag or "") == (remote_tag or ""):
            return current
        if current.confirmed:
            return None
        return next((one for one in self.early if one.local_tag == local_tag and one.remote_tag == (remote_tag or "")), None)

    def known(self, local_tag: str, remote_tag: str | None) -> Dialog:
        """The dialog with these tags, even one that is over; the current one where there is none."""
        current = self.current
        if current.local_tag == local_tag and current.remote_tag == remote_tag:
            return current
        return next(
            (one for one in (*self.early, *reversed(self.over)) if one.local_tag == local_tag and one.remote_tag == remote_tag), current
        )

    @property
    def forked(self) -> bool:
        """Whether more than one early dialog is open."""
        return bool(self.early) and not self.current.confirmed

    @property
    def forks(self) -> int:
        """How many dialogs the INVITE has made, those that are over included."""
        return 1 + len(self.early) + len(self.over)

    def placed(self, dialog: Dialog) -> Dialogs:
        """The same with another state of one of its dialogs."""
        current = self.current
        if dialog.local_tag == current.local_tag and dialog.remote_tag == current.remote_tag:
            return self if dialog is current else Dialogs(dialog, *self[1:])
        return self._replace(early=tuple(
            dialog if (one.local_tag, one.remote_tag) == (dialog.local_tag, dialog.remote_tag) else one for one in self.early
        ))  # fmt: skip

    def counted(self, request: Request, dialog: Dialog) -> Dialogs:
        """After a request of the peer: its number is the latest of its dialog (§12.2.2)."""
        known = self.known(dialog.local_tag, dialog.remote_tag)
        return self.placed(known.counted(request.cseq.number))

    def without(self, dialog: Dialog) -> Dialogs:
        """After a BYE in one early dialog beside others (§15): another one is current then."""
        over = (*self.over, dialog)
        tags = dialog.local_tag, dialog.remote_tag
        rest = tuple(one for one in (*self.early, self.current) if (one.local_tag, one.remote_tag) != tags)
        return self._replace(current=rest[-1], early=rest[:-1], over=over) if rest else self

    # -- as the caller's side
    def at(self, way: Way | None) -> Dialogs:
        """The same, once the listener is known from which the INVITE left."""
        if way is None or self.current.source is not None:
            return self
        return Dialogs(self.current.speaking(*way), *self[1:])

    def knows(self, tag: str) -> bool:
        """Whether the callee has a dialog with this tag."""
        return self.current.remote_tag == tag or any(one.remote_tag == tag for one in self.early)

    def ended(self, tag: str | None) -> bool:
        """Whether a BYE has ended the callee's early dialog with this tag."""
        return bool(self.over) and any(one.remote_tag == tag for one in self.over)

    def answered(self, response: Response) -> Dialogs:
        """After a 1xx with a tag, or a 2xx, to our INVITE (§12.1.2, §13.2.2.4): its tag's dialog is current."""
        current = self.current
        tag = response.to_tag or ""
        if current.confirmed or current.remote_tag is None or current.remote_tag == tag:
            dialog = current.answered(response)
            return self if dialog is current else Dialogs(dialog, *self[1:])
        dialog = self.fork(response)
        early = tuple(one for one in self.early if one.remote_tag != tag)
        return self._replace(current=dialog, early=(*early, current))

    def fork(self, response: Response) -> Dialog:
        """The dialog that a response of another To tag to our INVITE makes: what it has counted already, or a new one."""
        tag = response.to_tag or ""
        known = next((one for one in (*self.early, *self.over, self.current) if one.remote_tag == tag), None)
        if known is None:
            known = self.current._replace(
                remote_tag=None, route_set=(), remote_cseq=None, confirmed=False, local_cseq=response.cseq.number,
            )  # fmt: skip
        return known.answered(response)

    # -- as the callee's side
    def tag_of(self, other: str) -> str | None:
        """The local tag of the dialog that stands for the other leg's early dialog ``other``."""
        return next((ours for theirs, ours in self.shown if theirs == other), None)

    def shows(self, other: str, tag: str) -> Dialogs:
        """After a response of the other leg's dialog ``other`` was passed on: what stands for it is current (§12.1.1, §13.2.1).

        The first takes the dialog that the INVITE made, each further one a dialog of its own with our ``tag``.
        """
        current = self.current
        known = self.tag_of(other)
        if known is None:
            if not self.shown:
                return Dialogs(current, self.early, ((other, current.local_tag),), *self[3:])
            dialog = current._replace(local_tag=tag, local_cseq=0, remote_cseq=self.began)
            return self._replace(current=dialog, early=(*self.early, current), shown=(*self.shown, (other, tag)))
        if known == current.local_tag:
            return self
        dialog = next((one for one in self.early if one.local_tag == known), current)
        return self._replace(current=dialog, early=(*(one for one in self.early if one is not dialog), current))

