"""The figures of training.md, and every number on it: python docs/figures/training.py

Prints tables in Markdown and writes training-*.png to its own folder. Numbers are means over seeds, five unless stated
otherwise; each seed determines both the split and the network. Needs scikit-learn 1.9 or later, for callbacks.
"""

import pickle
import tracemalloc
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import numpy as np
from matplotlib import pyplot
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.utils.class_weight import compute_sample_weight

from skcnn import ConvSigmoidClassifier
from skcnn.datasets import load_mnist_sample

MNIST = load_mnist_sample(as_split=True)
PANELS = {"figsize": (9, 3.2), "layout": "constrained"}


def digits(seed, noise=0.0):
    """1347 digits for training and 450 for testing; `noise` is the share of training labels replaced at random."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=seed)
    rng = np.random.RandomState(seed)
    wrong = rng.uniform(size=len(y_train)) < noise
    return X_train, X_test, np.where(wrong, rng.randint(10, size=len(y_train)), y_train), y_test


def network(seed, rescale=1 / 16, **parameters):
    return ConvSigmoidClassifier(rescale=rescale, random_state=seed, **parameters)


def repeat(measure, *args, n_seeds=5, **parameters):
    """The results of `measure`, one row for each seed."""
    return np.array([measure(seed, *args, **parameters) for seed in range(n_seeds)], dtype=float)


def mean(*args, **parameters):
    return repeat(*args, **parameters).mean(axis=0)


def spell(parameters, quote="`"):
    return ", ".join(f"{quote}{name}={value!r}{quote}" for name, value in parameters.items()) or "none: the defaults"


def table(title, header, rows):
    print(f"\n{title}\n")
    for row in (header, ["---"] * len(header), *rows):
        print(f"| {' | '.join(map(str, row))} |")


def save(figure, name):
    figure.savefig(Path(__file__).parent / f"training-{name}.png", dpi=90)
    pyplot.close(figure)


class LearningRates:
    def setup(self, estimator, context):
        self.seen = []

    def nothing(self, estimator, context):
        pass

    teardown = on_fit_task_begin = nothing

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        self.seen.append(fitted_estimator.learning_rate_)


class StopOnValidationLoss(LearningRates):
    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        losses = fitted_estimator.validation_loss_curve_
        return len(losses) - np.argmin(losses) > 5


# ---- end of training, solvers and schedules ----


def train(seed, noise=0.0, **parameters):
    """A classifier trained on digits, its test accuracy, and the learning rate of each epoch."""
    X_train, X_test, y_train, y_test = digits(seed, noise)
    watch = LearningRates()
    clf = network(seed, **parameters).set_callbacks(watch).fit(X_train, y_train)
    return clf, clf.score(X_test, y_test), [clf.learning_rate_init, *watch.seen][: clf.n_iter_]


def summarise(seed, **parameters):
    clf, score, rates = train(seed, **parameters)
    slow = sum(rate < rates[0] / 100 for rate in rates)
    return clf.n_iter_, clf.loss_, score, clf.n_iter_ == clf.max_iter, rates[-1], slow


def compare(title, *changes):
    rows = []
    for change in changes:
        epochs, loss, score, ended, *_ = mean(summarise, **change)
        rows.append([spell(change), f"{epochs:.0f}", f"{5 * ended:.0f} of 5", f"{loss:.3f}", f"{score:.3f}"])
    table(title, ["change", "epochs", "at `max_iter`", "last loss", "test accuracy"], rows)


def schedules():
    changes = [{}, {"learning_rate_init": 0.02}]
    changes += [{"solver": "sgd", "learning_rate_init": rate} for rate in (0.005, 0.1, 0.5)]
    sgd = {"solver": "sgd", "learning_rate_init": 0.1}
    changes += [sgd | {"learning_rate": "invscaling", "power_t": power_t} for power_t in (0.5, 0.1)]
    changes += [sgd | {"learning_rate": "adaptive", "learning_rate_init": rate} for rate in (0.1, 0.5)]
    rows = []
    for change in changes:
        epochs, loss, score, _, rate, slow = mean(summarise, **change)
        rows.append([spell(change), f"{epochs:.0f}", f"{slow:.0f}", f"{rate:.1g}", f"{loss:.3f}", f"{score:.3f}"])
    header = ["change", "epochs", "of these slow", "last rate", "last loss", "test accuracy"]
    table("solvers and schedules; slow: at less than a hundredth of the first learning rate", header, rows)
    print(f"\ninvscaling, power_t=0.5: after an epoch the rate is divided by {0.1 / train(0, **changes[5])[2][1]:.1f}")

    figure, (left, right) = pyplot.subplots(1, 2, **PANELS)
    for i, line in ((5, "-"), (6, "-"), (7, "-"), (3, "k--")):
        clf, _, rates = train(0, **changes[i])
        name = clf.learning_rate + (f", power_t={clf.power_t}" if clf.learning_rate == "invscaling" else "")
        left.semilogy(range(1, clf.n_iter_ + 1), rates, line, label=name)
        right.semilogy(range(1, clf.n_iter_ + 1), clf.loss_curve_, line)
    left.set(xlabel="epoch", title='learning rate, solver="sgd"')
    right.set(xlabel="epoch", title="training loss, digits")
    left.legend(fontsize=8)
    save(figure, "schedules")


# ---- validation sets ----


def watch_mnist(seed, *callbacks):
    """Train on 200 images of MNIST, with the other 800 as the validation set."""
    clf = network(seed, MNIST.rescale).set_callbacks(*callbacks)
    return clf.fit(MNIST.X_train, MNIST.y_train, X_val=MNIST.X_test, y_val=MNIST.y_test)


def read_curves(seed, *callbacks):
    clf = watch_mnist(seed, *callbacks)
    losses, scores = clf.validation_loss_curve_, clf.validation_scores_
    return clf.n_iter_, 1 + np.argmin(losses), min(losses), losses[-1], max(scores), scores[-1]


def curves():
    rows = []
    for name, callbacks in (("to the end", ()), ("`StopOnValidationLoss`", (StopOnValidationLoss(),))):
        numbers = zip(mean(read_curves, *callbacks), (0, 0, 2, 2, 3, 3), strict=True)
        rows.append([name, *(f"{number:.{places}f}" for number, places in numbers)])
    header = ["training", "epochs", "least loss in epoch", "least loss", "last loss", "best accuracy", "last accuracy"]
    table("validation, 200 images of MNIST", header, rows)

    clf = watch_mnist(0)
    figure, (left, right) = pyplot.subplots(1, 2, **PANELS)
    epochs, best = range(1, clf.n_iter_ + 1), int(np.argmin(clf.validation_loss_curve_))
    left.plot(epochs, clf.loss_curve_, label="loss_curve_")
    left.plot(epochs, clf.validation_loss_curve_, label="validation_loss_curve_")
    right.plot(epochs, clf.validation_scores_, "tab:orange", label="validation_scores_")
    for axis, title in ((left, "loss, trained on 200 images of MNIST"), (right, "accuracy on 800 other images")):
        axis.axvline(best + 1, color="0.5", linestyle=":", label="least validation loss")
        axis.set(xlabel="epoch", title=title)
        axis.legend(fontsize=8)
    left.set_ylim(0, 4)
    save(figure, "curves")


def early_stopping(axis):
    stop = {"early_stopping": True}
    changes = [{}, stop, stop | {"n_iter_no_change": 30}, stop | {"validation_fraction": 0.2}]
    shares, rows = (0.0, 0.2, 0.4), []
    for change in [*changes, {"alpha": 0.01}, {"alpha": 0.1}]:
        results = np.array([repeat(summarise, n_seeds=10, noise=noise, **change) for noise in shares])
        epochs, _, scores, *_ = results.mean(axis=1).T
        errors = results[..., 2].std(axis=1, ddof=1) / 10**0.5
        cells = zip(scores, errors, epochs, strict=True)
        rows.append([spell(change), *(f"{score:.3f} ± {error:.3f} ({epoch:.0f})" for score, error, epoch in cells)])
        if len(change) < 2 and change.get("alpha") != 0.1:
            axis.errorbar([f"{share:.0%}" for share in shares], scores, errors, label=spell(change, ""), capsize=3)
    header = ["change", *(f"{share:.0%} replaced" for share in shares)]
    table("test accuracy ± its standard error (epochs), ten seeds", header, rows)
    axis.set(xlabel="training labels replaced at random", title="test accuracy, digits")
    axis.legend(fontsize=8)


# ---- a rare class, multilabel targets ----


OWN_SETS = ("`X_val`", "`X_val`, `sample_weight_val` balanced")


def find_eights(seed, n_eights, validation=None, **parameters):
    """Is it an 8? In percent: eights found, other digits taken for an 8, accuracy."""
    X_train, X_test, y_train, y_test = digits(seed)
    kept = np.delete(np.arange(len(y_train)), np.flatnonzero(y_train == 8)[n_eights:])
    X, y, own = X_train[kept], y_train[kept] == 8, {}
    if validation in OWN_SETS:
        X, own["X_val"], y, own["y_val"] = train_test_split(X, y, test_size=0.5, stratify=y, random_state=seed)
    if validation == OWN_SETS[1]:
        own["sample_weight_val"] = compute_sample_weight("balanced", own["y_val"])
    found, rare = network(seed, **parameters).fit(X, y, **own).predict(X_test), y_test == 8
    return 100 * found[rare].mean(), 100 * found[~rare].mean(), 100 * (found == rare).mean()


def rare_class(axis):
    counts, rows = (5, 10, 20, 40), []
    for change in ({}, {"tol": 0.0}, {"class_weight": "balanced"}):
        results = [mean(find_eights, n, n_seeds=10, **change) for n in counts]
        rows.append([spell(change), *(f"{recall:.0f}% ({alarms:.1f}%)" for recall, alarms, _ in results)])
        axis.plot(counts, [recall / 100 for recall, *_ in results], ".-", label=spell(change, ""))
    axis.set(xlabel="eights to learn from", title="recall of 8, a rare class", xticks=counts, ylim=(0, 1))
    axis.legend(fontsize=8)
    table("eights found (others taken for eights), ten seeds", ["change", *(f"{n} eights" for n in counts)], rows)
    rows = []
    for validation in ("held out", *OWN_SETS):
        stop = {"class_weight": "balanced", "early_stopping": True}
        recall, alarms, score = mean(find_eights, 20, validation, n_seeds=10, **stop)
        rows.append([validation, f"{recall:.0f}%", f"{alarms:.1f}%", f"{score:.1f}%"])
    header = ["validation set", "eights found", "others taken for eights", "accuracy"]
    table("20 eights, balanced, early stopping, ten seeds", header, rows)


def choices():
    figure, (left, right) = pyplot.subplots(1, 2, **PANELS)
    early_stopping(left)
    rare_class(right)
    save(figure, "choices")


def several_labels(seed):
    """Accuracy of each of the labels even, above 4, and multiple of 3, and of all three together."""
    X_train, X_test, y_train, y_test = digits(seed)
    Y_train, Y_test = (np.column_stack([y % 2 == 0, y > 4, y % 3 == 0]).astype(int) for y in (y_train, y_test))
    clf = network(seed).fit(X_train, Y_train)
    return *(clf.predict(X_test) == Y_test).mean(axis=0), clf.score(X_test, Y_test)


# ---- continuation, streams, memory ----


def going_on(seed):
    """Epochs to a coarse tolerance, from there to the default one, from scratch to the default, and after that fit."""
    X, _, y, _ = digits(seed)
    clf = network(seed, warm_start=True, tol=0.1).fit(X, y)
    coarse, fine = clf.n_iter_, clf.set_params(tol=1e-3).fit(X, y).n_iter_
    return coarse, fine, network(seed).fit(X, y).n_iter_, clf.fit(X, y).n_iter_


def in_chunks(clf, X, y, size=64):
    for start in range(0, len(X), size):
        clf.partial_fit(X[start : start + size], y[start : start + size], classes=range(10))


def stream(seed):
    """Test accuracy after 1, 5, 20 and 100 passes in chunks of 128."""
    X_train, X_test, y_train, y_test = digits(seed)
    clf, scores = network(seed), []
    for i in range(100):
        in_chunks(clf, X_train, y_train, 128)
        scores += [clf.score(X_test, y_test)] if i + 1 in (1, 5, 20, 100) else []
    return scores


def memory():
    """MB of MNIST images, and NumPy's peak allocation in addition, in `fit` and in chunks."""
    X, y = load_mnist_sample(return_X_y=True)
    for dtype in ("uint8", "uint16", "float32", "float64"):
        data = np.tile(X.astype(dtype), (10, 1)), np.tile(y, 10)
        sizes = [data[0].nbytes]
        for learn in (ConvSigmoidClassifier.fit, in_chunks):
            tracemalloc.start()
            learn(network(0, 1 / 255, max_iter=1), *data)
            sizes.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        print(f"{len(data[0])} images, {dtype}, MB, fit adds, chunks add:", *(f"{size / 1e6:.1f}" for size in sizes))


def pickles():
    """Sizes of pickles relative to the parameters."""
    X, _, y, _ = digits(0)
    for clf in (network(0), network(0, warm_start=True), MLPClassifier(random_state=0, max_iter=20)):
        size = len(pickle.dumps(clf.fit(X / 16, y)))
        print(f"{clf}: a pickle of {size / sum(array.nbytes for array in clf.coefs_ + clf.intercepts_):.1f} times")


# ---- features, random variation, defaults ----


def features(seed, mnist):
    """Test accuracy of the network, and of SVC on its hidden activations, 50 components of these, and the pixels."""
    X_train, X_test, y_train, y_test = digits(seed)
    if mnist:
        X_train, X_test, y_train, y_test = MNIST.X_train, MNIST.X_test, MNIST.y_train, MNIST.y_test
    net = network(seed, 1 / 255 if mnist else 1 / 16)
    models = [net, make_pipeline(net, SVC()), make_pipeline(net, PCA(50, random_state=0), SVC()), SVC()]
    return [model.fit(X_train, y_train).score(X_test, y_test) for model in models]


def hidden_layer():
    results = [mean(features, mnist) for mnist in (False, True)]
    names = ("the network itself", "`SVC` on `transform`", "`SVC` on 50 components of it", "`SVC` on pixels")
    rows = [[name, *(f"{score:.3f}" for score in scores)] for name, *scores in zip(names, *results, strict=True)]
    table("features, test accuracy", ["classifier", "digits", "200 images of MNIST"], rows)


def luck():
    X_train, X_test, y_train, y_test = digits(0)
    scores = [network(seed).fit(X_train, y_train).score(X_test, y_test) for seed in range(20)]
    print(f"\nOne split, 20 seeds: {min(scores):.3f} to {max(scores):.3f}, mean {np.mean(scores):.3f}")


def defaults():
    ours, theirs = ConvSigmoidClassifier().get_params(), MLPClassifier().get_params()
    both = [name for name in ours if name in theirs and ours[name] != theirs[name]]
    print("\nDefaults that MLPClassifier has otherwise:", *(f"{name}: {ours[name]}, {theirs[name]};" for name in both))


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    print("To train on and to test with:", *map(len, digits(0)[:2]), "digits;", len(MNIST.X_train), len(MNIST.X_test))
    compare("tol and max_iter", {"tol": 0.1}, {"tol": 0.01}, {}, {"tol": 1e-4}, {"tol": 1e-4, "max_iter": 1000})
    larger = {"batch_size": 128}
    compare("batch size", {"batch_size": 8}, {}, larger, larger | {"learning_rate_init": 0.02})
    for part in (schedules, curves, choices):
        part()
    labels = " ".join(f"{score:.3f}" for score in mean(several_labels))
    print(f"\nAccuracy of each of three labels, and of all three: {labels}")
    print(f"\nEpochs to tol=0.1, on to 1e-3, to 1e-3 at once, and once more: {mean(going_on).round()}")
    print(f"\nAfter 1, 5, 20, 100 passes over a stream: {mean(stream).round(3)}")
    for part in (memory, pickles, hidden_layer, luck, defaults):
        part()


if __name__ == "__main__":
    main()
