"""Damaged or malicious saved models cause an error that names the inconsistency, and nothing else."""

import copy
import pickle
import re
import warnings

import joblib
import numpy as np
import pytest
import skops.io
from numpy.testing import assert_array_equal

from skcnn import ConvSigmoidClassifier
from skcnn.saved import STATE_VERSION, YOUNGER
from tests.helpers.damage import loaded, without_checksum
from tests.helpers.marks import few_steps

STACK = {"n_filters": (3, 4), "padding": "same", "activation": "relu", "standardize": True}


@pytest.fixture
def clf(quick, digits):
    return quick(**STACK, warm_start=True, image_shape=(8, 8)).fit(*digits)


@pytest.fixture(params=[{}, {"batch_norm": True, "global_pool": "average"}], ids=["plain", "normalized"])
def every_clf(quick, digits, request):
    return quick(**STACK, **request.param, warm_start=True, image_shape=(8, 8)).fit(*digits)


@pytest.fixture
def state(clf):
    return without_checksum(clf.__getstate__())


# ---- all ways to save ----


def by_joblib(clf, path):
    joblib.dump(clf, path)
    return joblib.load(path)


def by_skops(clf, path):
    skops.io.dump(clf, path)
    return skops.io.load(path, trusted=["skcnn.classifier.ConvSigmoidClassifier"])


WAYS = {
    "pickle": lambda clf, path: pickle.loads(pickle.dumps(clf)),
    "joblib": by_joblib,
    "skops": by_skops,
    "copy": lambda clf, path: copy.copy(clf),
    "deepcopy": lambda clf, path: copy.deepcopy(clf),
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@every_way
def test_goes_on_where_it_was(way, every_clf, digits, tmp_path):
    again = way(every_clf, tmp_path / "model")
    assert_array_equal(again.predict_proba(digits[0]), every_clf.predict_proba(digits[0]))
    assert again.get_params() == every_clf.get_params()
    assert repr(again.summary()) == repr(every_clf.summary())
    again.partial_fit(*digits)
    every_clf.partial_fit(*digits)
    assert_array_equal(again._parameters, every_clf._parameters)
    assert again.loss_curve_ == every_clf.loss_curve_


@every_way
def test_has_a_life_of_its_own(way, every_clf, digits, tmp_path):
    """Training or overwriting one estimator does not change its copy."""
    again = way(every_clf, tmp_path / "model")
    curve, probabilities = list(again.loss_curve_), again.predict_proba(digits[0])
    every_clf.partial_fit(*digits)
    every_clf._parameters[:] = 0
    every_clf.classes_[:] = 7
    assert again.loss_curve_ == curve
    assert_array_equal(again.classes_, np.arange(10))
    assert_array_equal(again.predict_proba(digits[0]), probabilities)


@every_way
def test_unfitted(way, tmp_path):
    again = way(ConvSigmoidClassifier(7, alpha=0.5), tmp_path / "model")
    assert again.get_params() == ConvSigmoidClassifier(7, alpha=0.5).get_params()
    assert not hasattr(again, "classes_")


# ---- versions ----


def test_a_network_of_before_normalization(quick, digits):
    clf = quick(**STACK).fit(*digits)
    state = without_checksum(clf.__getstate__())
    for name in YOUNGER:
        del state["_model"]["network"][name]
    assert_array_equal(loaded(state).predict_proba(digits[0]), clf.predict_proba(digits[0]))


@pytest.mark.parametrize(
    ("version", "written"),
    [(None, "an earlier one"), (STATE_VERSION + 1, f"one that writes version {STATE_VERSION + 1}"), ("1", "'1'")],
)
def test_another_version(state, version, written):
    state["_skcnn_state_version"] = version
    with pytest.raises(ValueError, match=f"reads versions .* and {STATE_VERSION} of a saved .*{re.escape(written)}"):
        loaded(state)


def test_a_checksum(clf):
    """Changes that make a state of another model, which is consistent as well."""
    state = clf.__getstate__()
    loaded(copy.deepcopy(state))
    parameters = state["_model"]["parameters"].copy()
    parameters[3] *= 1.5
    another = [
        state | {"_model": state["_model"] | {"parameters": parameters}},
        state | {"_model": state["_model"] | {"classes": state["_model"]["classes"] + 1}},
        state | {"_checkpoint": state["_checkpoint"] | {"n_steps": 3}},
        *(state | change for change in ({"loss_curve_": [1.0]}, {"t_": 7}, {"best_loss_": 1})),
        *(state | {"_skcnn_checksum": value} for value in (None, 0, "x", True)),
    ]
    for changed in another:
        with pytest.raises(ValueError, match="it is not as it was written, by its checksum"):
            loaded(changed)
    with pytest.raises(ValueError, match="it is not as it was written"):
        loaded({name: value for name, value in state.items() if name != "_skcnn_checksum"})
    loaded(state | {"note": "of a user"})
    assert loaded(state | {"alpha": 0.5}).alpha == 0.5


@pytest.mark.parametrize("labels", ["texts", "objects", "dates", "several"])
def test_checksums_of_all_kinds_of_classes(quick, digits, labels, tmp_path):
    X, y = digits[0], digits[1] % 3
    y = {
        "texts": np.array(["a", "bé", "c"])[y],
        "objects": np.array(["a", "bé", "c"], dtype=object)[y],
        "dates": np.array(["2001-01-01", "2002-01-01", "2003-01-01"], dtype="datetime64[D]")[y],
        "several": np.stack([y == 0, y > 1], axis=1),
    }[labels]
    for way in (by_joblib, by_skops):
        clf = quick().fit(X, y)
        assert_array_equal(way(clf, tmp_path / "model").predict(X), clf.predict(X))


def test_a_state_that_is_no_dict(state):
    for other in ([state], state | {1: 2}):
        with pytest.raises(ValueError, match=f"must be a dict of attributes; got {type(other).__name__}"):
            loaded(other)


def test_a_pickle_of_before_versions(state):
    del state["_skcnn_state_version"]
    with pytest.raises(ValueError, match="written by an earlier one"):
        loaded(state)


def test_a_hyper_parameter_that_there_was_not_yet(state, digits, clf):
    """A model of an earlier version of skcnn gets the default of a new hyper-parameter."""
    del state["random_shift"], state["epsilon"]
    again = loaded(state)
    assert again.random_shift == 0
    assert again.get_params() == clf.get_params()
    assert_array_equal(again.predict_proba(digits[0]), clf.predict_proba(digits[0]))


class Forgetful(ConvSigmoidClassifier):
    """A subclass that does not save all that it has."""

    def __init__(self, n_filters=16, *, image_shape=None, note=None):
        super().__init__(n_filters, image_shape=image_shape)
        self.note = note

    def __getstate__(self):
        return super().__getstate__() | {"note": None, "n_filters": 5}


def test_a_subclass_that_changes_what_it_saves(digits):
    X, y = digits
    clf = Forgetful(3, note=len)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf.fit(X, y)
    again = pickle.loads(pickle.dumps(clf))
    assert (again.note, again.n_filters) == (None, 5)
    assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


class Needy(ConvSigmoidClassifier):
    """A subclass whose constructor has a required argument."""

    def __init__(self, name, *, n_filters=3, max_iter=3, tol=1e9, n_iter_no_change=1):
        super().__init__(n_filters, max_iter=max_iter, tol=tol, n_iter_no_change=n_iter_no_change)
        self.name = name


@few_steps
def test_a_subclass(digits):
    clf = Needy("x").fit(*digits)
    again = copy.deepcopy(clf)
    assert (again.name, again.get_params()) == ("x", clf.get_params())
    assert_array_equal(again.predict_proba(digits[0]), clf.predict_proba(digits[0]))


# ---- specific damage ----

MODEL, NETWORK, CHECKPOINT = ("_model",), ("_model", "network"), ("_checkpoint",)

DAMAGE = {
    "neither normalised nor not": (NETWORK, "batch_norm", lambda value: None, "batch_norm=None"),
    "normalised by a number": (NETWORK, "batch_norm", int, "batch_norm="),
    "pooled as nobody does": (NETWORK, "global_pool", lambda value: "mean", "global_pool='mean'"),
    "pooled by a list": (NETWORK, "global_pool", lambda value: [value], "global_pool=["),
    "variances below 0": (
        MODEL,
        "parameters",
        lambda values: np.append(values[:-10], np.full(10, -1.0)),
        "running_variances are negative",
    ),
    "parameters cut to ten": (MODEL, "parameters", lambda values: values[:10], "parameters has shape (10,)"),
    "parameters too many": (MODEL, "parameters", lambda values: np.append(values, 0), "parameters has shape"),
    "parameters of integers": (
        MODEL,
        "parameters",
        lambda values: values.astype(int),
        "must be an array of float32 or",
    ),
    "parameters with NaN": (MODEL, "parameters", lambda values: values * np.nan, "values that are not finite"),
    "parameters no array": (MODEL, "parameters", lambda values: values.tolist(), "must be an array of float32 or"),
    "parameters in two axes": (MODEL, "parameters", lambda values: values[np.newaxis], "parameters has shape (1, "),
    "a class less": (MODEL, "classes", lambda classes: classes[:-1], "9 classes do not make 10 outputs"),
    "a class more": (MODEL, "classes", lambda classes: np.arange(11), "11 classes do not make 10 outputs"),
    "multilabel": (MODEL, "multilabel", lambda value: 1, "multilabel=1"),
    "filters": (NETWORK, "n_filters", lambda value: (100_000, 4), "parameters has shape"),
    "filters without end": (NETWORK, "n_filters", lambda value: (2**59, 4), "parameters has shape"),
    "filters, a negative number": (
        NETWORK,
        "n_filters",
        lambda value: (-3, 4),
        "n_filters has (-3, 4) where 2",
    ),
    "too many layers": (NETWORK, "n_filters", lambda value: (1,) * 17, "must have 1 to 16 numbers"),
    "kernel": (NETWORK, "kernel_size", lambda value: ((3, 3), (4, 4)), "parameters has shape"),
    "kernel of a layer less": (NETWORK, "kernel_size", lambda value: ((3, 3),), "kernel_size=((3, 3),) needs 2 sizes"),
    "pools": (NETWORK, "pool_size", lambda value: ((1, 1), (8, 8)), "parameters has shape"),
    "pools larger than the image": (NETWORK, "pool_size", lambda value: ((1, 1), (99, 1)), "parameters has shape"),
    "image": (NETWORK, "image_shape", lambda value: (8, 9, 1), "parameters has shape"),
    "an image as long": (NETWORK, "image_shape", lambda value: (64, 1, 1), "stage 0 has filters of 3 x 3 on 64 x 1"),
    "outputs": (NETWORK, "n_outputs", lambda value: 1000, "parameters has shape"),
    "activation": (NETWORK, "activation", lambda value: "elu", "activation='elu'"),
    "rescale": (NETWORK, "rescale", lambda value: np.inf, "rescale=inf"),
    "standardize": (NETWORK, "standardize", lambda value: False, "parameters has shape"),
    "moments cut": (CHECKPOINT, "moments", lambda values: values[:, :5], "moments has shape (2, 5)"),
    "moments of another type": (CHECKPOINT, "moments", lambda values: values.astype(np.float32), "of different types"),
    "steps": (CHECKPOINT, "n_steps", lambda value: -1, "n_steps=-1"),
    "seed": (CHECKPOINT, "split_seed", lambda value: 2**32, "split_seed=4294967296"),
    "history": ((), "loss_curve_", lambda value: ["x"], "loss_curve_ must be a list of numbers"),
    "columns": ((), "n_features_in_", lambda value: 63, "n_features_in_ is 63, and the network takes 64"),
    "classes in disorder": (MODEL, "classes", lambda classes: classes[::-1], "classes must be two or more, different"),
    "classes of types that have no order": (
        MODEL,
        "classes",
        lambda classes: np.array([0, "one"] * 5, object),
        "classes must be two or more, different and sorted",
    ),
    "one class": (MODEL, "classes", lambda classes: classes[:1], "classes must be two or more, different and sorted"),
    "names": ((), "feature_names_in_", lambda value: np.array(["a"], object), "feature_names_in_ must have 64 names"),
    "columns as an array": ((), "n_features_in_", lambda value: np.array([64, 64]), "n_features_in_ is array"),
    "a method": ((), "predict", lambda value: 3, "it has values for the methods ['predict']"),
    "a loss beyond all": ((), "best_loss_", lambda value: 10**400, "best_loss_=1000"),
    "squares": (CHECKPOINT, "moments", lambda values: -1 - values, "moments has negative squares"),
    "scores without losses": ((), "validation_scores_", lambda value: [0.5], "differ in length"),
    "epochs": ((), "n_iter_", lambda value: None, "n_iter_=None"),
}


@pytest.mark.parametrize(("where", "name", "change", "message"), DAMAGE.values(), ids=DAMAGE)
def test_damage(state, where, name, change, message):
    part = state
    for key in where:
        part = part[key]
    part[name] = change(part.get(name))
    with pytest.raises(ValueError, match=re.escape(message)):
        loaded(state)


@pytest.mark.parametrize("where", [MODEL, NETWORK, CHECKPOINT], ids=".".join)
def test_parts_that_are_missing_or_more(state, where):
    part = state
    for key in where:
        part = part[key]
    for name in set(part) - set(YOUNGER):
        less, more = dict(part), part | {"more": 1}
        del less[name]
        for changed in (less, more):
            part.clear()
            part.update(changed)
            with pytest.raises(ValueError, match="must be a dict of"):
                loaded(state)
        part.clear()
        part.update(less | {name: more[name]})
    with pytest.raises(ValueError, match="must be a dict of"):
        loaded(state | {where[0]: None})


def test_a_history_without_a_model(state):
    del state["_model"]
    with pytest.raises(ValueError, match=r"it has \['_checkpoint', .*, but no model"):
        loaded(state)


def test_a_damaged_skops_file(clf, tmp_path):
    """skops trusts the class, so the class must not trust the file."""
    parameters = clf._model.parameters
    object.__setattr__(clf._model, "parameters", parameters[:10])
    skops.io.dump(clf, tmp_path / "model.skops")
    with pytest.raises(ValueError, match="parameters has shape"):
        skops.io.load(tmp_path / "model.skops", trusted=["skcnn.classifier.ConvSigmoidClassifier"])


# ---- public views ----


def test_views_cannot_take_the_memory_away(clf, digits):
    """No array that is reachable from an attribute can be resized."""
    expected = clf.predict_proba(digits[0])
    for view in (*clf.coefs_, *clf.intercepts_, clf.filters_):
        base = view
        while isinstance(base, np.ndarray):
            for size in (1, 10**6):
                with pytest.raises(ValueError, match=r"cannot resize|does not own"):
                    base.resize(size, refcheck=False)
            base = base.base
        assert not any(hasattr(base, name) for name in ("resize", "release", "clear", "pop", "close"))
    assert_array_equal(clf.predict_proba(digits[0]), expected)


def test_views_are_of_the_model(clf, digits):
    clf.coefs_[0][:] = 0
    clf.intercepts_[0][:] = 1
    clf.coefs_[-1][:] = 0
    assert np.unique(clf.predict_proba(digits[0]), axis=0).shape == (1, 10)


def test_parameters_that_fold_to_infinity(quick, digits):
    """The folded parameters are checked, not only the parameters."""
    clf = quick(**STACK, batch_norm=True).fit(digits[0].astype(np.float32), digits[1])
    state = clf.__getstate__()
    clf._network.views(state["_model"]["parameters"])["scales_0"][:] = 3e38
    clf._network.views(state["_model"]["parameters"])["variances_0"][:] = 0
    with pytest.raises(ValueError, match="make values that are not finite"):
        loaded(state)


def test_views_of_what_is_folded_cannot_be_written_to(quick, digits):
    """Changes of folded parameters would be lost in pickles and in further training."""
    clf = quick(**STACK, batch_norm=True).fit(*digits)
    for view in (*clf.coefs_, *clf.intercepts_, clf.filters_):
        with pytest.raises(ValueError, match="read-only"):
            view[:] = 0


def test_views_of_another_type_are_refused(clf, digits):
    """The dtype of a view can be changed in place, which causes an error instead of reading out of bounds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from NumPy 2.5 on
        clf._parameters.dtype = np.float32
    with pytest.raises(ValueError, match=r"parameters must be float32 or float64 of shape \(.*got shape"):
        clf.predict_proba(digits[0])


@pytest.mark.parametrize("answers", [[5, 300], [300, 5]], ids=str)
def test_weights_that_change_their_mind_are_asked_once(quick, digits, answers):
    class Weights:
        def __init__(self):
            self.answers = iter(answers * 5)

        def __array__(self, dtype=None, copy=None):
            return np.ones(next(self.answers), dtype)

    clf = quick()
    if answers[0] == 300:
        assert_array_equal(clf.fit(*digits, Weights())._parameters, quick().fit(*digits)._parameters)
    else:
        with pytest.raises(ValueError, match=r"sample_weight must be of shape \(300,\)"):
            clf.fit(*digits, Weights())
