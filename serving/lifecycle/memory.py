"""Memory that loading a version took for a moment."""

import ctypes


def give_back_unused() -> None:
    """Hand freed memory back to the system: loading a version leaves a hundred megabytes behind, which malloc keeps.

    By glibc's malloc_trim(3); does nothing with another C library.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
