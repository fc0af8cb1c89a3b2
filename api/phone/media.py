"""The actions ``media.*`` of phone tables: the session descriptions of a call, made by whatever media it has.

``phone/call`` asks for an offer or an answer and goes on; what was asked for comes back as an outcome, at once or later. A ``Media`` is
one call's side of offer and answer (RFC 3264). It does not know about calls: which description is sent, and what is done
where there is none, is for the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from calltable.adapters.sip.message import SDP, Content, has_offer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from calltable.adapters.media import SignallingMedia
    from calltable.adapters.sip.message import Message
    from calltable.engine.run import Executor, Session


Done: TypeAlias = "Callable[[bytes | None, str], bool]"
"""What a description is given to, with the reason where there is none; answers whether anybody still wants it."""


class Media(Protocol):
    """One call's side of offer and answer. ``host`` is the address to name; ``done`` is called once, now or later.

    ``done`` takes the description, or None and the reason why there is none. It answers whether anybody still waited for it.
    """

    def offer(self, host: str, done: Done, *, held: bool) -> None:
        """Describe what this side wants (RFC 3264 §5, §8); ``held``: the peer is to stop sending."""

    def answer(self, offer: bytes, host: str, done: Done, *, held: bool) -> None:
        """Answer an offer (RFC 3264 §6)."""

    def take(self, answer: bytes) -> None:
        """Take note of the peer's answer; one that cannot be read changes nothing."""


class DescribedCall(Protocol):
    """What the actions need of the owner of a call's session."""

    media: Media
    asked: dict[object, object]
    """What was asked of the media and is not answered yet, by what it is for."""

    def find_host(self, target: str | None, done: Callable[[str], None]) -> None:
        """Call ``done`` with the address that descriptions name; ``target`` is who is called, before there is a dialog."""


class Signalling:
    """The media of a phone that only signals: ``SignallingMedia`` behind the protocol; it answers at once."""

    def __init__(self, media: SignallingMedia) -> None:
        self.media = media

    def offer(self, host: str, done: Done, *, held: bool) -> None:
        """See ``Media``."""
        self.media.held = held
        done(self.media.offer(host), "")

    def answer(self, offer: bytes, host: str, done: Done, *, held: bool) -> None:
        """See ``Media``."""
        self.media.held = held
        try:
            body = self.media.answer(offer, host)
        except ValueError as error:
            done(None, str(error))
        else:
            done(body, "" if body else "the offer has no stream that this side could take")

    def take(self, answer: bytes) -> None:
        """See ``Media``."""
        try:
            self.media.answered(answer)
        except ValueError:
            return  # it changes nothing that is sent


class MediaActions:
    """Carries out ``media.*`` for the calls of one engine."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.handlers: dict[str, Callable[[Session, Mapping[str, Any]], None]] = {
            "media.offer": self._offer, "media.answer": self._answer, "media.take": self._take, "media.drop": self._drop,
        }  # fmt: skip

    def _offer(self, session: Session, p: Mapping[str, Any]) -> None:
        call: DescribedCall = session.owner  # type: ignore[assignment]  # only calls own sessions of phone tables
        done = self._awaiting(session, call, "offer", "media.offered", "media.unoffered", p.get("message"), {})
        call.find_host(p.get("target"), lambda host: call.media.offer(host, done, held=bool(p.get("held"))))

    def _answer(self, session: Session, p: Mapping[str, Any]) -> None:
        call: DescribedCall = session.owner  # type: ignore[assignment]
        offer: Message = p["to"]
        back = {"use": p.get("use") or "accept", "transaction": p.get("transaction")}
        key = back["use"], back["transaction"]
        done = self._awaiting(session, call, key, "media.answered", "media.unanswered", p.get("message"), back)

        def describe(host: str) -> None:
            if has_offer(offer):
                call.media.answer(offer.body, host, done, held=bool(p.get("held")))
            else:
                call.media.offer(host, done, held=bool(p.get("held")))

        call.find_host(None, describe)

    def _take(self, session: Session, p: Mapping[str, Any]) -> None:
        call: DescribedCall = session.owner  # type: ignore[assignment]
        if has_offer(p["message"]):
            call.media.take(p["message"].body)

    def _drop(self, session: Session, p: Mapping[str, Any]) -> None:  # noqa: ARG002
        call: DescribedCall = session.owner  # type: ignore[assignment]
        call.asked.clear()

    def _awaiting(self, session: Session, call: DescribedCall, key: object, described: str, failed: str,
                  lends: Content | None, back: Mapping[str, Any]) -> Done:
        """What the media is to call: it posts the outcome, unless it was dropped or asked for anew in the meantime."""
        mark = call.asked[key] = object()

        def done(body: bytes | None, reason: str) -> bool:
            if call.asked.get(key) is not mark:
                return False
            del call.asked[key]
            if body is None:
                self.executor.post(session, failed, {**back, "reason": reason})
            else:
                headers = lends.headers if lends is not None else ()
                self.executor.post(session, described, {**back, "message": Content(body, SDP, headers)})
            return True

        return done
