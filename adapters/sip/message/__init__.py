"""SIP messages: bytes to values and back, without any I/O and without knowing who one is.

``parse.py`` finds the structure, ``message.py`` is what comes of it: lazy and lossless. Single values are read in
``headers.py`` and ``uri.py``, under the names of ``names.py``. ``validate.py`` says what is wrong with a message, by the table in
``applicable.py`` of which field means something where. ``build.py`` writes messages, ``status.py`` has their reason phrases,
``body.py`` what an application supplies itself.

A field that code is to read gets a row in ``applicable.py`` and a view in ``message.py``.
"""

from calltable.adapters.sip.message.body import SDP, Content, has_offer
from calltable.adapters.sip.message.build import build_ack, build_cancel, build_response, note_source, reasons
from calltable.adapters.sip.message.errors import MessageError, UriError
from calltable.adapters.sip.message.headers import (
    BRANCH_COOKIE,
    NameAddr,
    Via,
    forget_addresses,
    format_params,
    number,
    option_tags,
    parse_name_addr,
    parse_via,
    printable,
    quote_string,
    split_list,
    split_params,
)
from calltable.adapters.sip.message.message import MAX_HEAD, Message, Request, Response
from calltable.adapters.sip.message.methods import (
    KNOWN_METHODS,
    METHODS,
    PASSED_ON,
    TARGET_REFRESH,
    WITH_CONTACT,
    WITHIN,
)
from calltable.adapters.sip.message.names import canonical, canonical_names, display_name
from calltable.adapters.sip.message.parse import AnswerableError, parse
from calltable.adapters.sip.message.redact import mask, visible
from calltable.adapters.sip.message.status import PROVISIONAL, REASONS, SUCCESS
from calltable.adapters.sip.message.uri import Uri, escape_param, forget_uris, host_port, parse_uri, unescape
from calltable.adapters.sip.message.validate import SINGLE_HEADERS, Rejection, check

__all__ = [
    "BRANCH_COOKIE",
    "KNOWN_METHODS",
    "MAX_HEAD",
    "METHODS",
    "PASSED_ON",
    "PROVISIONAL",
    "REASONS",
    "SDP",
    "SINGLE_HEADERS",
    "SUCCESS",
    "TARGET_REFRESH",
    "WITHIN",
    "WITH_CONTACT",
    "AnswerableError",
    "Content",
    "Message",
    "MessageError",
    "NameAddr",
    "Rejection",
    "Request",
    "Response",
    "Uri",
    "UriError",
    "Via",
    "build_ack",
    "build_cancel",
    "build_response",
    "canonical",
    "canonical_names",
    "check",
    "display_name",
    "escape_param",
    "forget_addresses",
    "forget_uris",
    "format_params",
    "has_offer",
    "host_port",
    "mask",
    "note_source",
    "number",
    "option_tags",
    "parse",
    "parse_name_addr",
    "parse_uri",
    "parse_via",
    "printable",
    "quote_string",
    "reasons",
    "split_list",
    "split_params",
    "unescape",
    "visible",
]
