"""The explorer: the compiled tables against each other, in every order that is possible within bounds.

Read it in this order:

- ``element``: one element as a pure transducer; local state and input in, local state and messages out;
- ``legs`` and ``transactions``: what the adapters mean, boiled down to what a table can notice;
- ``system``: elements joined by channels, with budgets for everything that could go on for ever;
- ``compositions``: which elements are joined to which, within which bounds: data;
- ``properties`` and ``stated``: what must hold, built in and stated by users;
- ``search``: every state, breadth first; ``explorer``: all of it together;
- ``mutate``: how much of what one can break is noticed.

It says what it did: «exhaustive within these bounds», never «proved».
"""
