"""Lines of the compiled code that no test has run, by gcov: the folder of a build with coverage and line directives."""

import json
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path


def count_runs(build):
    """How often each line of a source file of the kernels was run, in all of its compiled copies."""
    runs = defaultdict(Counter)
    for data in Path(build).rglob("*.gcda"):
        command = ["gcov", "--json-format", "--stdout", data.name]
        output = subprocess.run(command, cwd=data.parent, capture_output=True, text=True, check=True).stdout
        for file in (file for line in output.splitlines() for file in json.loads(line)["files"]):
            name = file["file"].rpartition("skcnn/kernels/")[2]
            source = Path(__file__).parents[1] / "skcnn/kernels" / name
            # Cython's own utility code counts as the last line that was named before.
            n_lines = len(source.read_text().splitlines()) if source.suffix in {".pyx", ".pxd", ".pxi"} else 0
            for line in file["lines"]:
                if line["line_number"] <= n_lines:
                    runs[name][line["line_number"]] += line["count"]
    return runs


def main(build):
    runs = count_runs(build)
    for name, counts in sorted(runs.items()):
        source = (Path(__file__).parents[1] / "skcnn/kernels" / name).read_text().splitlines()
        for number in sorted(number for number, count in counts.items() if not count):
            print(f"{name}:{number}: {source[number - 1].strip()}")
    counts = [count for counter in runs.values() for count in counter.values()]
    print(f"{len(counts)} lines, {counts.count(0)} not run")


if __name__ == "__main__":
    main(*sys.argv[1:])
