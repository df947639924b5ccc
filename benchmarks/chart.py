"""Charts of speed.py's ratios to skcnn, as bars, and of accuracy.py's accuracies against seconds.

python benchmarks/speed.py --data mnist.npz --json speed.json
python benchmarks/chart.py speed.json --out speed.svg
python benchmarks/accuracy.py --data mnist.npz --sets mnist --threads 2 --json accuracy.json
python benchmarks/chart.py accuracy.json --out accuracy.svg
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("agg")
matplotlib.rcParams["svg.hashsalt"] = "skcnn"  # equal data give identical files
from matplotlib import pyplot  # noqa: E402

TITLES = {"epoch": "time of an epoch", "predict": "time to predict"}
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
SECONDS = (1, 3, 10, 30, 100, 300)
OURS, THEIRS = "tab:orange", "tab:blue"
LABELS = {
    "skcnn, as by default": "skcnn, one layer",
    "skcnn, 16 and 32 filters, 3 epochs": "skcnn, 16 and 32 filters,\n3 epochs",
    "skcnn, the same, 5 epochs": "skcnn, the same,\n5 epochs",
    "skcnn, 32, 64 and 128 filters, shifted, smoothed, 16 epochs": "skcnn, 32, 64 and 128 filters,\nshifted, 16 epochs",
    "PyTorch, 16 and 32 filters, 5 epochs": "PyTorch, 16 and 32 filters,\n5 epochs",
    "HistGradientBoostingClassifier()": "HistGradientBoosting-\nClassifier()",
    "SVC(C=10), RBF": "SVC(C=10)",
}


def draw_panel(axis, summaries, title, limits):
    """Draw one bar for each program, from 1 to its ratio, on a logarithmic axis."""
    ticks = [tick for tick in TICKS if limits[0] <= tick <= limits[1]]
    names = list(summaries)
    ratios = [summaries[name]["ratio"] for name in names]
    colors = [OURS if name.startswith("skcnn") else THEIRS for name in names]
    bars = axis.barh(names, [ratio - 1 for ratio in ratios], left=1, color=colors)
    axis.bar_label(bars, [f"{ratio:.2f}" for ratio in ratios], padding=2, fontsize=7)
    axis.axvline(1, color="0.5", linewidth=0.8)
    axis.set_xscale("log")
    axis.set_xlim(limits)
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    axis.invert_yaxis()
    axis.tick_params(labelsize=7)
    axis.set_title(title, fontsize=8)


def draw_ratios(run):
    networks = run["networks"]
    ratios = [
        own["ratio"] for results in networks.values() for summaries in results.values() for own in summaries.values()
    ]
    limits = min(0.5, *ratios) / 1.3, max(2, *ratios) * 1.8
    figure, axes = pyplot.subplots(
        len(networks), len(TITLES), figsize=(11, 2.6 * len(networks)), layout="constrained", squeeze=False
    )
    for row, (network, results) in zip(axes, networks.items(), strict=True):
        for axis, (what, title) in zip(row, TITLES.items(), strict=True):
            draw_panel(axis, results[what], f"{network}: {title}", limits)
    figure.supxlabel(f"times skcnn's on bytes, {count_threads(run)}; shorter is faster", fontsize=8)
    return figure


def count_threads(run):
    return "1 thread" if run["threads"] == 1 else f"{run['threads']} threads"


def draw_accuracy(run):
    """Draw a point for each program, with its name below, or above for the second of two neighbours."""
    figure, axis = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for name, own in run["programs"].items():
        color = OURS if name.startswith("skcnn") else THEIRS
        point = own["seconds"], 100 * own["accuracy"]
        axis.plot(*point, "o", color=color)
        above = name.startswith("skcnn, the same")
        axis.annotate(
            LABELS.get(name, name),
            point,
            (0, 7 if above else -7),
            textcoords="offset points",
            ha="center",
            va="bottom" if above else "top",
            fontsize=9,
            color=color,
        )
    axis.set_xscale("log")
    axis.margins(x=0.22, y=0.17)
    ticks = [tick for tick in SECONDS if axis.get_xlim()[0] <= tick <= axis.get_xlim()[1]]
    axis.set_xticks(ticks, [f"{tick} s" for tick in ticks])
    axis.minorticks_off()
    axis.yaxis.set_major_formatter("{x:.1f} %")
    axis.grid(color="0.92")
    axis.spines[["top", "right"]].set_visible(False)
    axis.set(xlabel=f"seconds of a fit, {count_threads(run)}", ylabel="test accuracy")
    axis.set_title(f"MNIST, {run['n_train']:,} training images", fontsize=10)
    return figure


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", help="what speed.py or accuracy.py wrote with --json")
    parser.add_argument("--out", default="chart.svg", help="an .svg or .png")
    options = parser.parse_args(argv)
    run = json.loads(Path(options.results).read_text())
    figure = draw_ratios(run) if "networks" in run else draw_accuracy(run)
    figure.savefig(options.out, dpi=150, metadata={"Date": None} if options.out.endswith(".svg") else None)


if __name__ == "__main__":
    main()
