"""Train a network on small images, compare its accuracy with a logistic regression's, and save the model."""

import argparse
import os
import sys
import time
import warnings
from functools import partial
from io import BytesIO
from itertools import combinations
from pathlib import Path

import numpy as np

from skcnn.files import check_writable, free_names, replaced

EPILOG = """\
examples:
  skcnn                                  digit > 4, trained on 200 packaged MNIST images, tested on 800
  skcnn --classes all --dataset digits   all ten digits, on scikit-learn's 8 x 8 images
  skcnn --classes all --html page.html   write a web page that classifies digits as you draw them
  skcnn --notebook --plot filters.png    the network of the notebook, with correct gradients
  skcnn --dataset images.npz             your own x_train, y_train, x_test, y_test, in the layout of Keras's mnist.npz
"""

# The notebook's settings. Its logits are standardised, so the loss is flat and plain descent needs a large rate.
NOTEBOOK = {
    "n_filters": 3,
    "kernel_size": 5,
    "pool_size": 1,
    "init": "uniform",
    "fit_intercept": False,
    "loss": "squared_error",
    "standardize": True,
    "solver": "sgd",
    "momentum": 0.0,
    "alpha": 0.0,
    "learning_rate_init": 150.0,
    "max_iter": 100,
    "tol": 0.0,
}

# Test images on the web page.
N_SHOWN = 20

# The model's file if there is no --save.
MODEL = "skcnn-model.joblib"

# Exit status after Ctrl-C, by the convention of shells.
INTERRUPTED = 130


def main(argv=None):
    """Run the command line; returns 0, 1 if the output's reader is gone, 2 after an error, or 130 after Ctrl-C."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.version:
        from skcnn import __version__
        from skcnn.kernels import COMPILER, LEVEL

        print(f"skcnn {__version__} ({LEVEL} kernels, {COMPILER})")
        return 0
    try:
        check_files(args)
        split = load(args)
        return run(args, split, *make_labels(args, split))
    except BrokenPipeError:
        # The reader of the output is gone; leave Python nothing to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ImportError, OSError, ValueError, TypeError, MemoryError) as error:
        print(f"skcnn: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def check_files(args):
    """Check that the requested files can be written, before any work is done."""
    if args.plot:
        if not has_module("matplotlib"):
            raise ImportError("--plot needs matplotlib: pip install 'skcnn[demo]'")
        from matplotlib.figure import Figure

        known = Figure().canvas.get_supported_filetypes()
        if Path(args.plot).suffix[1:].lower() not in known:
            raise ValueError(f"--plot {args.plot}: the name must end in one of .{', .'.join(sorted(known))}")
    paths = {option: path for option in ("plot", "html", "save") if (path := getattr(args, option))}
    for path in paths.values():
        check_writable(path)
        if Path(path).is_file() and not args.overwrite:
            raise ValueError(f"{path} exists: choose another name, or replace it with --overwrite")
    if args.save:
        check_compression(Path(args.save))
    else:
        paths["save"] = next(name for name in free_names(MODEL) if args.overwrite or not is_taken(name))
        check_writable(paths["save"])
    paths = {"dataset": args.dataset} | paths
    for one, other in combinations(paths, 2):
        if Path(paths[one]).resolve() == Path(paths[other]).resolve():
            raise ValueError(f"--{one} and --{other} both name {paths[other]}")


def check_compression(path):
    """Check that there is the package that joblib needs for one of the compressions that a file's suffix can mean."""
    import joblib

    if path.suffix == ".lz4":
        try:
            joblib.dump(None, BytesIO(), compress="lz4")
        except ValueError as error:
            raise ValueError(f"--save {path}: {error}") from error


def make_parser():
    parser = argparse.ArgumentParser(
        prog="skcnn", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument_group("images").add_argument
    add(
        "--dataset",
        default="sample",
        metavar="NAME",
        help="sample (packaged MNIST images, the default), digits (scikit-learn's), mnist (Keras's, downloaded once; "
        "needs skcnn[keras]), or the path of an .npz file with x_train and x_test of shape (n, height, width) or "
        "(n, height, width, n_channels), y_train and y_test (n,); integer pixels are scaled to 0..1, others are not",
    )
    add("--classes", choices=("binary", "all"), default="binary", help="label > 4 or not (the default), or all labels")
    add("--n-train", type=positive, metavar="N", help="train on the first N training images only")
    add("--n-test", type=positive, metavar="N", help="test on the first N test images only")
    add = parser.add_argument_group("network and training").add_argument
    add(
        "--notebook",
        action="store_true",
        help=f"the notebook's settings, with a learning rate of {NOTEBOOK['learning_rate_init']:g} for "
        f"{NOTEBOOK['max_iter']} epochs; the options below override them",
    )
    add("--n-filters", type=positive, metavar="N", help="number of filters of the convolution (default 16)")
    add("--kernel-size", type=positive, metavar="N", help="side of a filter in pixels (default 5)")
    add("--batch-size", type=positive, metavar="N", help="images in a mini-batch (default 32; with --notebook all)")
    add("--learning-rate", type=positive_real, metavar="X", help="step size of the solver (default 0.005)")
    add("--epochs", type=positive, metavar="N", help="epochs, at most (default 200)")
    add("--seed", type=seed, default=0, metavar="N", help="seed of initial weights and order of images (default 0)")
    add = parser.add_argument_group("results").add_argument
    add("--no-baseline", action="store_true", help="skip the logistic regression")
    add("--plot", metavar="FILE", help="plot the filters before and after training, and the loss; needs matplotlib")
    add("--html", metavar="FILE", help="write a web page that computes the network for images you draw")
    add("--save", metavar="FILE", help=f"save the model in this file (default {MODEL}, -2 and so on if that exists)")
    add("--overwrite", action="store_true", help="replace files that exist, which otherwise is an error")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    return parser


def number_above(kind, low, text):
    """Parse an option's number above `low`; argparse adds the option's name to the error."""
    try:
        number = kind(text)
    except ValueError:
        number = None
    if number is None or not low < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not {'an integer' if kind is int else 'a number'} above {low}")
    return number


positive = partial(number_above, int, 0)
positive_real = partial(number_above, float, 0)
seed = partial(number_above, int, -1)


def has_module(name):
    from importlib.util import find_spec

    return find_spec(name) is not None


def load(args):
    from dataclasses import replace

    from skcnn import datasets

    if args.dataset == "sample":
        split = datasets.load_mnist_sample(as_split=True)
    elif args.dataset == "digits":
        split = datasets.load_digits_split()
    elif args.dataset == "mnist":
        split = datasets.load_keras_mnist()
    elif Path(args.dataset).suffix == ".npz":
        split = datasets.load_npz(args.dataset)
    else:
        raise ValueError(f"--dataset takes sample, digits, mnist or the path of an .npz file; got {args.dataset!r}")
    return replace(
        split,
        X_train=split.X_train[: args.n_train],
        y_train=split.y_train[: args.n_train],
        X_test=split.X_test[: args.n_test],
        y_test=split.y_test[: args.n_test],
    )


def make_labels(args, split):
    """Print how often each class occurs, and return training and test labels."""
    print(f"{len(split.y_train)} training and {len(split.y_test)} test images, {side_by_side(split.image_shape)}")
    show_counts("label", split.y_train)
    if args.classes == "all":
        return split.y_train, split.y_test
    if not np.issubdtype(split.y_train.dtype, np.number):
        raise ValueError("--classes binary asks for label > 4, but the labels are not numbers; use --classes all")
    labels = [np.where(y > 4, "> 4", "<= 4") for y in (split.y_train, split.y_test)]
    if len(np.unique(labels[0])) == 1:
        raise ValueError(f"--classes binary asks for label > 4, but every label is {labels[0][0]}; use --classes all")
    show_counts("class", labels[0])
    return labels


def side_by_side(shape):
    return " x ".join(str(side) for side in shape)


def show_counts(name, y):
    classes, counts = np.unique(y, return_counts=True)
    if len(classes) > 20:
        print(f"  {len(classes)} different labels")
        return
    columns = [(str(label), str(count)) for label, count in zip(classes, counts, strict=True)]
    widths = [max(len(label), len(count)) for label, count in columns]
    for title, row in zip((name, "images"), zip(*columns, strict=True), strict=True):
        print(f"  {title:7s}", *(cell.rjust(width) for cell, width in zip(row, widths, strict=True)), sep="  ")


def run(args, split, y_train, y_test):
    """Train, save, report and plot; returns the exit status."""
    import joblib

    from skcnn.fitting import fit
    from skcnn.plan import most_epochs

    clf = make_classifier(args, split)
    print(f"\n{clf}")
    start = time.perf_counter()
    with Progress(most_epochs(clf, len(y_train))) as progress:
        fit(clf, split.X_train, y_train, observer=progress)
    seconds = time.perf_counter() - start
    if clf.n_iter_ == 0:
        raise KeyboardInterrupt
    print(f"epochs: {clf.n_iter_} in {seconds:.2f} s, loss {clf.loss_curve_[0]:.4f} -> {clf.loss_:.4f}")
    for line in progress.remarks:
        print(line)
    saved = write(args, args.save or MODEL, partial(joblib.dump, clf))
    print(f"\n{'accuracy':24s}{'train':>8s}{'test':>8s}{'seconds':>10s}")
    report("skcnn", clf, split, y_train, y_test, seconds)
    if not args.no_baseline and not progress.interrupted:
        baseline(split, y_train, y_test)
    print(f"\nmodel saved in {saved}; read it with joblib.load")
    if args.plot:
        figure = make_figure(clf, progress.initial)
        path = write(args, args.plot, partial(figure.savefig, dpi=120))
        print(f"filters and loss drawn in {path}")
    if args.html:
        from skcnn.export import to_html

        images = {"images": split.X_test[:N_SHOWN], "labels": y_test[:N_SHOWN]}
        path = write(args, args.html, partial(to_html, clf, **images))
        print(f"web page written to {path}; open it in a browser")
    return INTERRUPTED if progress.interrupted else 0


def is_taken(path):
    """Whether there is a file or folder; devices, as /dev/null, can be written to any number of times."""
    return path.is_file() or path.is_dir()


def write(args, path, writer):
    """Call `writer(temporary path)` and give its file a name: `path`, or a free one if that must not be replaced.

    A file that was there before is an error of `check_files`; this one is of another process that ran at the same time.
    """
    for name in free_names(path):
        if is_taken(name) and not args.overwrite:
            continue
        try:
            with replaced(name, overwrite=args.overwrite) as part:
                writer(part)
        except FileExistsError:
            continue
        return name


def make_classifier(args, split):
    from skcnn import ConvSigmoidClassifier

    parameters = {}
    if args.notebook:
        parameters = NOTEBOOK | {"batch_size": len(split.y_train)}
    given = {
        "n_filters": args.n_filters,
        "kernel_size": args.kernel_size,
        "batch_size": args.batch_size,
        "learning_rate_init": args.learning_rate,
        "max_iter": args.epochs,
    }
    parameters |= {name: value for name, value in given.items() if value is not None}
    return ConvSigmoidClassifier(
        image_shape=split.image_shape, rescale=split.rescale, random_state=args.seed, **parameters
    )


class Progress:
    """A progress bar on a terminal, or about ten lines if tqdm is not installed; keeps warnings until afterwards."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs
        self.bar = None
        self.catcher = warnings.catch_warnings(record=True)

    def __enter__(self):
        self.caught = self.catcher.__enter__()
        warnings.simplefilter("always")
        if has_module("tqdm"):
            from tqdm import tqdm

            # disable=None: no bar if standard error is not a terminal.
            self.bar = tqdm(total=self.n_epochs, unit="epoch", disable=None, leave=False)
        return self

    def begin(self, state):
        if state.n_iter == 0:
            self.initial = state.parameters.copy()

    @property
    def remarks(self):
        return [str(warning.message) for warning in self.caught]

    @property
    def interrupted(self):
        return any("interrupted" in remark for remark in self.remarks)

    def end(self, state):
        if self.bar is not None:
            self.bar.set_postfix_str(f"loss {state.loss:.4f}", refresh=False)
            self.bar.update()
        elif state.n_iter % max(1, self.n_epochs // 10) == 0:
            print(f"epoch {state.n_iter:4d}  loss {state.loss:.4f}", flush=True)

    def __exit__(self, *exception):
        if self.bar is not None:
            self.bar.close()
        return self.catcher.__exit__(*exception)


def report(name, clf, split, y_train, y_test, seconds, scale=1.0):
    scores = (clf.score(split.X_train * scale, y_train), clf.score(split.X_test * scale, y_test))
    print(f"{name:24s}{scores[0]:8.4f}{scores[1]:8.4f}{seconds:10.2f}", flush=True)


def baseline(split, y_train, y_test):
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clf = LogisticRegression().fit(split.X_train * split.rescale, y_train)
    report("logistic regression", clf, split, y_train, y_test, time.perf_counter() - start, scale=split.rescale)


def make_figure(clf, before):
    """A figure of the filters before and after training, and the loss curve."""
    from matplotlib.figure import Figure

    from skcnn.inspection import FiltersDisplay, LossCurveDisplay

    # The initial parameters have the layout of the fitted ones, the first layer's filters first.
    shape = clf.coefs_[0].shape
    initial = np.moveaxis(before[: clf.coefs_[0].size].reshape(shape), 1, -1)
    after = np.moveaxis(clf.coefs_[0], 1, -1)
    figure = Figure(figsize=(10.0, 6.0), layout="constrained")
    *parts, last = figure.subfigures(3, 1, height_ratios=(1, 1, 2))
    for part, filters, title in zip(parts, (initial, after), ("before training", "after training"), strict=True):
        display = FiltersDisplay(filters).plot(part.subplots(), n_cols=16, colorbar=False)
        display.bounding_ax_.set_title("")
        part.suptitle(f"Filters {title}")
    LossCurveDisplay.from_estimator(clf, ax=last.subplots())
    return figure


if __name__ == "__main__":
    sys.exit(main())
