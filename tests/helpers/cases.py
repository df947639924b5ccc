"""How many random cases a test tries."""

import os

# .ci/long_run sets it to tens and hundreds.
EFFORT = float(os.environ.get("SKCNN_EFFORT", "1"))


def cases(number):
    """`number` in every run of the tests, and a multiple of it in a long one."""
    return max(1, round(number * EFFORT))
