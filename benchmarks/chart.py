"""A bar chart of speed.py's ratios to skcnn.

python benchmarks/speed.py --data mnist.npz --json speed.json
python benchmarks/chart.py speed.json --out speed.svg
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("agg")
matplotlib.rcParams["svg.hashsalt"] = "skcnn"  # the same file for the same figures
from matplotlib import pyplot  # noqa: E402

TITLES = {"epoch": "time of an epoch", "predict": "time to predict"}
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
OURS, THEIRS = "tab:orange", "tab:blue"


def draw_panel(axis, summaries, title, limits):
    """One bar a program, from 1 to its ratio, on a logarithmic axis."""
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


def draw(run, file):
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
    threads = "1 thread" if run["threads"] == 1 else f"{run['threads']} threads"
    figure.supxlabel(f"times skcnn's on bytes, {threads}; shorter is faster", fontsize=8)
    figure.savefig(file, metadata={"Date": None} if file.endswith(".svg") else None)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", help="what speed.py --json wrote")
    parser.add_argument("--out", default="speed.svg", help="an .svg or .png")
    options = parser.parse_args(argv)
    draw(json.loads(Path(options.results).read_text()), options.out)


if __name__ == "__main__":
    main()
