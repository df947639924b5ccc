"""How many threads a fit or a prediction may use."""

import os

from joblib import cpu_count, effective_n_jobs

from skcnn.kernels import max_threads
from skcnn.validation import check_n_jobs

_forked = False


def _after_fork_in_child():
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def count_threads(n_jobs):
    """The number of threads that `n_jobs` stands for here and now.

    Parameters
    ----------
    n_jobs : int or None
        As everywhere in scikit-learn: None is 1, or what joblib.parallel_config says; -1 is all processors.

    Returns
    -------
    n_threads : int
        At most what OpenMP may use: OMP_NUM_THREADS, threadpoolctl and joblib's workers limit that. Always 1 in a
        forked child, for OpenMP's threads do not survive a fork and a child would wait for them for ever.

    Raises
    ------
    TypeError, ValueError
        If `n_jobs` is no such number.
    """
    check_n_jobs(n_jobs)
    if _forked:
        return 1
    if n_jobs is None:
        n_jobs = effective_n_jobs(None)
    elif n_jobs < 0:
        n_jobs = cpu_count() + 1 + n_jobs
    return max(1, min(n_jobs, max_threads()))
