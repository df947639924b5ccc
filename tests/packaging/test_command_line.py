"""The command line as a user runs it: its report, its files, its errors."""

import re
import shlex
import subprocess
import sys

import joblib
import numpy as np
import pytest
from matplotlib.image import imread

from skcnn import ConvSigmoidClassifier, training
from skcnn import __main__ as command_line
from skcnn.datasets import load_mnist_sample


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*args):
    assert command_line.main([str(arg) for arg in args]) == 0


def accuracies(text):
    """(train, test) of each row of the report."""
    rows = re.findall(r"^(skcnn|logistic regression) +([\d.]+) +([\d.]+) +[\d.]+$", text, flags=re.MULTILINE)
    return {name: (float(train), float(test)) for name, train, test in rows}


def wrong_use(capsys, *args):
    """The error message of a wrong use."""
    try:
        status = command_line.main([str(arg) for arg in args])
    except SystemExit as error:
        status = error.code
    assert status == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("skcnn: error: ")
    return last.removeprefix("skcnn: error: ")


def test_main_job(capsys):
    run()
    out = capsys.readouterr().out
    assert re.search(r"label +0 +1 +2 +3 +4 +5 +6 +7 +8 +9\n +images +21 +26 +20 +21 +21 +13 +19 +21 +15 +23", out)
    assert re.search(r"class +<= 4 +> 4\n +images +109 +91", out)
    scores = accuracies(out)
    assert scores["skcnn"][1] >= scores["logistic regression"][1] + 0.02
    clf = joblib.load("skcnn-model.joblib")
    split = load_mnist_sample(as_split=True)
    assert clf.score(split.X_test, np.where(split.y_test > 4, "> 4", "<= 4")) == pytest.approx(
        scores["skcnn"][1], abs=5.1e-5
    )


def test_notebook(capsys):
    run("--notebook", "--no-baseline")
    out = capsys.readouterr().out
    assert accuracies(out)["skcnn"][1] >= 0.83
    clf = joblib.load("skcnn-model.joblib")
    assert clf.filters_.shape == (3, 5, 5)
    assert not np.concatenate(clf.intercepts_).any()
    assert (clf.loss, clf.batch_size, clf.solver, clf.momentum) == ("squared_error", 200, "sgd", 0.0)


def test_all_classes_of_digits(capsys):
    run("--dataset", "digits", "--classes", "all", "--epochs", 30, "--no-baseline")
    assert accuracies(capsys.readouterr().out)["skcnn"][1] > 0.95


def test_mnist_of_keras(capsys, monkeypatch):
    monkeypatch.setattr("skcnn.datasets.load_keras_mnist", lambda: load_mnist_sample(as_split=True))
    run(*shlex.split("--dataset mnist --epochs 1 --n-train 50 --n-test 20 --no-baseline"))
    assert accuracies(capsys.readouterr().out)["skcnn"][1] >= 0
    assert joblib.load("skcnn-model.joblib").t_ == 50


def test_options_reach_the_classifier():
    network = "--n-filters 2 --kernel-size 3 --epochs 2 --batch-size 10 --learning-rate 0.02 --seed 3"
    run(*shlex.split(network), *shlex.split("--n-train 50 --n-test 20 --no-baseline --save model.joblib"))
    clf = joblib.load("model.joblib")
    assert clf.filters_.shape == (2, 3, 3)
    assert clf.t_ == 2 * 50
    assert (clf.batch_size, clf.learning_rate_init, clf.random_state) == (10, 0.02, 3)


def n_colours(path):
    """Number of colours, other than grey, of the filters in the upper half of the figure."""
    image = imread(path)[..., :3]
    pixels = image[: len(image) // 2].reshape(-1, 3)
    return len(np.unique(pixels[np.ptp(pixels, axis=1) > 0], axis=0))


@pytest.mark.parametrize("n_filters", [1, 3])
def test_plot(n_filters):
    run("--epochs", 2, "--no-baseline", "--n-filters", n_filters, "--plot", "filters.png")
    with open("filters.png", "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"
    assert n_colours("filters.png") > 20


def test_plot_of_colours(rng):
    x = rng.rand(10, 8, 9, 3)
    y = np.arange(10)
    np.savez("images.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    run("--dataset", "images.npz", "--epochs", 2, "--no-baseline", "--plot", "filters.png")
    assert n_colours("filters.png") > 20


def test_web_page():
    run("--classes", "all", "--epochs", 2, "--no-baseline", "--html", "page.html")
    with open("page.html", encoding="utf-8") as file:
        page = file.read()
    assert page.startswith("<!doctype html>")
    assert '"classes":["0","1","2","3","4","5","6","7","8","9"]' in page


def test_quiet_bar_or_plain_lines(capsys, monkeypatch):
    """There is no bar without a terminal, and about ten plain lines without tqdm."""
    run("--epochs", 20, "--no-baseline")
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "epoch   " not in captured.out
    monkeypatch.setattr(command_line, "has_module", lambda name: False)
    run("--epochs", 20, "--no-baseline")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    assert len(lines) == 10
    assert re.fullmatch(r"epoch   20  loss \d\.\d{4}", lines[-1])


WRONG = [
    ("--dataset cifar", "takes sample, digits, mnist or the path of an .npz file; got 'cifar'"),
    ("--dataset missing.npz", "No such file"),
    ("--classes some", "invalid choice: 'some'"),
    ("--n-train -3", "argument --n-train: '-3' is not an integer above 0"),
    ("--n-filters 0", "argument --n-filters: '0' is not an integer above 0"),
    ("--epochs many", "argument --epochs: 'many' is not an integer above 0"),
    ("--learning-rate nan", "argument --learning-rate: 'nan' is not a number above 0"),
    ("--seed -1", "argument --seed: '-1' is not an integer above -1"),
    ("--seed 99999999999", "random_state=99999999999 must be None"),
    ("--save nowhere/model.joblib", "No such file or directory: 'nowhere/model.joblib'"),
    ("--save .", "Is a directory: '.'"),
    ("--plot a.jpog", "--plot a.jpog: the name must end in one of ."),
    ("--plot a.png --save a.png", "--plot and --save both name a.png"),
    ("--html a.html --save a.html", "--html and --save both name a.html"),
    ("--html nowhere/a.html", "No such file or directory: 'nowhere/a.html'"),
    ("--n-train 1", "asks for label > 4, but every label is > 4; use --classes all"),
    ("--notebook --learning-rate 1e300", "Training diverged"),
]


@pytest.mark.parametrize(("args", "message"), WRONG, ids=[case[0] for case in WRONG])
def test_wrong_use(capsys, args, message):
    assert message in wrong_use(capsys, *args.split())


def test_plot_without_matplotlib(capsys, monkeypatch):
    monkeypatch.setattr(command_line, "has_module", lambda name: name != "matplotlib")
    assert wrong_use(capsys, "--plot", "a.png") == "--plot needs matplotlib: pip install 'skcnn[demo]'"


def test_labels_that_are_no_numbers(capsys, rng):
    x, y = rng.rand(10, 8, 8), np.array(["cat", "dog"] * 5)
    np.savez("images.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    assert "use --classes all" in wrong_use(capsys, "--dataset", "images.npz")
    run("--dataset", "images.npz", "--classes", "all", "--epochs", 2)
    assert re.search(r"label +cat +dog\n +images +5 +5", capsys.readouterr().out)


def test_interrupted(capsys, monkeypatch):
    """In the first epoch there is nothing to keep; later, the current model is reported and saved."""

    def interrupt(self, state):
        if state.n_iter == n_epochs:
            raise KeyboardInterrupt

    monkeypatch.setattr(command_line.Progress, "begin", interrupt)
    n_epochs = 0
    assert command_line.main([]) == 130
    assert capsys.readouterr().err == "interrupted\n"
    n_epochs = 2
    monkeypatch.setattr(training._interrupt, "seconds", -np.inf)
    assert command_line.main([]) == 130
    out = capsys.readouterr().out
    assert "Training interrupted by user" in out
    assert list(accuracies(out)) == ["skcnn"]
    assert joblib.load("skcnn-model.joblib").n_iter_ == 2


def test_reader_that_goes_away():
    """As in `skcnn | head -1`."""
    command = [sys.executable, "-P", "-m", "skcnn", "--epochs", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


def test_many_labels(capsys, rng):
    x, y = rng.rand(90, 6, 6), np.arange(90) % 30
    np.savez("images.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    run("--dataset", "images.npz", "--classes", "all", "--epochs", 2)
    assert "30 different labels" in capsys.readouterr().out


def test_help_has_the_defaults(capsys):
    with pytest.raises(SystemExit):
        run("--help")
    shown = " ".join(capsys.readouterr().out.split())
    clf = ConvSigmoidClassifier()
    defaults = clf.n_filters, 5, clf.learning_rate_init, 200
    for what, value in zip(("convolution", "pixels", "solver", "most"), defaults, strict=True):
        assert f"{what} (default {value})" in shown


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_installed_command(option, tmp_path):
    """`python -P -m`, so that a folder named skcnn cannot hide the installed package."""
    result = subprocess.run(
        [sys.executable, "-P", "-m", "skcnn", option], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "skcnn" in result.stdout
    assert result.stderr == ""
