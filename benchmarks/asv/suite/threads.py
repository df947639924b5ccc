"""Two threads that share each batch; of these the clock's time counts, and an idle machine is needed."""

import time

from .networks import Case


class TwoThreads(Case):
    timer = time.perf_counter
    params = ("default", "stack")
    param_names = ("network",)

    def setup(self, network):
        self.prepare(network, n_jobs=2, n_samples=10_000)
        self.fit(2000)

    def time_fit(self, network):
        self.fit(2000)

    def time_predict_proba(self, network):
        self.classifier.predict_proba(self.X)
