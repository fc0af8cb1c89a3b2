"""SIP: messages, transports, transactions, dialogs (RFC 3261).

Bytes become messages in :mod:`~calltable.adapters.sip.message.message` (streams are cut up by
:mod:`~calltable.adapters.sip.transport.framing` first); :mod:`~calltable.adapters.sip.message.validate` says what is wrong with
one; :mod:`~calltable.adapters.sip.message.headers` and :mod:`~calltable.adapters.sip.message.uri` read single values.
"""
