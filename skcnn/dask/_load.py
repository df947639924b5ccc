"""Shards on the cluster: loaded before training, and again after a restart."""

from functools import partial

from skcnn.dask._chunks import join_pieces, lazy_chunks
from skcnn.dask._shards import MemoryShard, StreamShard, count_rows, make_holdout, make_shard, survey, survey_chunk

# Chunks that show the scale of pixels which are not kept in memory.
_SHOWN = 16

# Tasks that have no part of the data.
_WITHOUT_DATA = tuple(f"skcnn-{name}-" for name in ("base", "merge-round", "next-base", "parameters"))


class MemoryShards:
    """Shards in the workers' memory. They are made of the collections, so that any worker can make them again.

    Parameters
    ----------
    cluster : Cluster
    chunks : Chunks
    reader : Reader
    parts : list of list of Piece
        The pieces of each shard.
    mixed : bool
        Whether the samples of a chunk are in random order before it is cut.

    Attributes
    ----------
    futures : list of distributed.Future
        The shards, once they are loaded.
    """

    def __init__(self, cluster, chunks, reader, parts, *, mixed):
        self.cluster = cluster
        self.chunks = chunks
        self.reader = reader
        self.parts = parts
        self.mixed = mixed
        self.samples = []  # futures, from the survey until shards are made of them
        self.futures = []
        self._make_again = None

    def survey(self):
        """Read the chunks and return what `skcnn.dask._shards.survey` says of each shard's samples."""
        cluster = self.cluster
        reads = cluster.map_blocks("read-chunk", self.reader.read, *self.chunks.arrays)
        workers = cluster.workers()
        # Evenly to begin with; work may move.
        self.samples = [
            cluster.submit(
                "join-chunks",
                join_pieces,
                [reads[piece.chunk] for piece in part],
                part,
                self.mixed,
                workers=[workers[i % len(workers)]],
            )
            for i, part in enumerate(self.parts)
        ]
        surveys = cluster.map("survey", survey, self.samples)
        cluster.results_of_chunks(reads, self.reader.names[0], wanted=False)
        return cluster.results(surveys)

    def make(self, recipe, split_seed=None):
        """Make shards to train on of the samples that the survey has read; with a seed, a part is held out."""
        seeds = [None if split_seed is None else split_seed + i for i in range(len(self.parts))]
        self._make_again = partial(MemoryShards.make, recipe=recipe, split_seed=split_seed)  # no cycle
        self._finish(self.cluster.map("make-shard", make_shard, self.samples, seeds, recipe=recipe))

    def make_holdout(self, recipe):
        """As `make`, of a validation set."""
        self._make_again = partial(MemoryShards.make_holdout, recipe=recipe)
        names = self.reader.names
        self._finish(self.cluster.map("make-shard", make_holdout, self.samples, recipe=recipe, names=names))

    def _finish(self, futures):
        self.futures = futures
        self.samples = []

    def load(self):
        """Make the shards again."""
        self.survey()
        self._make_again(self)

    def count_rows(self):
        """Samples to train on of each shard, their summed weight, and that of the held-out samples, or None."""
        return self.cluster.results(self.cluster.map("count-rows", count_rows, self.futures))

    def describe(self, key):
        """What data the task of this key had, for errors."""
        return _describe(self.cluster, key, self.parts, self.reader.names[0])


class StreamShards:
    """Shards of which only a description is on the cluster: tasks read their chunks, one at a time.

    Parameters and attributes are as in MemoryShards.
    """

    def __init__(self, cluster, chunks, reader, parts, *, mixed):
        self.cluster = cluster
        self.reader = reader
        self.parts = parts
        self.mixed = mixed
        self.lazy = lazy_chunks(chunks, reader)
        self.futures = []

    def survey(self):
        """As in MemoryShards, of some of the chunks."""
        numbers = sorted({piece.chunk for part in self.parts for piece in part})
        some = numbers[:: -(-len(numbers) // _SHOWN)]
        futures = self.cluster.map("survey", survey_chunk, [self.lazy[number] for number in some])
        return self.cluster.results_of_chunks(futures, self.reader.names[0], some)

    def make(self, recipe, split_seed=None):
        pieces = [tuple((self.lazy[piece.chunk], piece) for piece in part) for part in self.parts]
        self.shards = [StreamShard(of_part, recipe, self.mixed) for of_part in pieces]
        self.load()

    make_holdout = make

    def load(self):
        self.futures = self.cluster.put("shard", self.shards)

    def count_rows(self):
        """As in MemoryShards, without weights, which are not known before all is read."""
        return [(sum(piece.stop - piece.start for piece in part), None, None) for part in self.parts]

    def describe(self, key):
        """What data the task of this key had, for errors."""
        return _describe(self.cluster, key, self.parts, self.reader.names[0])


class GivenHoldout:
    """The validation set that the caller passed as arrays, as a shard."""

    def __init__(self, cluster, holdout):
        self.cluster = cluster
        self.holdout = holdout
        self.load()

    def load(self):
        self.futures = self.cluster.put("validation-set", [MemoryShard(None, self.holdout)])

    def describe(self, key):
        """As in MemoryShards."""
        return f"A task ({key!r}) with the validation set"


def _describe(cluster, key, parts, name):
    is_own = isinstance(key, tuple) and len(key) == 2 and cluster.token in str(key[0])
    if is_own and str(key[0]).startswith(_WITHOUT_DATA):
        return f"A task ({key!r}) without data"
    if is_own and key[1] < len(parts):
        parts = [parts[key[1]]]  # tasks over shards are numbered like these
    chunks = sorted({piece.chunk for part in parts for piece in part})
    listed = ", ".join(map(str, chunks[:10])) + (" and others" if len(chunks) > 10 else "")
    return f"A task ({key!r}) with chunk{'s' if len(chunks) > 1 else ''} {listed} of {name}"
