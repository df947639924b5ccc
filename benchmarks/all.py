"""All measurements in sequence, as one Markdown document.

    python benchmarks/all.py --data mnist.npz --threads 1 2 > results.md

Each program runs in its own process. With --folder, the results of speed.py and the figures are written there.
"""

import argparse
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from machine import count_cpus, describe_run, stop, thread_count

HERE = Path(__file__).resolve().parent
MODULES = ("sklearn", "torch", "jax", "keras", "tensorflow", "skorch", "aeon", "mnist1d")


@dataclass(frozen=True)
class Program:
    title: str
    file: str
    arguments: tuple = ()
    reads_data: bool = False


def list_programs(threads, folder):
    """The programs to run, some of them with each number of threads."""
    programs = []
    for n in threads:
        json = ("--json", str(folder / f"speed-{n}.json")) if folder else ()
        own = ("--threads", str(n))
        title = "one thread" if n == 1 else f"{n} threads"
        programs.append(Program(f"An epoch, and predictions: {title}", "speed.py", (*own, *json), reads_data=True))
        programs.append(Program(f"A grid search: {title}", "search.py", own))
    plot = ("--plot", str(folder / "scaling.svg")) if folder else ()
    most = ("--threads", str(max(threads)))
    return [
        *programs,
        Program("How time grows", "scaling.py", (*most, *plot), reads_data=True),
        Program("Threads on a busy machine", "busy.py", most, reads_data=True),
        Program("Memory, and the import", "memory.py"),
        Program("The kernels and the peak", "kernels.py"),
        Program("Accuracy against seconds", "accuracy.py", most, reads_data=True),
    ]


def run(program, data, quick):
    """Print a program's title, its command and its output."""
    real = [*program.arguments, *(["--quick"] if quick else [])]
    if program.reads_data and data:
        real += ["--data", data]
    shown = [Path(argument).name for argument in real]  # without this machine's folders
    print(f"## {program.title}\n\n```sh\n{shlex.join(['python', f'benchmarks/{program.file}', *shown])}\n```\n")
    sys.stdout.flush()
    done = subprocess.run([sys.executable, str(HERE / program.file), "--no-header", *real])
    if done.returncode:
        stop(f"{program.file} failed")


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="FILE", help="an .npz laid out as Keras's mnist.npz; random images without")
    parser.add_argument("--threads", type=thread_count, nargs="+", default=[min(2, count_cpus())])
    parser.add_argument("--quick", action="store_true", help="less of everything, to see it run; not to be quoted")
    parser.add_argument("--folder", type=Path, help="where to write speed-N.json, speed-N.svg and scaling.svg")
    return parser.parse_args(argv)


def main(argv=None):
    options = parse_arguments(argv)
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    print(f"# Benchmarks\n\n{describe_run(' and '.join(map(str, options.threads)), MODULES)}\n", flush=True)
    for program in list_programs(options.threads, options.folder):
        run(program, options.data, options.quick)
    if options.folder:
        for n in options.threads:
            results = options.folder / f"speed-{n}.json"
            chart = [str(HERE / "chart.py"), str(results), "--out", str(results.with_suffix(".svg"))]
            subprocess.run([sys.executable, *chart], check=True)


if __name__ == "__main__":
    main()
