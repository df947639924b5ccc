"""The web page that computes a network, in headless Chromium driven by selenium."""

import shutil
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skcnn import ConvSigmoidClassifier
from skcnn.datasets import load_mnist_sample
from skcnn.export import to_html
from tests.helpers.pages import NETWORKS, fit_network

webdriver = pytest.importorskip("selenium.webdriver")
ActionChains, Keys = webdriver.ActionChains, webdriver.Keys


@pytest.fixture
def fit(quick):
    return partial(fit_network, quick)


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium; tests that use `visit` check its console at their end."""
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("there is no Chromium with its chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,800"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    browser.set_script_timeout(20)
    yield browser
    browser.quit()


@pytest.fixture
def visit(browser, tmp_path):
    """Open the page of an estimator; at the end, the console must be empty."""
    browser.get_log("browser")

    def visit(clf, **data):
        browser.get(to_html(clf, tmp_path / "page.html", **data).as_uri())
        settle(browser)
        return browser

    yield visit
    assert browser.get_log("browser") == []


def settle(browser):
    """Wait until changes are shown."""
    wait = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))"
    browser.execute_async_script(wait)


def shown(browser):
    """The table's probabilities, as the percentages shown."""
    settle(browser)
    rows = browser.execute_script("return Array.from(document.querySelectorAll('#bars tr'), (row) => row.innerText)")
    return [float(row.split("\t")[-1].removesuffix(" %")) for row in rows]


def assert_shown(browser, p):
    assert_allclose(shown(browser), 100 * p, rtol=0, atol=0.051)


def ask(browser, X):
    """The page's probabilities for images."""
    rows = X.reshape(len(X), -1).tolist()
    return np.array(browser.execute_script("return arguments[0].map((row) => skcnn.predict(row))", rows))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", NETWORKS)
def test_probabilities(fit, visit, name, dtype):
    clf, X, _ = fit(name, dtype)
    page = visit(clf, images=X[:2])
    p = clf.predict_proba(X)
    assert np.ptp(p, axis=0).min() > 1e-3  # probabilities depend on the images
    assert_allclose(ask(page, X), p, rtol=0, atol=1e-5)
    assert_shown(page, p[0])


def test_digits(quick, visit):
    """A trained stack on the raw pixels of 100 new images."""
    X, y = load_mnist_sample(return_X_y=True)
    clf = ConvSigmoidClassifier((16, 32), max_iter=8, tol=1e9, n_iter_no_change=6, random_state=0).fit(X[:200], y[:200])
    page = visit(clf)
    p = clf.predict_proba(X[200:300])
    assert (p.argmax(axis=1) == y[200:300]).mean() > 0.5
    assert_allclose(ask(page, X[200:300]), p, rtol=0, atol=1e-5)


def test_vanishing_sigmoids_have_probabilities(quick, visit, digits):
    X, y = digits
    clf = quick().fit(X, y)
    clf.intercepts_[-1][:] = -800
    p = clf.predict_proba(X)
    assert_allclose(ask(visit(clf), X), p, rtol=0, atol=1e-5)
    assert_allclose(p.sum(axis=1), 1)


@pytest.mark.parametrize("name", ["stack, same padding, pools", "batch_norm", "global average"])
def test_feature_maps(fit, visit, name):
    """The last layer's maps equal the result of `transform`."""
    clf, X, _ = fit(name)
    page = visit(clf)
    script = """
        const { outputs } = skcnn.run(arguments[0]);
        return outputs.map(({ values }) => Array.from(values));
    """
    outputs = page.execute_script(script, X[0].ravel().tolist())
    assert_allclose(outputs[-2], clf.transform(X[:1])[0], rtol=0, atol=1e-5)


def drag(browser, *places):
    """Drag the pointer between positions on the board, given as fractions of its sides."""
    actions = ActionChains(browser, duration=20)
    board = browser.find_element("id", "board")
    width, height = board.size["width"], board.size["height"]
    for number, (x, y) in enumerate(places):
        actions.move_to_element_with_offset(board, round((x - 0.5) * width), round((y - 0.5) * height))
        if number == 0:
            actions.click_and_hold()
    actions.release().perform()
    settle(browser)


def pixels_of(browser, shape):
    return np.array(browser.execute_script("return skcnn.pixels")).reshape(shape)


def test_drawing(visit, quick):
    """A stroke changes pixels along it, with a soft edge, and the probabilities; the eraser removes it."""
    X, y = load_mnist_sample(return_X_y=True)
    clf = quick(max_iter=3).fit(X[:200], y[:200])
    page = visit(clf)
    before = shown(page)
    assert_shown(page, clf.predict_proba(np.zeros((1, 784), dtype=np.uint8))[0])
    drag(page, (0.3, 0.5), (0.7, 0.5))
    image = pixels_of(page, (28, 28))
    assert image.max() == 255
    assert ((image > 0).sum(axis=0)[9:19] == image[:, 14].astype(bool).sum()).all()
    assert 2 <= (image[:, 14] > 60).sum() <= 4
    assert ((image > 0) & (image < 255)).any()
    assert not image[:10].any()
    assert not image[18:].any()
    assert not image[:, :6].any()
    assert not image[:, 22:].any()
    assert shown(page) != before
    assert_shown(page, clf.predict_proba(image.reshape(1, -1))[0])
    page.find_element("id", "eraser").click()
    drag(page, (0.5, 0.5), (0.75, 0.5))
    erased = pixels_of(page, (28, 28))
    assert not erased[:, 15:20].any()
    assert_array_equal(erased[:, :11], image[:, :11])
    page.find_element("id", "clear").click()
    assert shown(page) == before
    assert not pixels_of(page, (28, 28)).any()


def test_drawing_in_colour(visit, fit):
    """Drawing starts from the median of each channel and uses the chosen colour."""
    clf, X, _ = fit("colour")
    page = visit(clf, images=X[:9])
    page.find_element("id", "clear").click()
    blank = np.median(X[:9].reshape(-1, 3), axis=0)
    assert_allclose(pixels_of(page, (7, 6, 3)), np.broadcast_to(blank, (7, 6, 3)))
    page.execute_script("document.getElementById('colour').value = '#ff0033'")
    drag(page, (0.1, 0.5), (0.9, 0.5))
    low, high = X[:9].min(), X[:9].max()
    assert_allclose(pixels_of(page, (7, 6, 3))[3, 3], [high, low, low + (high - low) / 5])


def test_drawing_a_signal(visit, fit):
    """A falling line, from three quarters of the range on the left to one quarter on the right."""
    clf, X, _ = fit("signal")
    page = visit(clf, images=X[:9])
    before = shown(page)
    drag(page, (0.02, 0.25), (0.98, 0.75))
    low, high = X[:9].min(), X[:9].max()
    curve = (pixels_of(page, 37) - low) / (high - low)
    assert_allclose(curve, np.linspace(0.75, 0.25, 37), atol=0.03)
    assert shown(page) != before


def test_keyboard(visit, quick, digits):
    """Arrow keys move a cursor from the middle, and the space bar paints."""
    X, y = digits
    page = visit(quick().fit(X, y))
    page.execute_script("document.getElementById('board').focus()")
    actions = ActionChains(page)
    actions.send_keys(Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.SPACE).perform()
    settle(page)
    image = pixels_of(page, (8, 8))
    assert np.unravel_index(image.argmax(), (8, 8)) == (4, 5)
    assert image.max() == 1
    assert page.find_element("id", "place").get_attribute("textContent") == "row 5, column 6"


def test_keyboard_and_a_signal(visit, fit):
    clf, X, _ = fit("signal")
    page = visit(clf, images=X[:9])
    before = pixels_of(page, 37)
    page.execute_script("document.getElementById('board').focus()")
    actions = ActionChains(page)
    actions.send_keys(Keys.ARROW_LEFT, Keys.ARROW_DOWN, Keys.ARROW_DOWN).perform()
    change = pixels_of(page, 37) - before
    assert change.nonzero()[0].tolist() == [17]
    assert change[17] == pytest.approx(max(-0.1 * np.ptp(X[:9]), X[:9].min() - before[17]))


def test_examples_and_enlarging(visit, quick, digits):
    """A click on an example selects it; a click on a filter enlarges it."""
    X, y = digits
    clf = quick(n_filters=(3, 4)).fit(X, y)
    page = visit(clf, images=X[:5], labels=y[:5])
    buttons = page.find_elements("css selector", "#examples button")
    assert [button.accessible_name for button in buttons] == [f"Example {k + 1}, {y[k]}" for k in range(5)]
    buttons[3].click()
    assert_allclose(pixels_of(page, 64), X[3])
    assert_shown(page, clf.predict_proba(X[3:4])[0])
    assert [button.get_attribute("aria-pressed") for button in buttons] == ["false"] * 3 + ["true", "false"]
    assert page.find_element("id", "top").text == str(clf.predict(X[3:4])[0])
    tiles = page.find_elements("css selector", ".maps button")
    assert len(tiles) == 7
    tiles[4].click()
    assert page.find_element("id", "detail").is_displayed()
    assert page.find_element("id", "detail-title").text == "Filter 2 of layer 2"
    page.find_element("id", "close").click()
    assert not page.find_element("id", "detail").is_displayed()


def test_labels_are_text(visit, quick, digits):
    X, y = digits
    names = np.array(["<b>bold</b>", "</script>", "&amp;"])[y % 3]
    page = visit(quick().fit(X, names), images=X[:3], labels=names[:3])
    heads = page.find_elements("css selector", "#bars th")
    assert [head.text for head in heads] == ["&amp;", "</script>", "<b>bold</b>"]
    spans = page.find_elements("css selector", "#examples span")
    assert [span.text for span in spans] == names[:3].tolist()


@pytest.mark.parametrize("name", ["colour", "signal"])
def test_on_a_telephone(visit, fit, name):
    """The page fits the width of the screen, and the probabilities are visible below the board without scrolling."""
    clf, X, _ = fit(name)
    page = visit(clf, images=X[:20])
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        assert page.execute_script("return document.documentElement.scrollWidth") == 390
        board, answer = (page.find_element("css selector", where).rect for where in ("#board", ".answer"))
        assert board["y"] + board["height"] < answer["y"]
        assert answer["y"] + answer["height"] < 844
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_names_for_screen_readers(visit, fit):
    clf, X, _ = fit("colour")
    page = visit(clf, images=X[:2])
    names = {
        "#board": "Drawing board for images of 7 \N{MULTIPLICATION SIGN} 6 pixels",
        "#colour": "Colour",
        "table": "Probability of each class",
        ".maps button": "Filter 1 of layer 1, enlarge",
    }
    for where, name in names.items():
        assert page.find_element("css selector", where).accessible_name == name
    assert page.find_element("id", "top").get_attribute("aria-live") == "polite"
    assert page.find_element("css selector", "#bars tr").text.split()[0] == "a"


def test_several_labels(visit, fit):
    """The labels with probabilities above 1/2 are named, or "none"."""
    clf, X, _ = fit("several labels")
    page = visit(clf, images=X[:20])
    for row in X[:20]:
        page.execute_script("skcnn.pixels = arguments[0]", row.ravel().tolist())
        settle(page)
        found = clf.predict(row[np.newaxis])[0].nonzero()[0]
        assert page.find_element("id", "top").text == (", ".join(map(str, found)) or "none")
