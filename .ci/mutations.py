"""Errors to put into the code one by one, each of which some test must find: python .ci/mutations.py [FIRST [LAST]].

An error of the kernels is built for the baseline level alone. Prints, for each error, the tests that found it, and ends
with 1 if there was one that none did. Needs what the tests need, and takes an hour.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]

KERNELS = "tests/kernels"
# Each is a file, what stands there once, and what to put in its place; then the tests to run until one fails.
MUTATIONS = [
    # solvers
    ("kernels/solvers.pxd", "1 - pow(solver.beta_2, <double> step)", "1 - pow(solver.beta_2, <double> step + 1)", KERNELS),
    ("kernels/solvers.pxd", "+ rest_1 * gradient[i]\n", "+ gradient[i]\n", KERNELS),
    ("kernels/solvers.pxd", "(sqrtf(second_moment[i]) + epsilon)", "sqrtf(second_moment[i] + epsilon)", KERNELS),
    ("kernels/solvers.pxd", "momentum * velocity[i] - rate * gradient[i]\n        if", "momentum * velocity[i] + rate * gradient[i]\n        if", KERNELS),
    ("kernels/solvers.pxd", "part * (parameters[i] - averages_out[i])", "part * parameters[i]", KERNELS),
    # losses
    ("kernels/losses.pxd", "7 if floating is float else 17", "5 if floating is float else 9", KERNELS),
    ("kernels/losses.pxd", "error * p[lane] * (<floating> 1 - p[lane])", "error * p[lane]", KERNELS),
    ("kernels/losses.pxd", "return 0.5 * strength * total", "return strength * total", KERNELS),
    ("kernels/losses.pxd", "inverse if logits[lane] >= 0 else e * inverse", "inverse if logits[lane] >= 0 else inverse", KERNELS),
    # activations
    ("kernels/activations.pxd", "d_values[i] * (<floating> 1 - values[i] * values[i])", "d_values[i] * (<floating> 1 - values[i])", KERNELS),
    ("kernels/activations.pxd", "series * r + <float> 0.041666554662050534", "series * r + <float> 0.0416", KERNELS),
    ("kernels/activations.pxd", "<floating> 0 if values[i] < 0 else values[i]", "<floating> 0 if values[i] < 1 else values[i]", KERNELS),
    ("kernels/activations.pxd", "n_values // (2 * LANES) * LANES if n_values % LANES == 0", "n_values // 2 if n_values % LANES == 0", KERNELS),
    # pooling
    ("kernels/pooling.pxd", "indices[lane] = index if pixel[lane] > best[lane] else", "indices[lane] = index if pixel[lane] >= best[lane] else", KERNELS),
    ("kernels/pooling.pxd", "best[lane] = pixel[lane] if pixel[lane] != pixel[lane] else best[lane]\n            index", "best[lane] = best[lane]\n            index", KERNELS),
    ("kernels/pooling.pxd", "while p < n_values:\n        rest", "while p < n_values - 1:\n        rest", KERNELS),
    # standardisation and normalisation
    ("kernels/standardization.pxd", "(sum_d + standardized[at] * sum_dz)", "(sum_d - standardized[at] * sum_dz)", KERNELS),
    ("kernels/standardization.pxd", "share = weights[g * LANES + lane] / total", "share = 1 / total", KERNELS),
    ("kernels/standardization.pxd", "n_batches + 1 if n_batches < RUNNING_BATCHES", "n_batches + 2 if n_batches < RUNNING_BATCHES", KERNELS),
    ("kernels/normalization.pxd", "if p < n_positions:\n        for lane in range(LANES):\n            value", "if p < n_positions - 1:\n        for lane in range(LANES):\n            value", KERNELS),
    ("kernels/normalization.pxd", "norm.mean += weights[lane] / total * sums[lane]", "norm.mean += sums[lane] / LANES", KERNELS),
    ("kernels/normalization.pxd", "+ (1 - part) * difference * difference", "+ difference * difference", KERNELS),
    ("kernels/normalization.pxd", "- offsets[lane] - slopes[lane]", "+ offsets[lane] - slopes[lane]", KERNELS),
    # from gradients to parameters
    ("kernels/chunks.pxd", "max(rate, span.largest_rate)", "span.largest_rate", KERNELS),
    ("kernels/chunks.pxd", "for number in range(1, n_gradients):", "for number in range(2, n_gradients):", KERNELS),
    ("kernels/chunks.pxd", "strength * scale * scale", "strength * scale", KERNELS),
    ("kernels/chunks.pxd", "step.n_averaged = step.n_averaged + 1 if weight > 0 else 0", "step.n_averaged = step.n_averaged + 1", KERNELS),
    ("kernels/chunks.pxd", "moments + at.net.n_trainable + first, parameters_out", "moments + at.net.n_trainable, parameters_out", KERNELS),
    # batches, groups and threads
    ("kernels/scratch.pxd", "group * n_rows // count_groups(n_rows) if net.normalize", "group * LANES if net.normalize", KERNELS),
    ("kernels/scratch.pxd", "min(n_chunks, <Py_ssize_t> 2) if n_threads == 1", "min(n_chunks, <Py_ssize_t> 1) if n_threads == 1", KERNELS),
    ("kernels/training.pxi", "if net.standardize and n_weighted > 1:", "if net.standardize:", KERNELS + " tests/training"),
    ("kernels/training.pxi", "batch.moves += MOVE_SIZE * batch.n_rows", "batch.moves += batch.n_rows", KERNELS),
    ("kernels/training.pxi", "    team.wait_for_chunks(&work.team)\n", "", KERNELS),
    ("kernels/training.pxi", "step.loss += loss * batch.total_weight", "step.loss += loss", KERNELS),
    ("kernels/batches.pxi", "if move[2]:", "if not move[2]:", KERNELS),
    ("kernels/lanes.pxd", "position += row - width", "position += row - width - 1", KERNELS),
    ("kernels/team.pxd", "return load(&team.n_done) == n_chunks", "return load(&team.n_done) >= n_chunks - 1", KERNELS),
    # the boundary
    ("kernels/_buffers.pyx", "if least < 0 or (most >= n_samples and self.length):", "if least < 0:", KERNELS),
    ("kernels/_buffers.pyx", "fits &= (-height <= moves[0] <= height)", "fits &= (-height - 1 <= moves[0] <= height)", KERNELS),
    ("kernels/_buffers.pyx", "and <size_t> view.buf % <size_t> view.itemsize == 0", "", KERNELS),
    ("kernels/_buffers.pyx", "memcpy(copy, given, n_bytes)", "memcpy(copy, given, n_bytes - sizeof(Py_ssize_t))", KERNELS),
    # the estimator
    ("plan.py", "0.5 + 0.5 * np.cos(pi * passed)", "0.5 + 0.5 * np.cos(2 * pi * passed)", "tests/training"),
    ("plan.py", "(t + 1.0) ** -self.power_t", "t ** -self.power_t", "tests/training"),
    ("plan.py", "if random_shift[0] > most[0] or random_shift[1] > most[1]:", "if random_shift[0] > most[0]:", "tests/training tests/estimator"),
    ("plan.py", "max_iter=1 if incremental else", "max_iter=2 if incremental else", "tests/training"),
    ("targets.py", "return (logits > 0).astype(int)", "return (logits >= 0.5).astype(int)", "tests/estimator tests/training"),
    ("targets.py", "smoothed[targets] = 1 - smoothing + low", "smoothed[targets] = 1 - smoothing", "tests/training"),
    ("targets.py", "low = smoothing / (2 if self.multilabel", "low = smoothing / (3 if self.multilabel", "tests/training"),
    ("state.py", "score < self.best_score + plan.tol", "score < self.best_score", "tests/training"),
    ("state.py", "loss > self.best_loss - plan.tol", "loss > self.best_loss", "tests/training"),
    ("state.py", "        self.drop_incomplete()\n        done", "        done", "tests/training tests/robustness/test_random_interrupts.py"),
    ("state.py", "n_reductions=0 if warm else checkpoint.n_reductions", "n_reductions=checkpoint.n_reductions", "tests/training"),
    ("training.py", "        if interrupted_again():\n            raise\n", "", "tests/robustness/test_random_interrupts.py"),
    ("training.py", "state.parameters, state.moments)\n        # Evaluate", "state.parameters)\n        # Evaluate", "tests/training tests/robustness/test_random_networks.py tests/estimator"),
    ("training.py", "    check_predicts(plan, passes.network, state.final_parameters)\n", "", "tests/training tests/estimator tests/robustness/test_random_networks.py"),
    ("fitting.py", "factor = raising_factor(weights.sum(dtype=np.float64), np.count_nonzero(weights))", "factor = 1", "tests/estimator tests/training"),
    ("fitting.py", "estimator.__dict__ = kept | noted(probe) | attributes", "estimator.__dict__ = vars(estimator) | noted(probe) | attributes", "tests/estimator tests/training"),
    ("fitting.py", "            del state.loss_curve[n_epochs:]\n", "            pass\n", "tests/training tests/robustness/test_random_interrupts.py"),
    ("holdout.py", "    learnt.sort()\n", "", "tests/training"),
    ("holdout.py", "if len(held) < 2 and not is_part:", "if len(held) < 1 and not is_part:", "tests/training"),
    ("images.py", "return largest <= estimator._model.largest_pixel", "return largest <= np.inf", "tests/estimator"),
    ("images.py", "and X.flags.aligned\n", "", "tests/estimator"),
    ("model.py", "slope, offset = 0.0, 1.0", "slope, offset = 0.0, 0.0", "tests/estimator tests/training tests/robustness"),
    ("prediction.py", "log_p -= log_p.max(axis=1, keepdims=True)", "log_p -= 0", "tests/estimator tests/robustness/test_numbers.py"),
    ("network.py", "means * factors", "means", "tests/training tests/kernels/test_normalization.py tests/kernels/test_forward.py"),
    ("network.py", "max(n_rows - LANES, 0) + 1, n_run)", "n_rows, n_run)", "tests/kernels/test_runs.py"),
    ("layers.py", "side // 2) for side in self.kernel_size", "side // 2 - 1) for side in self.kernel_size", "tests/network"),
    ("layers.py", "(_HIDDEN / max(n_hidden, 1)) ** _HIDDEN_POWER", "1.0", "tests/training tests/estimator tests/network"),
    ("saved.py", "check(n_moments == 1 or (moments[1] >= 0).all()", "check(True", "tests/training"),
    ("saved.py", "check(np.isfinite(given).all()", "check(True", "tests/training"),
    ("files.py", "os.replace(part, target)\n        return", "shutil.copy(part, target)\n        return", "tests/robustness/test_files.py"),
    ("files.py", "            part.unlink(missing_ok=True)\n\n\ndef check_writable", "            pass\n\n\ndef check_writable", "tests/robustness/test_files.py"),
    ("files.py", "        shutil.copymode(target, part)\n", "        pass\n", "tests/robustness/test_files.py"),
    ("datasets.py", "archive.files.count(key) > 1", "archive.files.count(key) > 2", "tests/robustness/test_damaged_files.py"),
    ("statistics.py", "part * (1 - part) * differences**2", "part * differences**2", "tests/training"),
    ("threads.py", "_lost_threads or (_used_threads and not _ended)", "_lost_threads", "tests/packaging/test_processes.py"),
    ("validation.py", "if n_jobs == 0:", "if n_jobs == 1000:", "tests/estimator"),
]  # fmt: skip


class Workplace:
    """A copy of the tree, and an environment in which it is installed."""

    def __init__(self, folder):
        self.source, self.tests = folder / "source", folder / "tests-alone"
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
        for name in listed.stdout.splitlines():
            target = self.source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
        # One level is enough: a third of the time.
        meson = self.source / "skcnn/kernels/meson.build"
        meson.write_text(meson.read_text().replace("host_machine.cpu_family() == 'x86_64'", "false"))
        self.tests.mkdir()
        shutil.copytree(self.source / "tests", self.tests / "tests")
        for name in ("README.md", "pyproject.toml"):
            shutil.copy(self.source / name, self.tests)
        venv.create(folder / "environment", with_pip=True)
        self.bin = folder / "environment/bin"
        self.install("pip", "install", "-q", f"{self.source}[test]", "pytest-xdist", "meson-python", "cython", "ninja")
        script = "import os, skcnn; print(os.path.dirname(skcnn.__file__))"
        output = subprocess.run([self.bin / "python", "-P", "-c", script], capture_output=True, text=True, check=True)
        self.installed = Path(output.stdout.strip())
        # Kept between builds, so that only what has changed is compiled.
        self.builds = folder / "build"
        self.build()

    def install(self, *command):
        subprocess.run([self.bin / command[0], *command[1:]], check=True)

    def build(self):
        command = ["-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--force-reinstall"]
        environment = os.environ | {"PATH": f"{self.bin}:{os.environ['PATH']}"}
        options = [f"-Cbuild-dir={self.builds}", str(self.source)]
        subprocess.run([self.bin / "python", *command, *options], check=True, env=environment)

    def put(self, name, text):
        """Write a source file, and build or copy what is made of it."""
        (self.source / "skcnn" / name).write_text(text)
        if name.startswith("kernels/"):
            self.build()
        else:
            (self.installed / name).write_text(text)

    def run_tests(self, tests):
        """The first test that fails, or None."""
        command = [self.bin / "pytest", "-x", "-q", "-n", "2", "-p", "no:cacheprovider", *tests.split()]
        result = subprocess.run(command, cwd=self.tests, capture_output=True, text=True)
        found = re.search(r"^(?:FAILED|ERROR) (\S+)", result.stdout, re.MULTILINE)
        return None if result.returncode == 0 else found[1] if found else result.stdout.strip().splitlines()[-1]


def main(first=0, last=len(MUTATIONS)):
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        place = Workplace(Path(folder))
        for number, (name, old, new, tests) in enumerate(MUTATIONS[first:last], start=first):
            text = (ROOT / "skcnn" / name).read_text()
            if text.count(old) != 1:
                raise SystemExit(f"{number}: {name} has {old!r} {text.count(old)} times")
            place.put(name, text.replace(old, new))
            found = place.run_tests(tests)
            print(f"{number}  {name}: {' '.join(old.split())[:60]} -> {' '.join(new.split())[:60]}: {found}", flush=True)
            if found is None:
                missed.append(number)
            place.put(name, text)
    print(f"{last - first} errors, {len(missed)} not found{': ' if missed else ''}{', '.join(map(str, missed))}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
