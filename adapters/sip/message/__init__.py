"""SIP messages: bytes to values and back, without any I/O and without knowing who one is.

``parse.py`` finds the structure, ``message.py`` is what comes of it: lazy and lossless. Single values are read in
``headers.py`` and ``uri.py``, under the names of ``names.py``. ``validate.py`` says what is wrong with a message, by the table in
``applicable.py`` of which field means something where. ``build.py`` writes messages, ``status.py`` has their reason phrases,
``body.py`` what an application supplies itself.

A field that code is to read gets a row in ``applicable.py`` and a view in ``message.py``.
"""
