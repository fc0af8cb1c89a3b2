"""SIP: messages, transports, transactions, dialogs (RFC 3261).

Bytes become messages in :mod:`~calltable.adapters.sip.message` (streams are cut up by
:mod:`~calltable.adapters.sip.framing` first); :mod:`~calltable.adapters.sip.validate` says what is wrong with
one; :mod:`~calltable.adapters.sip.headers` and :mod:`~calltable.adapters.sip.uri` read single values.
"""
