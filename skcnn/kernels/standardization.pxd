"""Standardisation of the logits over a whole batch (weighted), and its gradient. Arrays are [group, output, lane]."""

from libc.math cimport sqrt

from skcnn.kernels.lanes cimport LANES, floating

cdef enum:
    # Past that many batches the running averages forget geometrically, by 1 / 10 a batch.
    RUNNING_BATCHES = 10


cdef inline double deviation(double variance) noexcept nogil:
    """sqrt(variance + 1e-12): logits that are all equal become 0, not 0 / 0."""
    return sqrt(variance + 1e-12)


cdef inline void standardize_batch(
    const floating* weights, Py_ssize_t n_groups, Py_ssize_t n_outputs,
    floating* logits_out, floating* means_out, floating* variances_out,
) noexcept nogil:
    """logits_out = (logits_out - mean) / deviation(variance), mean and variance weighted over the batch.

    `weights` are [group, lane]; idle lanes weigh 0.
    """
    cdef Py_ssize_t stride = n_outputs * LANES
    cdef Py_ssize_t k, g, lane
    cdef double total, mean, variance
    cdef floating* z
    for k in range(n_outputs):
        total = 0
        mean = 0
        for g in range(n_groups):
            for lane in range(LANES):
                total += weights[g * LANES + lane]
                mean += weights[g * LANES + lane] * logits_out[g * stride + k * LANES + lane]
        mean /= total
        variance = 0
        for g in range(n_groups):
            z = logits_out + g * stride + k * LANES
            for lane in range(LANES):
                variance += weights[g * LANES + lane] * (z[lane] - mean) * (z[lane] - mean)
        variance /= total
        means_out[k] = <floating> mean
        variances_out[k] = <floating> variance
        standardize(n_groups, n_outputs, k, mean, variance, logits_out)


cdef inline void standardize(
    Py_ssize_t n_groups, Py_ssize_t n_outputs, Py_ssize_t k, double mean, double variance, floating* logits_out,
) noexcept nogil:
    """logits_out[:, k] = (logits_out[:, k] - mean) / deviation(variance)."""
    cdef double scale = 1 / deviation(variance)
    cdef Py_ssize_t g, lane
    cdef floating* z
    for g in range(n_groups):
        z = logits_out + (g * n_outputs + k) * LANES
        for lane in range(LANES):
            z[lane] = <floating> ((z[lane] - mean) * scale)


cdef inline void standardize_running(
    const floating* means, const floating* variances, Py_ssize_t n_outputs, floating* logits_out,
) noexcept nogil:
    """One group's logits by given means and variances: prediction."""
    cdef Py_ssize_t k
    for k in range(n_outputs):
        standardize(1, n_outputs, k, means[k], variances[k], logits_out)


cdef inline void standardize_backward(
    const floating* standardized, const floating* weights, const floating* variances,
    Py_ssize_t n_groups, Py_ssize_t n_outputs, floating* d_logits_out,
) noexcept nogil:
    """Of zhat = (z - mean) / std, with w a sample's share of the batch's weight, in place:

    dz = (dzhat - w * (sum of dzhat + zhat * sum of (dzhat * zhat))) / std

    where the sums run over the batch; for equal weights these are Ioffe and Szegedy's (2015) means.
    """
    cdef Py_ssize_t stride = n_outputs * LANES
    cdef Py_ssize_t k, g, lane, at
    cdef double total, sum_d, sum_dz, scale, share
    for k in range(n_outputs):
        total = 0
        sum_d = 0
        sum_dz = 0
        for g in range(n_groups):
            for lane in range(LANES):
                at = g * stride + k * LANES + lane
                total += weights[g * LANES + lane]
                sum_d += d_logits_out[at]
                sum_dz += d_logits_out[at] * standardized[at]
        scale = 1 / deviation(variances[k])
        for g in range(n_groups):
            for lane in range(LANES):
                at = g * stride + k * LANES + lane
                share = weights[g * LANES + lane] / total
                d_logits_out[at] = <floating> (
                    (d_logits_out[at] - share * (sum_d + standardized[at] * sum_dz)) * scale
                )


cdef inline void update_running(
    const floating* batch, Py_ssize_t n_values, Py_ssize_t n_batches, floating* running_out,
) noexcept nogil:
    """Average `batch` into `running_out`: the plain mean of the first batches, then momentum 0.9."""
    cdef double rate = 1.0 / (n_batches + 1 if n_batches < RUNNING_BATCHES else RUNNING_BATCHES)
    cdef Py_ssize_t i
    for i in range(n_values):
        running_out[i] += <floating> (rate * (batch[i] - running_out[i]))
