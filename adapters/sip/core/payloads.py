"""The parameters of the actions of the catalogue sip, as their handlers are given them. Written by calltable.tools.schemas.

Durations are in seconds. Messages and handles are the adapter's own objects, which the engine hands on as they are.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class SipAccept(TypedDict):
    """The parameters of ``sip.accept``."""

    message: NotRequired[Any]


class SipAcknowledge(TypedDict):
    """The parameters of ``sip.acknowledge``."""

    message: NotRequired[Any]


class SipAcknowledgeAgain(TypedDict):
    """The parameters of ``sip.acknowledge_again``."""

    message: Any


class SipAcknowledgeFailure(TypedDict):
    """The parameters of ``sip.acknowledge_failure``."""

    message: Any


class SipAcknowledgeSuccess(TypedDict):
    """The parameters of ``sip.acknowledge_success``."""

    message: Any


class SipAttach(TypedDict):
    """The parameters of ``sip.attach``."""

    transaction: Any


class SipBye(TypedDict):
    """The parameters of ``sip.bye``."""

    message: NotRequired[Any]


class SipCancel(TypedDict):
    """The parameters of ``sip.cancel``."""

    message: NotRequired[Any]

SipInvite = TypedDict(  # ``sip.invite``
    "SipInvite",
    {
        "target": NotRequired[str | None],
        "message": NotRequired[Any],
        "from": NotRequired[str | None],
    },
)


class SipRequest(TypedDict):
    """The parameters of ``sip.request``."""

    method: str
    message: NotRequired[Any]
    transaction: Any
    purpose: NotRequired[str]


class SipRespond(TypedDict):
    """The parameters of ``sip.respond``."""

    to: Any
    code: int
    message: NotRequired[Any]
    retry_after: NotRequired[float | None]


class SipSendCancel(TypedDict):
    """The parameters of ``sip.send_cancel``."""

    message: NotRequired[Any]


class SipTransmit(TypedDict):
    """The parameters of ``sip.transmit``."""

    message: Any
