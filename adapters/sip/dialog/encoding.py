"""A leg's dialogs as what JSON can hold, for stores: strings, numbers, lists and dictionaries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calltable.adapters.sip.dialog.dialog import Dialog
from calltable.adapters.sip.dialog.dialogs import Dialogs
from calltable.adapters.sip.transport import Address

if TYPE_CHECKING:
    from collections.abc import Mapping


def written(dialogs: Dialogs) -> dict[str, Any]:
    """The value as plain data."""
    return {
        "current": _dialog(dialogs.current),
        "early": [_dialog(one) for one in dialogs.early],
        "shown": [list(pair) for pair in dialogs.shown],
        "referred": [list(pair) for pair in dialogs.referred],
        "over": [_dialog(one) for one in dialogs.over],
        "began": dialogs.began,
    }


def read(fields: Mapping[str, Any]) -> Dialogs:
    """The value that ``written`` gave. Raises KeyError, TypeError or ValueError for anything else."""
    return Dialogs(
        current=_read(fields["current"]),
        early=tuple(map(_read, fields["early"])),
        shown=tuple((theirs, ours) for theirs, ours in fields["shown"]),
        referred=tuple((came, went) for came, went in fields["referred"]),
        over=tuple(map(_read, fields["over"])),
        began=fields["began"],
    )


def _dialog(dialog: Dialog) -> dict[str, Any]:
    fields: dict[str, Any] = dialog._asdict()
    fields["route_set"] = list(dialog.route_set)
    fields["source"] = str(dialog.source) if dialog.source is not None else None
    return fields


def _read(fields: Mapping[str, Any]) -> Dialog:
    source = fields["source"]
    kept = {**fields, "route_set": tuple(fields["route_set"]), "source": Address.parse(source) if source is not None else None}
    return Dialog(**kept)
