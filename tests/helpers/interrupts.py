"""Ctrl-C at a chosen line."""

import sys


def interrupt_at(number, *files):
    """A trace function that raises KeyboardInterrupt at the event of this number in source files of these names."""
    n_events, before = 0, sys.gettrace()

    def trace(frame, event, arg):
        nonlocal n_events
        if frame.f_code.co_filename.endswith(files):
            n_events += 1
            if n_events > number:
                sys.settrace(before)
                raise KeyboardInterrupt
        return trace

    return trace
