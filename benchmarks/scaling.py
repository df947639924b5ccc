"""Growth of skcnn's time with the data and the network, and the effect of threads, batch sizes and single rows.

    python benchmarks/scaling.py --data mnist.npz [--threads 2] [--plot scaling.svg]

If the number of images or pixels varies, the images are random bytes.
"""

import warnings
from dataclasses import replace

import numpy as np
from machine import add_threads, limit_threads, make_parser, parse, print_header, print_table, take_turns, timed
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from tasks import CONFIGS, Skcnn, add_data, check_threads, load_data, make_task, random_data

from skcnn import ConvSigmoidClassifier

N_SAMPLES = (6_000, 12_000, 24_000, 40_000, 60_000)
N_FILTERS = (4, 8, 16, 28, 40)
SIDES = (14, 20, 28, 36, 45)
BASE_SAMPLES = 12_000  # unless n_samples varies
BATCH_SIZES = (1, 7, 16, 20, 32, 100, 128, 256)


def make_contender(data, config, threads):
    """skcnn with batches in a random order."""
    contender = Skcnn(make_task(data, config), threads)
    contender.arrange(np.random.RandomState(1).permutation(len(data.X)))
    return contender


# ---- an epoch against samples, filters and pixels ----


def growth_contenders(quick, threads):
    """For each quantity, its values and a contender for each value."""
    medium = CONFIGS["medium"]
    share = 10 if quick else 1

    def contender(n_samples=BASE_SAMPLES, n_filters=medium.n_filters[0], image_side=28):
        data = random_data(n_samples // share, 100, (image_side, image_side, 1))
        return make_contender(data, replace(medium, n_filters=(n_filters,)), threads)

    return {
        "images": ([n // share for n in N_SAMPLES], [contender(n_samples=n) for n in N_SAMPLES]),
        "filters": (N_FILTERS, [contender(n_filters=n) for n in N_FILTERS]),
        "pixels": ([side**2 for side in SIDES], [contender(image_side=side) for side in SIDES]),
    }


def fit_line(x, y):
    """Slope, intercept and R^2 of the least-squares line."""
    slope, intercept = np.polyfit(x, y, 1)
    residuals = y - (slope * np.asarray(x) + intercept)
    return slope, intercept, 1 - np.sum(residuals**2) / np.sum((y - np.mean(y)) ** 2)


def measure_growth(quick, threads, repeats):
    """Values and median seconds of an epoch, by the varied quantity."""
    growth = {}
    for quantity, (values, contenders) in growth_contenders(quick, threads).items():
        seconds = take_turns([contender.epoch for contender in contenders], repeats)
        growth[quantity] = values, np.median(seconds, axis=0)
    return growth


def print_growth(growth):
    def rows():
        for quantity, (values, seconds) in growth.items():
            slope, intercept, r2 = fit_line(values, seconds)
            for value, own in zip(values, seconds, strict=True):
                yield quantity, value, f"{own * 1e3:.1f}", f"{(slope * value + intercept) * 1e3:.1f}", f"{r2:.4f}"

    print(f"An epoch of {CONFIGS['medium']}, one quantity varied\n")
    print_table(["quantity", "value", "ms an epoch", "least-squares line, ms", "R^2 of the line"], rows())


def plot_growth(growth, file):
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams["svg.hashsalt"] = "skcnn"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(growth), figsize=(10, 3), layout="constrained")
    for axis, (quantity, (values, seconds)) in zip(axes, growth.items(), strict=True):
        slope, intercept, r2 = fit_line(values, seconds)
        ends = np.array([0, max(values)])
        axis.plot(ends, (slope * ends + intercept) * 1e3, color="0.7")
        axis.plot(values, seconds * 1e3, "o")
        axis.set(xlabel=quantity, ylabel="ms an epoch", title=f"R² = {r2:.4f}", ylim=(0, None))
    figure.savefig(file, metadata={"Date": None} if file.endswith(".svg") else None)


# ---- threads and batches ----


def print_threads(data, threads, repeats):
    """Print seconds of epochs and predictions with one thread and with several."""

    def rows():
        for config in CONFIGS.values():
            pair = [make_contender(data, config, n) for n in (1, threads)]
            for what, calls in (
                ("an epoch", [contender.epoch for contender in pair]),
                (f"predicting {len(data.X_new)}", [contender.predict_proba for contender in pair]),
            ):
                seconds = take_turns(calls, repeats)
                one, several = np.median(seconds, axis=0) * 1e3
                ratio = np.median(seconds[:, 0] / seconds[:, 1])
                yield str(config), what, f"{one:.1f}", f"{several:.1f}", f"{ratio:.2f}"

    print(f"{data.source}; one thread against {threads}\n")
    print_table(["network", "what", "ms, 1 thread", f"ms, {threads} threads", "times as fast"], rows())


def print_batches(data, threads, repeats):
    names = ("small", "medium")
    rates = []
    for name in names:
        contenders = [make_contender(data, replace(CONFIGS[name], batch_size=size), threads) for size in BATCH_SIZES]
        seconds = take_turns([contender.epoch for contender in contenders], repeats)
        rates.append(len(data.X) / np.median(seconds, axis=0))
    print(f"{data.source}; images a second in training\n")
    networks = [str(CONFIGS[name]).rsplit(",", 1)[0] for name in names]
    rows = ((size, *(f"{rate:.0f}" for rate in own)) for size, *own in zip(BATCH_SIZES, *rates, strict=True))
    print_table(["batch", *networks], rows)


# ---- one row ----


def print_single_row(data, n_calls):
    """Print microseconds of predict_proba on one row, most of which is the overhead of a call."""
    X, y = data.X[:1000], data.digits[:1000]
    scaled = X.astype(np.float32) / 255
    models = {
        "skcnn, one uint8 row": (ConvSigmoidClassifier(8, pool_size=1, rescale=1 / 255, max_iter=2), X),
        "skcnn, one float32 row": (ConvSigmoidClassifier(8, pool_size=1, max_iter=2), scaled),
        "skcnn, one uint8 row, default network": (ConvSigmoidClassifier(rescale=1 / 255, max_iter=2), X),
        "MLPClassifier((100,)), one float32 row": (MLPClassifier((100,), max_iter=2), scaled),
    }
    calls = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for model, images in models.values():
            model.fit(images, y)
            calls.append(lambda model=model, row=images[:1]: model.predict_proba(row))
    seconds = np.array([[timed(call)[0] for call in calls] for _ in range(n_calls + 1)])[1:]
    medians = np.median(seconds, axis=0)
    print(f"8 filters 5x5, and a hidden layer of 100, one thread; medians of {n_calls} calls in turns\n")
    rows = ((name, f"{own * 1e6:.0f}", f"{own / medians[0]:.2f}") for name, own in zip(models, medians, strict=True))
    print_table(["program", "µs a row", "ratio"], rows)


def main(argv=None):
    parser = make_parser(__doc__)
    add_data(parser)
    add_threads(parser)
    parser.add_argument("--n-train", type=int, default=BASE_SAMPLES, help="images of all but the first table")
    parser.add_argument("--plot", metavar="FILE", help="where to draw the first table")
    options = parse(parser, argv)
    limit_threads(options.threads)
    check_threads(options.threads)
    print_header(options, options.threads, ("sklearn",))
    growth = measure_growth(options.quick, options.threads, options.repeats)
    print_growth(growth)
    if options.plot:
        plot_growth(growth, options.plot)
    data = load_data(options.data, 2000 if options.quick else options.n_train)
    if options.threads > 1:
        print_threads(data, options.threads, options.repeats)
    print_batches(data, options.threads, options.repeats)
    print_single_row(data, 200 if options.quick else 5000)


if __name__ == "__main__":
    main()
