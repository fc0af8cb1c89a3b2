"""SIP messages: lazy, lossless, cheap (RFC 3261 §7).

**Lazy.** :func:`parse` finds the start line and the boundaries of the header fields, nothing more. A value is
interpreted when someone asks (``message.cseq``), once.

**Lossless.** ``bytes(message)`` of a parsed message that nobody changed is what arrived, byte for byte. After a change
the order, spelling and case of every other header field survive; folded lines come out as one line. Text is UTF-8 with
surrogate escapes, so bytes that are no UTF-8 survive too.

**Cheap.** One ``decode``, one ``findall`` over the head, one dict from canonical name (lower-case, long form:
``call-id``) to first value. The pattern cannot match folded, unterminated or garbled lines, so if the count of its
matches is the count of line ends, all is regular; only else the lines are taken one by one.

What parse raises is what has no structure: :class:`~calltable.adapters.sip.message.errors.MessageError`, with as much of the
request as could be read. What has structure but breaks a rule is for
:func:`calltable.adapters.sip.message.validate.check`. The typed views (``cseq``, ``via``, ``from_tag`` …) raise MessageError
too where their header is missing or malformed; after ``check`` found nothing they cannot.

A header line end can never be smuggled in: writing a message out whose values hold CR or LF raises ValueError.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Final

from calltable.adapters.sip.message.applicable import applies, needed
from calltable.adapters.sip.message.errors import HeaderError, MessageError, excerpt
from calltable.adapters.sip.message.headers import (
    CSeq,
    NameAddr,
    Via,
    number,
    option_tags,
    parse_cseq,
    parse_name_addr,
    parse_via,
    split_list,
)
from calltable.adapters.sip.message.names import LIST_HEADERS, canonical, canonical_names, display_name
from calltable.adapters.sip.message.redact import mask
from calltable.adapters.sip.message.uri import parse_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_HEAD: Final = 65536
"""The largest start line and header section taken, in bytes."""
MAX_HEADERS: Final = 500
"""The most header lines taken in one message."""
MAX_FORWARDS: Final = 255


class Message:
    """What requests and responses share. Made by :func:`parse` and the builders, not directly."""

    __slots__ = (
        "_body", "_contact", "_cseq", "_first", "_from", "_headers", "_raw", "_repeated", "_to", "_vias", "surplus",
        "version",
    )  # fmt: skip

    version: str
    """The SIP version as written."""
    surplus: int
    """Bytes of the datagram behind the body, ignored (RFC 3261 §18.3)."""

    def __init__(self, version: str, headers: list[tuple[str, str]], body: bytes, raw: bytes | None = None) -> None:
        """Keep the parts; the index of names is made when first needed."""
        self.version = version
        self.surplus = 0
        self._headers = headers
        self._body = body
        self._raw = raw
        self._first: dict[str, str] | None = None
        self._repeated: dict[str, list[str]] | None = None
        self._cseq: CSeq | None = None
        self._vias: list[Via] | None = None
        self._from: NameAddr | None = None
        self._to: NameAddr | None = None
        self._contact: NameAddr | None = None

    # ---- header fields as texts

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """All header lines as (name as written, value), in order. Change them with set, add and remove only."""
        return self._headers

    @property
    def first(self) -> dict[str, str]:
        """Canonical name to the value of its first line; to look at, for those who ask for many."""
        found = self._first
        return self._index() if found is None else found

    def get(self, name: str) -> str | None:
        """Give the value of the first line of a header, None if there is none."""
        first = self._first
        if first is None:
            first = self._index()
        value = first.get(name)
        return value if value is not None or name.islower() else first.get(canonical(name))

    def all(self, name: str) -> list[str]:
        """Give the values of a header, one for each line, commas and all."""
        value = self.get(name)
        if value is None or self._repeated is None:
            return [] if value is None else [value]
        return list(self._repeated.get(canonical(name), (value,)))

    def values(self, name: str) -> list[str]:
        """Give the single values of a header: lines split at their commas where the header is a list (§7.3.1).

        An empty line gives an empty value: whether a header may be empty (Supported may, Via and Contact may not,
        RFC 4475 §3.1.2.1) is for those who read the values.
        """
        lines = self.all(name)
        if not lines or canonical(name) not in LIST_HEADERS:
            return lines
        return [value for line in lines for value in split_list(line) or ("",)]

    @abstractmethod
    def applies(self, name: str) -> bool:
        """Whether a header, by its canonical name, means something in this message (RFC 3261 §20, tables 2 and 3)."""

    def option_tags(self, name: str) -> list[str]:
        """Give the option tags (or methods, or event packages) of a header, in lower case."""
        lines = self.all(name)
        return option_tags(lines) if lines else lines

    @property
    def repeated(self) -> dict[str, list[str]]:
        """Headers that stand on more than one line: canonical name to values."""
        if self._first is None:
            self._index()
        return self._repeated or {}

    def set(self, name: str, value: str) -> None:
        """Give a header exactly one line with this value, where its first line was, else at the end."""
        key = canonical(name)
        lines = self._headers
        at = next((at for at, (other, _) in enumerate(lines) if canonical(other) == key), len(lines))
        written = lines[at][0] if at < len(lines) else display_name(name)
        rest = [line for line in lines[at + 1 :] if canonical(line[0]) != key]
        self._changed([*lines[:at], (written, value), *rest])

    def add(self, name: str, value: str, *, first: bool = False) -> None:
        """Add a line at the end; with ``first`` above all others of that name, and above all headers if none is."""
        line = (display_name(name), value)
        headers = list(self._headers)
        if first:
            key = canonical(name)
            place = next((at for at, (other, _) in enumerate(headers) if canonical(other) == key), 0)
            headers.insert(place, line)
        else:
            headers.append(line)
        self._changed(headers)

    def remove(self, name: str) -> None:
        """Take away every line of a header; no such line is fine."""
        key = canonical(name)
        headers = [line for line in self._headers if canonical(line[0]) != key]
        if len(headers) != len(self._headers):
            self._changed(headers)

    def replace_first(self, name: str, value: str) -> None:
        """Give the first line of a header, which must exist, another value; the others stay."""
        key = canonical(name)
        at = next(at for at, (other, _) in enumerate(self._headers) if canonical(other) == key)
        headers = list(self._headers)
        headers[at] = (headers[at][0], value)
        self._changed(headers)

    @property
    def body(self) -> bytes:
        """The body, cut to Content-Length where that is readable."""
        return self._body

    @body.setter
    def body(self, body: bytes) -> None:
        self._body = body
        self.set("content-length", str(len(body)))

    # ---- interpreted header fields

    @property
    def call_id(self) -> str:
        """The Call-ID (RFC 3261 §20.8)."""
        first = self._first
        return (self._index() if first is None else first).get("call-id") or self._missing("Call-ID")

    @property
    def cseq(self) -> CSeq:
        """The CSeq as (number, method) (RFC 3261 §20.16)."""
        found = self._cseq
        if found is None:
            found = self._cseq = parse_cseq(self.get("cseq") or self._missing("CSeq"))
        return found

    @property
    def from_(self) -> NameAddr:
        """The From value (RFC 3261 §20.20)."""
        found = self._from
        if found is None:
            found = self._from = parse_name_addr(self.get("from") or self._missing("From"), "From")
        return found

    @property
    def to(self) -> NameAddr:
        """The To value (RFC 3261 §20.39)."""
        found = self._to
        if found is None:
            found = self._to = parse_name_addr(self.get("to") or self._missing("To"), "To")
        return found

    def interpret(self) -> None:
        """Read From, To, Via and CSeq at once, for whoever needs them all. Raises MessageError for the first that is missing or malformed."""
        first = self._first
        if first is None:
            first = self._index()
        value = first.get("from")
        self._from = parse_name_addr(value, "From") if value else self.from_
        value = first.get("to")
        self._to = parse_name_addr(value, "To") if value else self.to
        value = first.get("via")
        if value and self._repeated is None and "," not in value:
            self._vias = [parse_via(value)]
        else:
            self.via  # noqa: B018 - raises if missing or malformed
        self._cseq = parse_cseq(first.get("cseq") or self._missing("CSeq"))

    @property
    def from_tag(self) -> str | None:
        """The tag of From; None from RFC 2543 elements, which match as an empty tag (RFC 3261 §12.2.2)."""
        found = self._from
        return (self.from_ if found is None else found).params.get("tag")

    @property
    def to_tag(self) -> str | None:
        """The tag of To, None outside dialogs."""
        found = self._to
        return (self.to if found is None else found).params.get("tag")

    @property
    def vias(self) -> list[Via]:
        """All Via values, the topmost first."""
        found = self._vias
        if found is None:
            value = self.get("via")
            if value is not None and self._repeated is None and "," not in value:
                found = [parse_via(value)]
            else:
                found = [parse_via(value) for value in self.values("via")]
            self._vias = found
        return found

    @property
    def via(self) -> Via:
        """The topmost Via value."""
        vias = self._vias or self.vias
        return vias[0] if vias else parse_via(self._missing("Via"))

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact; its ``uri`` may be ``*`` (RFC 3261 §10.2.2).

        None where there is none, where it does not apply to this message (§20), and where it is malformed but not needed.
        """
        found = self._contact
        if found is None and (value := self.get("contact")) is not None and self.applies("contact"):
            try:
                found = self._contact = read_contact(value if value and "," not in value else self.values("contact")[0])
            except MessageError:
                if self._needs("contact"):
                    raise
        return found

    @property
    def contact_uri(self) -> str | None:
        """The URI of the first Contact: the remote target of a dialog (RFC 3261 §12.1)."""
        contact = self.contact
        return None if contact is None else contact.uri

    @property
    def contacts(self) -> list[str]:
        """The Contact values as written that can be read, but for ``*``; none where Contact does not apply here (§20)."""
        if self.get("contact") is None or not self.applies("contact"):
            return []
        return [value for value in self.values("contact") if value != "*" and _readable(value)]

    @property
    def record_routes(self) -> list[str]:
        """The Record-Route values as written; none where one of them is malformed: a route with a gap leads nowhere (§12.1)."""
        if self.get("record-route") is None or not self.applies("record-route"):
            return []
        values = self.values("record-route")
        return values if all(value != "*" and _readable(value) for value in values) else []

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards, None if absent or malformed where nobody needs it (RFC 3261 §20.22, RFC 4475 §3.1.2.4)."""
        value = self.get("max-forwards")
        if value is None:
            return None
        result = number(value, MAX_FORWARDS)
        if result is None and self._needs("max-forwards"):
            msg = f"Max-Forwards {excerpt(value)} is not a number from 0 to {MAX_FORWARDS}"
            raise HeaderError(msg)
        return result

    @abstractmethod
    def _needs(self, name: str) -> bool:
        """Whether a fault in a header is a fault of the message. Never in a response."""

    # ---- writing and bookkeeping

    @property
    @abstractmethod
    def start_line(self) -> str:
        """The start line, without its line end."""

    def __bytes__(self) -> bytes:
        """Write the message out; unchanged parsed ones come out as they came in. ValueError for CR or LF in a value."""
        raw = self._raw
        if raw is None:
            if not self._headers or (self._headers[-1][0] != "Content-Length" and self.get("content-length") is None):
                # It may go out over a stream, which cannot do without (RFC 3261 §18.3).
                self.add("content-length", str(len(self._body)))
            lines = [f"{name}: {value}" for name, value in self._headers]
            head = "\r\n".join([self.start_line, *lines, "", ""])
            expected = len(lines) + 2
            if head.count("\n") != expected or head.count("\r") != expected:
                self._refuse_line_ends()
            raw = self._raw = head.encode("utf-8", "surrogateescape") + self._body
        return raw

    def __repr__(self) -> str:
        """Show the start line and what identifies the message, for logs."""
        return f"<{mask(self.start_line)} · {self.get('cseq')} · {self.get('call-id')}>"

    def _index(self) -> dict[str, str]:
        names = canonical_names
        headers = self._headers
        # Backwards, so that of repeated names the first line stays.
        first = self._first = {names[name]: value for name, value in reversed(headers)}
        if len(first) != len(headers):
            lines: dict[str, list[str]] = {}
            for name, value in headers:
                lines.setdefault(names[name], []).append(value)
            self._repeated = {name: values for name, values in lines.items() if len(values) > 1}
        return first

    def _changed(self, headers: list[tuple[str, str]]) -> None:
        self._headers = headers
        self._raw = self._first = self._repeated = None
        self._cseq = self._vias = self._from = self._to = self._contact = None

    def _refuse_line_ends(self) -> None:
        lines = (("start line", self.start_line), *self._headers)
        name, value = next(line for line in lines if "\r" in "".join(line) or "\n" in "".join(line))
        msg = f"a line end in {name}: {value[:80]!r}"
        raise ValueError(msg)

    @staticmethod
    def _missing(name: str) -> str:
        msg = f"Missing {name}"
        raise HeaderError(msg)


class Request(Message):
    """A request: method and Request-URI as written, and what every message has."""

    __slots__ = ("method", "uri")

    def __init__(
        self,
        method: str,
        uri: str,
        headers: list[tuple[str, str]],
        body: bytes = b"",
        *,
        version: str = "SIP/2.0",
        raw: bytes | None = None,
    ) -> None:
        """Keep the parts. ``headers`` belongs to the message from now on; see ``build.build_request`` for lengths."""
        Message.__init__(self, version, headers, body, raw)
        self.method = method
        self.uri = uri

    @property
    def start_line(self) -> str:
        """The Request-Line (RFC 3261 §7.1)."""
        return f"{self.method} {self.uri} {self.version}"

    @property
    def answerable(self) -> bool:
        """Whether a response can be due at all: nothing answers an ACK, nor a request without any Via (RFC 3261 §8.2.6.2)."""
        return self.method != "ACK" and any(self.all("via"))

    def applies(self, name: str) -> bool:
        """Whether a header, by its canonical name, means something in this request (RFC 3261 §20, tables 2 and 3)."""
        return applies(name, self.method)

    def _needs(self, name: str) -> bool:
        return name in needed(self.method, outside=self.to_tag is None).headers


class Response(Message):
    """A response: status 100..699 and reason phrase, and what every message has."""

    __slots__ = ("reason", "status")

    def __init__(
        self,
        status: int,
        reason: str,
        headers: list[tuple[str, str]],
        body: bytes = b"",
        *,
        version: str = "SIP/2.0",
        raw: bytes | None = None,
    ) -> None:
        """Keep the parts. ``headers`` belongs to the message from now on; see ``build.build_response``."""
        Message.__init__(self, version, headers, body, raw)
        self.status = status
        self.reason = reason

    @property
    def start_line(self) -> str:
        """The Status-Line (RFC 3261 §7.2)."""
        return f"{self.version} {self.status} {self.reason}"

    def applies(self, name: str) -> bool:
        """Whether a header, by its canonical name, means something in this response (RFC 3261 §20, tables 2 and 3)."""
        return applies(name, self.cseq.method, self.status)

    def _needs(self, name: str) -> bool:  # noqa: ARG002
        return False


def read_contact(value: str) -> NameAddr:
    """Read one Contact value; ``*`` counts. Raises MessageError, also for a sip or sips URI that is malformed."""
    if value == "*":
        return NameAddr("", "*", {})
    found = parse_name_addr(value, "Contact")
    if found.uri[:3].lower() == "sip":
        parse_uri(found.uri)
    return found


def _readable(value: str) -> bool:
    try:
        read_contact(value)
    except MessageError:
        return False
    return True


