"""The commands of the control socket that list calls and end them.

    {"command": "calls", "state": "connected", "older": 3600}   →  {"calls": [{"call": "17", …}], "count": 1}
    {"command": "calls", "call": "17", "whole": true}           →  {"calls": [{"call": "17", …, "sessions": […]}], "count": 1}
    {"command": "hangup", "call": "17", "reason": "…"}          →  {"calls": [{"call": "17", …}], "count": 1}

Calls are ended by their own tables: each gets ``user.hangup``, as when a server drains, with a Reason (RFC 3326) for both sides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calltable.b2bua import Selection, SelectionError, brief, select, whole
from calltable.control.unix import ControlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.b2bua import B2BUA, CallRecord

MOST: Final = 1000
"""Calls that one answer lists, the oldest; ``count`` says how many there are."""
_CAUSE: Final = "Q.850;cause=31"
"""Normal, unspecified: neither side hung up (ITU-T Q.850)."""
_REASON: Final = "ended by the operator"


def list_calls(b2bua: B2BUA, request: Mapping[str, Any]) -> dict[str, Any]:
    """The calls that are meant; with ``whole`` each with its sessions. Raises ControlError."""
    found = _found(b2bua, _selection(request))
    tell = whole if request.get("whole") is True else brief
    return {"calls": [tell(b2bua, one) for one in found[:MOST]], "count": len(found)}


def hang_up(b2bua: B2BUA, request: Mapping[str, Any]) -> dict[str, Any]:
    """End the calls that are meant, and say which they were. Raises ControlError, also where no condition is given."""
    reason = request.get("reason", _REASON)
    if not isinstance(reason, str) or not reason.isprintable():
        raise ControlError("reason must be a text of printable characters")
    selection = _selection(request)
    if selection.everything and request.get("all") is not True:
        raise ControlError('no calls selected: give a number, a condition, or "all": true')
    found = _found(b2bua, selection)
    told = [brief(b2bua, one) for one in found[:MOST]]
    b2bua.hangup(reason or _REASON, [one.session for one in found], cause=_CAUSE)
    return {"calls": told, "count": len(found)}


def _selection(request: Mapping[str, Any]) -> Selection:
    try:
        return Selection.of(request)
    except SelectionError as error:
        raise ControlError(str(error)) from None


def _found(b2bua: B2BUA, selection: Selection) -> list[CallRecord]:
    try:
        return select(b2bua, selection)
    except SelectionError as error:
        raise ControlError(str(error)) from None
