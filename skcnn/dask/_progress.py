"""The progress of a fit, on the terminal."""

from skcnn.extras import import_extra


class Progress:
    """A bar with the epoch, the round, images a second and the time left, if training takes all epochs.

    Parameters
    ----------
    verbose : bool
        Whether to show it.
    n_epochs : int
    """

    def __init__(self, verbose, n_epochs):
        self.n_epochs = n_epochs
        self.bar = None
        if verbose:
            tqdm = import_extra("tqdm", "dask").tqdm
            self.bar = tqdm(unit=" images", unit_scale=True, dynamic_ncols=True)

    def update(self, n_iter, number, n_rounds, n_samples):
        """Round `number` of the epoch after `n_iter` has ended."""
        if self.bar is None:
            return
        self.bar.total = self.n_epochs * n_samples
        self.bar.set_description(f"epoch {n_iter + 1}, round {number + 1} of {n_rounds}", refresh=False)
        done = n_iter * n_samples + n_samples * (number + 1) // n_rounds
        self.bar.update(done - self.bar.n)  # rounds that are lost with a restarted cluster count once

    def announce(self, line):
        """Print a line, above the bar."""
        self.bar.clear()
        print(line)
        self.bar.refresh()

    def close(self):
        if self.bar is not None:
            self.bar.close()
