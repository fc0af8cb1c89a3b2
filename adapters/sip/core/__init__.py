"""The SIP stack: datagrams in and out, screening, legs and what passes between them.

The top of the SIP rooms: it joins messages, transports, transactions and dialogs, and is what the engine's tables act through.
"""
