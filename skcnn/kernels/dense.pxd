"""The output layer: every output weighs every hidden activation. Weights lie as (n_outputs, n_hidden)."""

from skcnn.kernels.lanes cimport LANES, floating

cdef enum:
    # Sums that stay in registers: outputs (forward), partial sums of one output, hidden activations (backward).
    OUTPUT_BLOCK = 5
    PARTIAL_SUMS = 4
    HIDDEN_BLOCK = 4


cdef inline void dense_forward_block(
    const floating* hidden, const floating* weights, const floating* intercepts, Py_ssize_t n_hidden, floating* out,
) noexcept nogil:
    """OUTPUT_BLOCK outputs at once: each activation loaded serves all of them."""
    cdef floating total[OUTPUT_BLOCK * LANES]
    cdef Py_ssize_t h, k, lane
    cdef floating weight
    for k in range(OUTPUT_BLOCK):
        for lane in range(LANES):
            total[k * LANES + lane] = intercepts[k]
    for h in range(n_hidden):
        for k in range(OUTPUT_BLOCK):
            weight = weights[k * n_hidden + h]
            for lane in range(LANES):
                total[k * LANES + lane] += weight * hidden[h * LANES + lane]
    for lane in range(OUTPUT_BLOCK * LANES):
        out[lane] = total[lane]


cdef inline void dense_forward_single(
    const floating* hidden, const floating* weights, floating intercept, Py_ssize_t n_hidden, floating* out,
) noexcept nogil:
    """One output in PARTIAL_SUMS sums, for a single one would wait for each addition before the next."""
    cdef floating total[PARTIAL_SUMS * LANES]
    cdef Py_ssize_t n_blocks = n_hidden // PARTIAL_SUMS
    cdef Py_ssize_t block, h, s, lane
    cdef floating weight
    for lane in range(PARTIAL_SUMS * LANES):
        total[lane] = 0
    for block in range(n_blocks):
        h = block * PARTIAL_SUMS
        for s in range(PARTIAL_SUMS):
            weight = weights[h + s]
            for lane in range(LANES):
                total[s * LANES + lane] += weight * hidden[(h + s) * LANES + lane]
    for h in range(n_blocks * PARTIAL_SUMS, n_hidden):
        for lane in range(LANES):
            total[lane] += weights[h] * hidden[h * LANES + lane]
    for lane in range(LANES):
        out[lane] = intercept
    for s in range(PARTIAL_SUMS):
        for lane in range(LANES):
            out[lane] += total[s * LANES + lane]


cdef inline void dense_forward(
    const floating* hidden, const floating* weights, const floating* intercepts,
    Py_ssize_t n_hidden, Py_ssize_t n_outputs, floating* logits_out,
) noexcept nogil:
    """logits_out[k] = intercepts[k] + sum over h of weights[k, h] * hidden[h], in every lane."""
    cdef Py_ssize_t k = 0
    while k + OUTPUT_BLOCK <= n_outputs:
        dense_forward_block(hidden, weights + k * n_hidden, intercepts + k, n_hidden, logits_out + k * LANES)
        k += OUTPUT_BLOCK
    while k < n_outputs:
        dense_forward_single(hidden, weights + k * n_hidden, intercepts[k], n_hidden, logits_out + k * LANES)
        k += 1


cdef inline void dense_backward_weights(
    const floating* hidden, const floating* d_logits, Py_ssize_t n_hidden, Py_ssize_t n_outputs,
    floating* d_weights_out, floating* d_intercepts_out,
) noexcept nogil:
    """Of logits[k] = intercepts[k] + sum over h of weights[k, h] * hidden[h], accumulated:

    d_weights_out[k, h] += sum over lanes of d_logits[k] * hidden[h]
    d_intercepts_out[k] += sum over lanes of d_logits[k]
    """
    cdef Py_ssize_t h, k, lane
    cdef floating total
    for k in range(n_outputs):
        total = 0
        for lane in range(LANES):
            total += d_logits[k * LANES + lane]
        d_intercepts_out[k] += total
    for h in range(n_hidden):
        for k in range(n_outputs):
            total = 0
            for lane in range(LANES):
                total += d_logits[k * LANES + lane] * hidden[h * LANES + lane]
            d_weights_out[k * n_hidden + h] += total


cdef inline void dense_backward_hidden(
    const floating* weights, const floating* d_logits, Py_ssize_t n_hidden, Py_ssize_t n_outputs,
    floating* d_hidden_out,
) noexcept nogil:
    """Of logits[k] = intercepts[k] + sum over h of weights[k, h] * hidden[h]:

    d_hidden_out[h] = sum over k of weights[k, h] * d_logits[k], in every lane.
    """
    cdef floating total[HIDDEN_BLOCK * LANES]
    cdef Py_ssize_t n_blocks = n_hidden // HIDDEN_BLOCK
    cdef Py_ssize_t block, h, k, q, lane
    cdef floating weight
    for block in range(n_blocks):
        h = block * HIDDEN_BLOCK
        for lane in range(HIDDEN_BLOCK * LANES):
            total[lane] = 0
        for k in range(n_outputs):
            for q in range(HIDDEN_BLOCK):
                weight = weights[k * n_hidden + h + q]
                for lane in range(LANES):
                    total[q * LANES + lane] += weight * d_logits[k * LANES + lane]
        for lane in range(HIDDEN_BLOCK * LANES):
            d_hidden_out[h * LANES + lane] = total[lane]
    for h in range(n_blocks * HIDDEN_BLOCK, n_hidden):
        for lane in range(LANES):
            total[lane] = 0
        for k in range(n_outputs):
            for lane in range(LANES):
                total[lane] += weights[k * n_hidden + h] * d_logits[k * LANES + lane]
        for lane in range(LANES):
            d_hidden_out[h * LANES + lane] = total[lane]
