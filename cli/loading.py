"""Loads the application without garbage collections: all that is loaded stays, and nothing of it is garbage.

Collections meanwhile take a sixth of a command's time. Later ones would walk through all of it as well, and in a
worker, which is forked, copy each page that they write into. To be imported ahead of all else; `done` is called after
the last import.
"""

import gc

_was_enabled = gc.isenabled()
gc.disable()


def done() -> None:
    """Have collections again, and keep what is loaded by now out of them."""
    gc.freeze()
    if _was_enabled:
        gc.enable()
