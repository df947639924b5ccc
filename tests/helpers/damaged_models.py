"""Model files of all formats, random damage to their bytes, and the use of what they then hold."""

import io
import pickle
import warnings
import zipfile
from collections import namedtuple

import joblib
import numpy as np
import skops.io

from skcnn import ConvSigmoidClassifier

Format = namedtuple("Format", "write read is_pickle")


def dump_joblib(clf):
    file = io.BytesIO()
    joblib.dump(clf, file)
    return file.getvalue()


def load_skops(data):
    return skops.io.loads(data, trusted=["skcnn.classifier.ConvSigmoidClassifier"])


FORMATS = {
    "pickle": Format(pickle.dumps, pickle.loads, True),
    "old pickle": Format(lambda clf: pickle.dumps(clf, protocol=2), pickle.loads, True),
    "joblib": Format(dump_joblib, lambda data: joblib.load(io.BytesIO(data)), True),
    "skops": Format(skops.io.dumps, load_skops, False),
}


def fitted():
    """A fitted estimator and its training data."""
    rng = np.random.RandomState(0)
    X, y = rng.rand(30, 30), np.arange(30) % 3
    network = {"n_filters": (2, 3), "kernel_size": 2, "batch_norm": True, "image_shape": (6, 5)}
    training = {"max_iter": 3, "tol": 1e9, "n_iter_no_change": 1, "warm_start": True, "average": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # little is learnt
        return ConvSigmoidClassifier(**network, **training, random_state=0).fit(X, y), X, y


def cases_of(form, clf, group, number):
    """Damaged files; half of a zip archive's have right checksums."""
    rng, data = np.random.default_rng([group, list(FORMATS).index(form)]), FORMATS[form].write(clf)
    for i in range(number):
        yield with_damage(data, rng) if FORMATS[form].is_pickle or i % 2 else with_damaged_member(data, rng)


def with_damage(data, rng):
    """Bytes with some flipped, cut off, doubled or overwritten by others of the same file."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at, length = int(rng.integers(len(data))), int(rng.integers(1, 9))
        match rng.integers(6):
            case 0 | 1:
                data[at] ^= 1 << int(rng.integers(8))
            case 2:
                data[at : at + length] = rng.bytes(length)
            case 3:
                data = data[: max(1, at)]
            case 4:
                data[at:at] = data[at : at + length]
            case 5:
                other = int(rng.integers(len(data)))
                data[at : at + length] = data[other : other + length]
    return bytes(data)


def with_damaged_member(data, rng, damage=with_damage):
    """A zip archive in which one file is damaged, as somebody would do it on purpose: its checksum is right."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(written, "w") as copy:
        names = archive.namelist()
        damaged = names[int(rng.integers(len(names)))]
        for name in names:
            content = archive.read(name)
            copy.writestr(name, damage(content, rng) if name == damaged else content)
    return written.getvalue()


def use(read, data, X, y, expected):
    """Whether a model is loaded; one that is predicts the expected probabilities and trains, or says why not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            clf = read(data)
        except Exception:  # pickle's machine raises errors of all kinds
            return False
        if type(clf) is not ConvSigmoidClassifier or not hasattr(clf, "classes_"):
            return False
        try:
            np.testing.assert_array_equal(clf.predict_proba(X), expected)
            clf.partial_fit(X, y)
        except (ValueError, TypeError):
            pass
    return True
