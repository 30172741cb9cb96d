"""Pure documents and pure rules: no I/O, no clock, no vendor package.

Roles exchange nothing else: what one role writes to the store or the broker, another reads back as these types.
"""
