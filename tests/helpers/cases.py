"""How many random cases a test tries."""

import os


def cases(number):
    """`number`, times the environment variable SKCNN_EFFORT; .ci/long_run sets it to tens and hundreds."""
    return max(1, round(number * float(os.environ.get("SKCNN_EFFORT", "1"))))
