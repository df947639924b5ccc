"""The picture of distributed.md: python docs/figures/distributed.py

Writes distributed-round.png to its own folder: two rounds of training with four replicas.
"""

from pathlib import Path

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot
from matplotlib.patches import FancyBboxPatch

N_REPLICAS = 4
BASE, REPLICA, MERGE, VALIDATION = "#fdf0d5", "#dbe9f6", "#e4f1e1", "#eee7f4"
MIDDLE = (N_REPLICAS - 1) / 2
HEIGHT = 0.62


def box(ax, x, y, text, color, width=1.5):
    """A task at its centre."""
    corner = x - width / 2, y - HEIGHT / 2
    patch = FancyBboxPatch(corner, width, HEIGHT, boxstyle="round,pad=0,rounding_size=0.08", fc=color, ec="0.35", lw=1)
    ax.add_patch(patch)
    ax.text(x, y, text, ha="center", va="center", fontsize=9, linespacing=1.15)


def arrow(ax, start, end, **style):
    ax.annotate(
        "", end, start, arrowprops={"arrowstyle": "-|>", "color": "0.35", "lw": 1, "shrinkA": 0, "shrinkB": 0} | style
    )


def draw_round(ax, x, number):
    """The tasks of a round whose base is at x; returns where the next base is."""
    replicas, merges, root, following = x + 2.1, x + 4.2, x + 6.1, x + 8.1
    box(ax, x, MIDDLE, f"base {number}\nparameters", BASE)
    for i in range(N_REPLICAS):
        y = N_REPLICAS - 1 - i
        arrow(ax, (x + 0.75, MIDDLE), (replicas - 0.75, y))
        box(ax, replicas, y, f"replica {i + 1}\non shard {i + 1}", REPLICA)
        arrow(ax, (replicas + 0.75, y), (merges - 0.6, MIDDLE + (1 if i < 2 else -1)))
    for y in (MIDDLE + 1, MIDDLE - 1):
        box(ax, merges, y, "mean", MERGE, width=1.2)
        arrow(ax, (merges + 0.6, y), (root - 0.6, MIDDLE))
    box(ax, root, MIDDLE, "outer\nstep", MERGE, width=1.2)
    arrow(ax, (root + 0.6, MIDDLE), (following - 0.75, MIDDLE))
    return following


def main():
    figure, ax = pyplot.subplots(figsize=(11, 3.6), layout="constrained")
    last = draw_round(ax, draw_round(ax, 0, 0), 1)
    box(ax, last, MIDDLE, "base 2\nparameters", BASE)
    box(ax, last, -0.25, "validation\nloss, score", VALIDATION)
    arrow(ax, (last, MIDDLE - HEIGHT / 2), (last, -0.25 + HEIGHT / 2), linestyle="--")
    ax.text(last, 0.72, " at the end\n of an epoch", fontsize=8, va="center")
    for number in range(2):
        left = 8.1 * number - 0.75
        ax.annotate(
            "",
            (left, -0.75),
            (left + 7.6, -0.75),
            arrowprops={"arrowstyle": "|-|,widthA=0.3,widthB=0.3", "color": "0.5"},
        )
        ax.text(left + 3.8, -0.82, f"round {number + 1}", ha="center", va="top", fontsize=9)
    ax.set(xlim=(-0.9, last + 1.1), ylim=(-1.25, N_REPLICAS - 0.55))
    ax.set_axis_off()
    figure.savefig(Path(__file__).parent / "distributed-round.png", dpi=90)


if __name__ == "__main__":
    main()
