"""Training and prediction on a Dask cluster."""

from skcnn.extras import import_extra

for name in ("dask", "distributed"):  # with a message that names the extra
    import_extra(name, "dask")

from skcnn.dask._classifier import DaskConvSigmoidClassifier  # noqa: E402
from skcnn.dask._shuffle import shuffle  # noqa: E402

__all__ = ["DaskConvSigmoidClassifier", "shuffle"]
