"""The keys that transactions are found by (RFC 3261 §17.1.3, §17.2.3, §8.2.2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from calltable.adapters.sip.message import BRANCH_COOKIE

if TYPE_CHECKING:
    from calltable.adapters.sip.message import Request


def server_key(request: Request, method: str) -> str:
    """What identifies the server transaction of a request (§17.2.3); ``method`` is INVITE for its ACK and CANCEL."""
    via = request.via
    branch = via.branch
    if branch is not None and branch.startswith(BRANCH_COOKIE):
        return f"{method}|{via.sent_by}|{branch}"
    # RFC 2543: no branch to go by
    return f"{method}|{via.sent_by}|{request.call_id}|{request.cseq.number}|{request.from_tag}"


Names: TypeAlias = "tuple[str, str, str | None, int]"


def names(request: Request) -> Names:
    """What a CANCEL has in common with its INVITE, beside the branch (§9.1): Request-URI, Call-ID, From tag, CSeq number.

    The To tag belongs there too, but a CANCEL that has the one of a response means no other INVITE.
    """
    return request.uri, request.call_id, request.from_tag, request.cseq.number


def merge_key(request: Request) -> str:
    """What merged copies of one request share (§8.2.2.2)."""
    cseq = request.cseq
    return f"{request.call_id}|{cseq.number}|{cseq.method}|{request.from_tag}"


def ack_key(call_id: str, tag: str | None, number: int) -> str:
    """What ties the ACK to a 2xx (§13.2.2.4): Call-ID, the answerer's tag and the INVITE's CSeq number."""
    return f"{call_id}|{tag}|{number}"
