"""Work on a Dask cluster: tasks of one fit, waiting for them, and errors that say which data was at fault."""

import warnings
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, count, islice
from time import monotonic
from uuid import uuid4
from weakref import WeakSet

import dask.array as da
import numpy as np
from dask.core import flatten
from dask.layers import ArrayBlockIdDep
from distributed import get_worker, wait, worker_client
from distributed.client import default_client
from distributed.scheduler import KilledWorker
from joblib import cpu_count

from skcnn.notices import warn

# Seconds after which a warning says that there are no workers.
_PATIENCE = 30.0

# Seconds between looks at what has failed.
_CHECK = 1.0

# Results that one task merges.
FAN_IN = 16


@contextmanager
def open_client(client):
    """The client to use: the given one; within a task, that of its worker; or the default one."""
    if client is None and _is_task():
        # The task gives up its place, so that others, for which it will wait, can use it.
        with worker_client() as client:
            yield client
    else:
        yield find_client(client)


def _is_task():
    try:
        get_worker()
    except ValueError:
        return False
    return True


def find_client(client):
    """The given client or the default one.

    Raises
    ------
    ValueError
        If there is none.
    """
    if client is not None:
        return client
    try:
        return default_client()
    except ValueError as error:
        raise ValueError(
            "DaskConvSigmoidClassifier needs a cluster: start a client, as with `client = distributed.Client()`, or "
            "pass one as `client`."
        ) from error


def is_asynchronous(client):
    """Whether the client, or the default one, is called from within its own event loop, which must not wait."""
    try:
        return bool((client or default_client()).asynchronous)
    except ValueError:
        return False


@dataclass(frozen=True)
class Threads:
    """The number of threads of a task: `n_jobs` or, if it is None, its part of the worker's threads."""

    n_jobs: int | None
    n_sharing: int  # tasks of one kind that a worker has at a time

    def here(self):
        """The number for a task on this worker, whatever OMP_NUM_THREADS, which Dask sets to 1 for its workers."""
        if self.n_jobs is None:
            return max(1, get_worker().state.nthreads // self.n_sharing)
        return self.n_jobs if self.n_jobs > 0 else max(1, cpu_count() + 1 + self.n_jobs)


class Cluster:
    """The tasks of one fit. When it is closed nothing of them is left on the cluster.

    Parameters
    ----------
    client : distributed.Client
    n_jobs : int or None
        Threads of each task.
    """

    def __init__(self, client, n_jobs=None):
        self.client = client
        self.n_jobs = n_jobs
        self.token = uuid4().hex
        self.n_calls = 0
        self.futures = WeakSet()
        self.warned = False  # that there are no workers

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        self.forget(self.futures)

    # ---- tasks ----

    def map(self, name, function, /, *iterables, **keywords):
        """Futures of a function's values, one for each element of the iterables."""
        keys = self.keys(name, len(iterables[0]))
        return self._noted(self.client.map(function, *iterables, key=keys, pure=False, **keywords))

    def submit(self, name, function, *arguments, workers=None):
        """Future of a function's value; `workers` are where it should run rather than elsewhere."""
        placed = {"workers": workers, "allow_other_workers": True} if workers else {}
        future = self.client.submit(function, *arguments, key=self.keys(name, 1)[0], pure=False, **placed)
        return self._noted([future])[0]

    def put(self, name, values):
        """Futures of values, which are part of the graph, so that a worker's loss does not lose them."""
        with warnings.catch_warnings():  # the parameters of a large network have to be sent
            warnings.filterwarnings("ignore", "Sending large graph")
            return self.map(name, identity, values)

    def map_blocks(self, name, function, *arrays, **keywords):
        """As `map`, of the number of each chunk and the blocks of dask arrays with it, or None, in one graph."""
        axes = count(1)
        pairs = [(ArrayBlockIdDep((arrays[0].chunks[0],)), (0,))]
        for array in arrays:  # all have the first axis; none is summed over
            pairs.append((array, None if array is None else (0, *islice(axes, array.ndim - 1))))
        out = tuple(range(next(axes)))
        results = da.blockwise(
            call_on_chunk,
            out,
            *chain.from_iterable(pairs),
            function=function,
            **keywords,
            name=self.new_name(name),
            align_arrays=False,
            dtype=object,
            meta=np.empty((0,) * len(out), object),
        )
        futures = dict(self.client.persist(results).dask)
        return self._noted([futures[key] for key in flatten(results.__dask_keys__())])

    def new_name(self, name):
        """An unused name for tasks, of which the dashboard shows the first part."""
        self.n_calls += 1
        return f"skcnn-{name}-{self.token}-{self.n_calls}"

    def keys(self, name, n):
        """Unused keys of `n` tasks."""
        name = self.new_name(name)
        return [(name, i) for i in range(n)]

    def merge(self, name, function, futures):
        """At most `FAN_IN` futures, of a function of the values of as many each, as often as it takes."""
        while len(futures) > FAN_IN:
            futures = self.map(name, function, [futures[i : i + FAN_IN] for i in range(0, len(futures), FAN_IN)])
        return futures

    def _noted(self, futures):
        self.futures.update(futures)
        return futures

    def forget(self, futures):
        """Release futures: tasks that have not begun are dropped.

        Not by `Client.cancel`, in which distributed 2026.8 fails for tasks that others depend on.
        """
        for future in list(futures):
            future.release()
            self.futures.discard(future)

    # ---- results ----

    def wait(self, futures):
        """Wait until all futures are done, or one has failed. A warning says if there are no workers."""
        seen = monotonic()  # a worker
        while not all(future.done() for future in futures):
            if any(future.status == "error" for future in futures):
                return
            try:
                with self.client.as_current():  # `wait` takes that of the futures for granted
                    wait(futures, timeout=min(_CHECK, _PATIENCE))
            except TimeoutError:
                if self.client.nthreads():
                    seen = monotonic()
                elif monotonic() - seen > _PATIENCE:
                    self._warn_without_workers()

    def results(self, futures):
        """The values of futures."""
        self.wait(futures)
        for future in futures:
            if future.status == "error":
                future.result()  # raises
        return self.client.gather(futures)

    def results_of_chunks(self, futures, name, numbers=None, *, wanted=True):
        """The values of futures of all chunks, or those of these numbers; `name` is the data's.

        Errors name the chunks that failed. Unless they are `wanted`, values remain on the cluster.
        """
        self.wait(futures)
        numbered = enumerate(futures) if numbers is None else zip(numbers, futures, strict=True)
        failed = {number: future.exception() for number, future in numbered if future.status == "error"}
        if failed:
            number, error = next(iter(failed.items()))
            if isinstance(error, KilledWorker):  # a worker's other tasks may be blamed as well
                number = " or ".join(map(str, failed))
            raise_explained(error, f"Chunk {number} of {name}")
        return self.results(futures) if wanted else None

    def attempt(self, function, again=None):
        """A function's value. If the cluster is restarted meanwhile, it runs once more, after `again`.

        Raises
        ------
        RuntimeError
            If that fails as well.
        """
        try:
            return function()
        except CancelledError:
            try:
                if again is not None:
                    again()
                return function()
            except CancelledError as error:
                raise RuntimeError(
                    "The cluster was restarted, and again while data was loaded anew; or what was persisted there of "
                    "X, y or other data is lost: persist it again and repeat the fit, or pass collections that were "
                    "not persisted, which are loaded again."
                ) from error

    def _warn_without_workers(self):
        if not self.warned:
            self.warned = True
            warn(f"The cluster has had no workers for {_PATIENCE:g} seconds; skcnn waits for one.")

    def workers(self):
        """Addresses of the workers, of which there is at least one."""
        while not (workers := self.client.nthreads()):
            try:
                self.client.wait_for_workers(1, timeout=_PATIENCE)
            except TimeoutError:
                self._warn_without_workers()
        return sorted(workers)

    def threads(self, n_tasks):
        """The `Threads` of each of several tasks at once."""
        return Threads(self.n_jobs, -(-n_tasks // len(self.workers())))


# ---- tasks ----


def identity(value):
    return value


def call_on_chunk(number, *blocks, function, **keywords):
    """A function's value for the number of a chunk, as the only entry of a tuple, and its blocks."""
    return function(number[0], *blocks, **keywords)


def raise_explained(error, what):
    """Raise a task's error so that it says what data the task had: `what`.

    Errors that this package raises of a chunk say so themselves.
    """
    if isinstance(error, KilledWorker):
        raise RuntimeError(
            f"{what} killed {error.allowed_failures + 1} workers one after the other, for lack of memory perhaps: see "
            "the workers' logs."
        ) from error
    if isinstance(error, ValueError | TypeError | RuntimeError) and str(error).startswith("Chunk "):
        raise error
    raise RuntimeError(f"{what} could not be computed: {error!r}") from error
