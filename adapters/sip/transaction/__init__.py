"""Transactions as the tables in ``tables/transaction`` run them: matching, sending, trying the next address."""

from calltable.adapters.sip.transaction.account import Account
from calltable.adapters.sip.transaction.client import ClientTransaction
from calltable.adapters.sip.transaction.failover import Failover, only_here
from calltable.adapters.sip.transaction.keys import ack_key, merge_key, names, server_key
from calltable.adapters.sip.transaction.layer import Transactions
from calltable.adapters.sip.transaction.outgoing import Outgoing, Sent
from calltable.adapters.sip.transaction.sender import (
    Destination,
    Locator,
    Sender,
    Traced,
    seeded_tokens,
    unguessable_tokens,
)
from calltable.adapters.sip.transaction.server import ServerTransaction

__all__ = [
    "Account",
    "ClientTransaction",
    "Destination",
    "Failover",
    "Locator",
    "Outgoing",
    "Sender",
    "Sent",
    "ServerTransaction",
    "Traced",
    "Transactions",
    "ack_key",
    "merge_key",
    "names",
    "only_here",
    "seeded_tokens",
    "server_key",
    "unguessable_tokens",
]
