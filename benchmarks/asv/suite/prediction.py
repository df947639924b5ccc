"""Probabilities of many images, and of one; what importing costs."""

from .networks import Case


class ManyImages(Case):
    """10 000 images of bytes."""

    params = ("default", "stack")
    param_names = ("network",)

    def setup(self, network):
        self.prepare(network, n_samples=10_000)
        self.fit(100)

    def time_predict_proba(self, network):
        self.classifier.predict_proba(self.X)


class ManyImagesOfFloats(Case):
    params = ("float32", "float64")
    param_names = ("dtype",)

    def setup(self, dtype):
        self.prepare("stack", dtype, n_samples=10_000)
        self.fit(100)

    def time_predict_proba(self, dtype):
        self.classifier.predict_proba(self.X)


class OneImage(Case):
    """One row: what a call costs, whatever the network does."""

    number = 0  # as many calls a sample as take 10 ms
    params = ("default", "stack")
    param_names = ("network",)

    def setup(self, network):
        self.prepare(network, n_samples=100)
        self.fit()
        self.row = self.X[:1]

    def time_predict_proba(self, network):
        self.classifier.predict_proba(self.row)


def timeraw_import():
    return "import skcnn"
