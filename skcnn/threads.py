"""The number of threads that a fit or a prediction may use."""

import os

from joblib import cpu_count, effective_n_jobs

from skcnn.kernels import end_threads, max_threads
from skcnn.validation import check_n_jobs

_ended = False  # whether OpenMP's threads have been ended for a fork in progress
_used_threads = False  # whether any fit or prediction was granted more than one thread
_lost_threads = False  # whether OpenMP may wait forever for threads of the parent, which do not survive a fork


def _before_fork():
    """End OpenMP's threads, so that the child does not wait for them; the parent starts new ones when needed."""
    global _ended
    _ended = end_threads()


def _after_fork_in_parent():
    global _ended
    _ended = False


def _after_fork_in_child():
    global _ended, _lost_threads
    _lost_threads = _lost_threads or (_used_threads and not _ended)
    _ended = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


def count_threads(n_jobs):
    """The number of threads that `n_jobs` means at present.

    Parameters
    ----------
    n_jobs : int or None
        As in scikit-learn: None is 1, or what joblib.parallel_config says; -1 is all processors.

    Returns
    -------
    n_threads : int
        At most OpenMP's limit, which OMP_NUM_THREADS, threadpoolctl and joblib's workers may lower. Always 1 in a child
        that was forked after threads were in use, if OpenMP could not end them before: it would wait forever.

    Raises
    ------
    TypeError, ValueError
        If `n_jobs` is not such a number.
    """
    check_n_jobs(n_jobs)
    if _lost_threads:
        return 1
    if n_jobs is None:
        n_jobs = effective_n_jobs(None)
    elif n_jobs < 0:
        n_jobs = cpu_count() + 1 + n_jobs
    global _used_threads
    n_threads = max(1, min(n_jobs, max_threads()))
    _used_threads = _used_threads or n_threads > 1
    return n_threads
