"""Calls of SIPp written step by step: a scenario is a chain of sends and receives, so a test shows both sides together.

``Scenario`` writes SIPp's XML. Requests inside a dialog follow the Contact and the route set that the peer gave, as a
correct user agent does and as SIPp's own scenarios do not; every request has a branch of its own but for CANCEL and
the ACK to a failure, which take the INVITE's (RFC 3261 §9.1, §17.1.1.3). A message that a scenario does not expect
fails the call, and with it the test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self
from xml.sax.saxutils import quoteattr

if TYPE_CHECKING:
    from collections.abc import Iterable

REASONS = {
    100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 302: "Moved Temporarily", 404: "Not Found",
    480: "Temporarily Unavailable", 486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here",
    491: "Request Pending", 500: "Server Internal Error", 501: "Not Implemented", 503: "Service Unavailable",
    600: "Busy Everywhere", 603: "Decline",
}  # fmt: skip
VARIABLES = ("target", "remote", "local", "from", "to", "via", "cseq", "seen")
ALICE = "<sip:alice@[local_ip]:[local_port]>"
BOB = "<sip:{service}@[remote_ip]:[remote_port]>"


def sdp(direction: str = "") -> str:
    """A session description, with ``a=<direction>`` where one is given."""
    return (
        "v=0\no=- 53655765 2353687637 IN IP[local_ip_type] [media_ip]\ns=-\nc=IN IP[media_ip_type] [media_ip]\nt=0 0\n"
        "m=audio [media_port] RTP/AVP 0\na=rtpmap:0 PCMU/8000\n"
    ) + (f"a={direction}\n" if direction else "")


class Scenario:
    """The steps of one side of a call; each method adds one and gives the scenario back."""

    user = ""

    def __init__(self, *, service: str = "bob", t1: int = 500) -> None:
        """``t1``: milliseconds until the first repetition; SIPp's option ``-T2`` says where doubling them ends."""
        self.service = service
        self.t1 = t1
        self.steps: list[str] = []
        self.cseq = 0

    # -- asking
    def request(self, method: str, *headers: str, body: str = "") -> Self:
        """Send a request inside the dialog."""
        self.cseq += 1
        return self._send(self._inside(method, self.cseq, f"{method}{self.cseq}", headers), body, repeat=True)

    def reinvite(self, body: str | None = None) -> Self:
        """Send a re-INVITE; ``body`` None is an offer, "" none."""
        return self.request("INVITE", body=sdp() if body is None else body)

    def bye(self, *headers: str) -> Self:
        return self.request("BYE", *headers)

    def ack(self, body: str = "", *, cseq: int | None = None) -> Self:
        """Send the ACK to a 2xx: a transaction of its own."""
        number = self.cseq if cseq is None else cseq
        return self._send(self._inside("ACK", number, f"ACK{number}", ()), body)

    def ack_failure(self) -> Self:
        """Send the ACK to a 3xx-6xx of the re-INVITE sent last."""
        return self._send(self._inside("ACK", self.cseq, f"INVITE{self.cseq}", ()), "")

    # -- answering
    def respond(self, code: int, *headers: str, body: str = "", to: str = "") -> Self:
        """Answer the request that came last, or the INVITE that came last where ``to`` says so."""
        if to:
            lines = ["Via: [$via]", "From: [$from]", f"To: [$to]{self._tag(to)}", "Call-ID: [call_id]", "CSeq: [$cseq]"]
        else:
            lines = ["[last_Via:]", "[last_Record-Route:]", "[last_From:]", f"[last_To:]{self._tag()}", "[last_Call-ID:]", "[last_CSeq:]"]
        if code < 300:
            lines.append(self._contact())
        to_invite = "INVITE" in (to, self._received())
        return self._send([f"SIP/2.0 {code} {REASONS.get(code, 'Because')}", *lines, *headers], body, repeat=code >= 200 and to_invite)

    def respond_to_bye(self) -> Self:
        """Answer the BYE that came before the response that came last."""
        return self.respond(200, to="BYE")

    def safely(self) -> Self:
        """What was sent last is never among the lost."""
        self.steps[-1] = self.steps[-1].replace("<send", '<send lost="0"', 1)
        return self

    def of(self, transaction: str) -> Self:
        """The request sent last, or the response waited for last, belongs to this transaction: a name.

        Its branch then tells whether a response is meant, and SIPp acknowledges a repeated final response to an INVITE by
        itself, also later on. Without it SIPp takes a response whose CSeq names any method that the scenario has sent so
        far: a repeated 200 to the INVITE for the one to the BYE.
        """
        step = self.steps[-1]
        tag = step[:5]
        kind = "response_txn" if tag == "<recv" else "ack_txn" if "\nACK " in step else "start_txn"
        self.steps[-1] = step.replace(tag, f'{tag} {kind}="{transaction}"', 1)
        return self

    def answer(self, direction: str = "", *, to: str = "") -> Self:
        """Answer the INVITE with 200 and a session description."""
        return self.respond(200, body=sdp(direction), to=to)

    # -- waiting
    def recv(self, what: int | str, *, optional: bool = False) -> Self:
        """Wait for a response (its code) or a request (its method)."""
        attributes = f'{"response" if isinstance(what, int) else "request"}="{what}"'
        attributes += ' optional="true"' if optional else ""
        taken = list(self._taken(what))
        attributes += ' rrs="true"' if taken else ""
        if what in ("INVITE", "BYE"):
            taken += [("From:", "from"), ("To:", "to"), ("Via:", "via"), ("CSeq:", "cseq")]
        actions = "".join(
            f'<ereg regexp={quoteattr("sips?:[^> ]*" if header == "Contact:" else ".*")} search_in="hdr" header="{header}" assign_to="{name}"/>'
            for header, name in taken
        )
        self.steps.append(f"<recv {attributes}><action>{actions}</action></recv>" if actions else f"<recv {attributes}></recv>")
        return self

    def anytime(self, method: str) -> Self:
        """From here on take this request at any time, and do nothing about it but stop repeating what it answers.

        A step to wait for must follow before the next one that sends.
        """
        self.steps.append(f'<recv optional="global" advance_state="false" request="{method}"></recv>')
        return self

    def check(self, regexp: str, header: str = "", *, absent: bool = False) -> Self:
        """The message that came last has (or lacks) this: in a header field, or anywhere where none is named."""
        where = f'search_in="hdr" header="{header}:"' if header else 'search_in="msg"'
        test = "check_it_inverse" if absent else "check_it"
        action = f'<ereg regexp={quoteattr(regexp)} {where} {test}="true" assign_to="seen"/>'
        step = self.steps.pop().removesuffix("</recv>")
        step = step.removesuffix("</action>") + action if step.endswith("</action>") else f"{step}<action>{action}"
        self.steps.append(f"{step}</action></recv>")
        return self

    def pause(self, milliseconds: int) -> Self:
        self.steps.append(f'<pause milliseconds="{milliseconds}"/>')
        return self

    def linger(self, milliseconds: int = 300) -> Self:
        """Stay to answer repetitions, and to fail on what comes unasked."""
        self.steps.append(f'<timewait milliseconds="{milliseconds}"/>')
        return self

    def xml(self) -> str:
        """The scenario as SIPp reads it."""
        steps = "\n".join(self.steps)
        used = ",".join(name for name in VARIABLES if f'assign_to="{name}"' in steps)
        # SIPp refuses a variable that is set and never read, unless it is named here
        reference = f'<Reference variables="{used}"/>\n' if used else ""
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="{self.user}">\n{steps}\n{reference}</scenario>\n'

    # -- what the sides differ in
    def _taken(self, what: int | str) -> Iterable[tuple[str, str]]:
        """Header fields of a received message that the dialog is made from."""
        raise NotImplementedError

    def _ends(self) -> list[str]:
        raise NotImplementedError

    def _tag(self, to: str = "") -> str:
        return ""

    # -- pieces
    def _contact(self) -> str:
        return f"Contact: <sip:{self.user}@[local_ip]:[local_port];transport=[transport]>"

    @staticmethod
    def _via(branch: str) -> str:
        return f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK[pid]x[call_number]x{branch}"

    def _inside(self, method: str, number: int, branch: str, headers: Iterable[str]) -> list[str]:
        return [
            f"{method} [$target] SIP/2.0", self._via(branch), "[routes]", *self._ends(), "Call-ID: [call_id]",
            f"CSeq: {number} {method}", self._contact(), "Max-Forwards: 70", *headers,
        ]  # fmt: skip

    def _received(self) -> str:
        """The method of the request that came last."""
        for step in reversed(self.steps):
            if step.startswith('<recv request="'):
                return step.split('"')[1]
        return ""

    def _send(self, lines: list[str], body: str, *, repeat: bool = False) -> Self:
        if body:
            lines = [*lines, f"Content-Type: {'application/sdp' if body.startswith('v=0') else 'text/plain'}"]
        text = "\n".join([*lines, "Content-Length: [len]", "", body])
        retrans = f' retrans="{self.t1}"' if repeat else ""
        self.steps.append(f"<send{retrans}><![CDATA[\n{text}\n]]></send>")
        return self


class Caller(Scenario):
    """The side that calls; its Call-ID and From tag are new for every call."""

    user = "alice"

    def outside(self, method: str, *headers: str, body: str = "", max_forwards: int = 70) -> Self:
        """Send a request outside any dialog."""
        self.cseq += 1
        to = BOB.format(service=self.service)
        lines = [
            f"{method} {to[1:-1]} SIP/2.0", self._via(f"{method}{self.cseq}"), f"From: Alice {ALICE};tag=alice-[pid]-[call_number]",
            f"To: {to}", "Call-ID: [call_id]", f"CSeq: {self.cseq} {method}", self._contact(), f"Max-Forwards: {max_forwards}", *headers,
        ]  # fmt: skip
        return self._send(lines, body, repeat=True)

    def invite(self, *headers: str, body: str | None = None, max_forwards: int = 70) -> Self:
        """Call; ``body`` None is an offer, "" none."""
        return self.outside("INVITE", *headers, body=sdp() if body is None else body, max_forwards=max_forwards)

    def connect(self) -> Self:
        """A call up to the ACK."""
        return self.invite().recv(100).recv(180, optional=True).recv(183, optional=True).recv(200).ack()

    def cancel(self) -> Self:
        """Send the CANCEL of the call."""
        return self._like_invite("CANCEL", f"To: {BOB.format(service=self.service)}", repeat=True)

    def refused(self, code: int) -> Self:
        """Wait for the failure of the call and acknowledge it."""
        self.recv(code)
        return self.ack_refused()

    def ack_refused(self) -> Self:
        """Send the ACK to the failure of the call."""
        return self._like_invite("ACK", "[last_To:]")

    def _like_invite(self, method: str, to: str, *, repeat: bool = False) -> Self:
        lines = [
            f"{method} {BOB.format(service=self.service)[1:-1]} SIP/2.0", self._via("INVITE1"),
            f"From: Alice {ALICE};tag=alice-[pid]-[call_number]", to, "Call-ID: [call_id]", f"CSeq: 1 {method}", "Max-Forwards: 70",
        ]  # fmt: skip
        return self._send(lines, "", repeat=repeat)

    def _taken(self, what: int | str) -> Iterable[tuple[str, str]]:
        sent = [step for step in self.steps if step.startswith("<send")]
        calling = len(sent) == 1 and "\nINVITE " in sent[0]
        return [("Contact:", "target")] if calling and what in (180, 183, 200) else []

    def _ends(self) -> list[str]:
        return [f"From: Alice {ALICE};tag=alice-[pid]-[call_number]", f"To: {BOB.format(service=self.service)}[peer_tag_param]"]


class Callee(Scenario):
    """The side that is called."""

    user = "bob"

    def accept(self) -> Self:
        """Ring and answer, up to the ACK."""
        return self.recv("INVITE").respond(180).answer().recv("ACK")

    def _taken(self, what: int | str) -> Iterable[tuple[str, str]]:
        first = what == "INVITE" and not any(step.startswith("<recv") for step in self.steps)
        return [("Contact:", "target"), ("From:", "remote"), ("To:", "local")] if first else []

    def _ends(self) -> list[str]:
        return ["From: [$local];tag=bob-[pid]-[call_number]", "To: [$remote]"]

    def _tag(self, to: str = "") -> str:
        """Our tag, where the request has none: the first INVITE, and its CANCEL."""
        got = [step.split('"')[1] for step in self.steps if step.startswith('<recv request="')]
        first = got.count("INVITE") == 1 and (to == "INVITE" or got[-1] in ("INVITE", "CANCEL"))
        return ";tag=bob-[pid]-[call_number]" if first else ""
