"""The output layer: every output weighs every hidden activation. Weights lie as (n_outputs, n_hidden).

Functions of a block take the number of its outputs as a constant, so that its sums stay in registers.
"""

from libc.string cimport memcpy, memset

from skcnn.kernels.blocks cimport DENSE_SUMS, HIDDEN_BLOCK
from skcnn.kernels.lanes cimport LANES, floating, transpose

cdef enum:
    OUTPUT_BLOCK = 5


cdef inline void dense_intercepts_forward(
    const floating* intercepts, Py_ssize_t n_outputs, floating* logits_out,
) noexcept nogil:
    """logits_out[k] = intercepts[k], in every lane."""
    cdef Py_ssize_t k, lane
    for k in range(n_outputs):
        for lane in range(LANES):
            logits_out[k * LANES + lane] = intercepts[k]


cdef inline void dense_intercepts_backward(
    const floating* d_logits, Py_ssize_t n_outputs, floating* d_intercepts_out,
) noexcept nogil:
    """Of logits[k] = intercepts[k]: d_intercepts_out[k] += sum over lanes of d_logits[k]."""
    cdef Py_ssize_t k, lane
    cdef floating total
    for k in range(n_outputs):
        total = 0
        for lane in range(LANES):
            total += d_logits[k * LANES + lane]
        d_intercepts_out[k] += total


cdef inline void dense_forward_block(
    const floating* hidden, const floating* weights, Py_ssize_t n_hidden, Py_ssize_t size, Py_ssize_t n_outputs,
    floating* logits_out,
) noexcept nogil:
    """n_outputs <= OUTPUT_BLOCK at once, so that each activation loaded serves all of them.

    Each is summed up in several parts: additions to a single sum would wait for each other.
    """
    cdef floating total[(DENSE_SUMS + OUTPUT_BLOCK) * LANES]
    cdef Py_ssize_t n_parts = max(<Py_ssize_t> 1, DENSE_SUMS // n_outputs)
    cdef Py_ssize_t n_whole = size - size % n_parts
    cdef Py_ssize_t h, k, part, lane
    cdef floating weight
    for part in range(n_parts):
        for k in range(n_outputs):
            for lane in range(LANES):
                total[(part * n_outputs + k) * LANES + lane] = 0
    h = 0
    while h < n_whole:
        for part in range(n_parts):
            for k in range(n_outputs):
                weight = weights[k * n_hidden + h + part]
                for lane in range(LANES):
                    total[(part * n_outputs + k) * LANES + lane] += weight * hidden[(h + part) * LANES + lane]
        h += n_parts
    for h in range(n_whole, size):
        for k in range(n_outputs):
            weight = weights[k * n_hidden + h]
            for lane in range(LANES):
                total[k * LANES + lane] += weight * hidden[h * LANES + lane]
    for k in range(n_outputs):
        for part in range(n_parts):
            for lane in range(LANES):
                logits_out[k * LANES + lane] += total[(part * n_outputs + k) * LANES + lane]


cdef inline void dense_forward(
    const floating* hidden, const floating* weights, Py_ssize_t n_hidden, Py_ssize_t size, Py_ssize_t n_outputs,
    floating* logits_out,
) noexcept nogil:
    """logits_out[k] += sum over h of weights[k, h] * hidden[h], in every lane, for `size` activations.

    `weights` begin at the first activation's.
    """
    cdef Py_ssize_t k = 0
    while k + OUTPUT_BLOCK <= n_outputs:
        dense_forward_block(
            hidden, weights + k * n_hidden, n_hidden, size, OUTPUT_BLOCK, logits_out + k * LANES)
        k += OUTPUT_BLOCK
    while k < n_outputs:
        dense_forward_block(hidden, weights + k * n_hidden, n_hidden, size, 1, logits_out + k * LANES)
        k += 1


cdef inline void dense_backward_square(
    const floating* hidden, Py_ssize_t stride, Py_ssize_t n_lanes, const floating* d_logits, Py_ssize_t n_hidden,
    Py_ssize_t size, Py_ssize_t n_outputs, floating* d_weights_out,
) noexcept nogil:
    """Weights of `size` <= LANES activations, which come transposed: hidden[lane, h], lanes `stride` apart.

    Even and odd lanes are summed apart where there are registers for both.
    """
    cdef floating total[2 * OUTPUT_BLOCK * LANES]
    cdef floating sums[OUTPUT_BLOCK * LANES]
    cdef Py_ssize_t n_parts = 2 if DENSE_SUMS >= 2 * n_outputs and n_lanes == LANES else 1
    cdef Py_ssize_t lane = 0
    cdef Py_ssize_t part, k, h
    cdef floating d
    for part in range(n_parts):
        for k in range(n_outputs):
            for h in range(LANES):
                total[(part * n_outputs + k) * LANES + h] = 0
    while True:
        for part in range(n_parts):
            for k in range(n_outputs):
                d = d_logits[k * LANES + lane + part]
                for h in range(LANES):
                    total[(part * n_outputs + k) * LANES + h] += d * hidden[(lane + part) * stride + h]
        lane += n_parts
        if lane >= n_lanes:
            break
    for part in range(1, n_parts):
        for k in range(n_outputs):
            for h in range(LANES):
                total[k * LANES + h] += total[(part * n_outputs + k) * LANES + h]
    if size == LANES:
        for k in range(n_outputs):
            for h in range(LANES):
                d_weights_out[k * n_hidden + h] += total[k * LANES + h]
    else:
        # Through memory, where `total` itself had better not be.
        for k in range(n_outputs):
            for h in range(LANES):
                sums[k * LANES + h] = total[k * LANES + h]
        for k in range(n_outputs):
            for h in range(size):
                d_weights_out[k * n_hidden + h] += sums[k * LANES + h]


cdef inline void dense_backward_squares(
    const floating* hidden, Py_ssize_t stride, Py_ssize_t n_lanes, const floating* d_logits, Py_ssize_t n_hidden,
    Py_ssize_t size, Py_ssize_t n_outputs, floating* d_weights_out,
) noexcept nogil:
    cdef Py_ssize_t k = 0
    while k + OUTPUT_BLOCK <= n_outputs:
        dense_backward_square(hidden, stride, n_lanes, d_logits + k * LANES, n_hidden, size, OUTPUT_BLOCK,
                              d_weights_out + k * n_hidden)
        k += OUTPUT_BLOCK
    while k < n_outputs:
        dense_backward_square(hidden, stride, n_lanes, d_logits + k * LANES, n_hidden, size, 1,
                              d_weights_out + k * n_hidden)
        k += 1


cdef inline void dense_backward_weights(
    const floating* hidden, const floating* d_logits, Py_ssize_t n_hidden, Py_ssize_t size, Py_ssize_t n_outputs,
    floating* d_weights_out,
) noexcept nogil:
    """Of logits[k] += sum over h of weights[k, h] * hidden[h], accumulated for `size` activations:

    d_weights_out[k, h] += sum over lanes of d_logits[k] * hidden[h]

    A sum over lanes is one within a vector, which is slow; so activations are transposed, a square at a time, and
    neighbouring weights become the vector.
    """
    cdef floating square[LANES * LANES]
    cdef floating rest[LANES * LANES]
    cdef Py_ssize_t h = 0
    while h + LANES <= size:
        transpose(hidden + h * LANES, square)
        dense_backward_squares(square, LANES, LANES, d_logits, n_hidden, LANES, n_outputs, d_weights_out + h)
        h += LANES
    if h < size:
        memset(rest, 0, sizeof(rest))
        memcpy(rest, hidden + h * LANES, (size - h) * LANES * sizeof(floating))
        transpose(rest, square)
        dense_backward_squares(square, LANES, LANES, d_logits, n_hidden, size - h, n_outputs, d_weights_out + h)


cdef inline void dense_backward_hidden_block(
    const floating* weights, const floating* d_logits, Py_ssize_t n_hidden, Py_ssize_t n_outputs, Py_ssize_t size,
    floating* d_hidden_out,
) noexcept nogil:
    """The gradients of `size` activations, a constant."""
    cdef floating total[HIDDEN_BLOCK * LANES]
    cdef Py_ssize_t k = 0
    cdef Py_ssize_t h, lane
    cdef floating weight
    for h in range(size):
        for lane in range(LANES):
            total[h * LANES + lane] = 0
    while True:
        for h in range(size):
            weight = weights[k * n_hidden + h]
            for lane in range(LANES):
                total[h * LANES + lane] += weight * d_logits[k * LANES + lane]
        k += 1
        if k >= n_outputs:
            break
    for h in range(size):
        for lane in range(LANES):
            d_hidden_out[h * LANES + lane] = total[h * LANES + lane]


cdef inline void dense_group_backward_hidden(
    const floating* weights, const floating* d_logits, Py_ssize_t n_hidden, Py_ssize_t n_outputs, Py_ssize_t size,
    floating* d_hidden_out,
) noexcept nogil:
    """d_hidden_out[h] = sum over k of weights[k, h] * d_logits[k], in every lane, for `size` activations of a group."""
    cdef Py_ssize_t h = 0
    cdef Py_ssize_t start
    if size < HIDDEN_BLOCK:
        for h in range(size):
            dense_backward_hidden_block(weights + h, d_logits, n_hidden, n_outputs, 1, d_hidden_out + h * LANES)
        return
    while h < size:
        # The last block reaches back over the one before rather than past the end.
        start = h if h + HIDDEN_BLOCK <= size else size - HIDDEN_BLOCK
        dense_backward_hidden_block(weights + start, d_logits, n_hidden, n_outputs, HIDDEN_BLOCK,
                                    d_hidden_out + start * LANES)
        h += HIDDEN_BLOCK


# ---- single images: hidden[image, h], while logits and their gradients keep their lanes ----


cdef inline void dense_image_forward_block(
    const floating* hidden, const floating* weights, Py_ssize_t n_hidden, Py_ssize_t n_outputs, floating* logits_out,
) noexcept nogil:
    cdef floating total[OUTPUT_BLOCK * LANES]
    cdef Py_ssize_t n_whole = n_hidden - n_hidden % LANES
    cdef Py_ssize_t h = 0
    cdef Py_ssize_t k, i
    cdef floating rest
    for k in range(n_outputs):
        for i in range(LANES):
            total[k * LANES + i] = 0
    while h < n_whole:
        for k in range(n_outputs):
            for i in range(LANES):
                total[k * LANES + i] += weights[k * n_hidden + h + i] * hidden[h + i]
        h += LANES
    for k in range(n_outputs):
        rest = 0
        for i in range(LANES):
            rest += total[k * LANES + i]
        for h in range(n_whole, n_hidden):
            rest += weights[k * n_hidden + h] * hidden[h]
        logits_out[k * LANES] += rest


cdef inline void dense_image_forward(
    const floating* hidden, const floating* weights, Py_ssize_t n_hidden, Py_ssize_t n_outputs, floating* logits_out,
) noexcept nogil:
    """logits_out[k] += sum over h of weights[k, h] * hidden[h] of one image, whose lane `logits_out` begins at."""
    cdef Py_ssize_t k = 0
    while k + OUTPUT_BLOCK <= n_outputs:
        dense_image_forward_block(hidden, weights + k * n_hidden, n_hidden, OUTPUT_BLOCK, logits_out + k * LANES)
        k += OUTPUT_BLOCK
    while k < n_outputs:
        dense_image_forward_block(hidden, weights + k * n_hidden, n_hidden, 1, logits_out + k * LANES)
        k += 1


cdef inline void dense_images_backward_weights(
    const floating* hidden, Py_ssize_t stride, Py_ssize_t n_images, const floating* d_logits, Py_ssize_t n_hidden,
    Py_ssize_t n_outputs, floating* d_weights_out,
) noexcept nogil:
    """d_weights_out[k, h] += sum over images, `stride` values apart, of d_logits[k] * hidden[h]."""
    cdef Py_ssize_t h = 0
    while h + LANES <= n_hidden:
        dense_backward_squares(
            hidden + h, stride, n_images, d_logits, n_hidden, LANES, n_outputs, d_weights_out + h)
        h += LANES
    if h < n_hidden:
        dense_backward_squares(
            hidden + h, stride, n_images, d_logits, n_hidden, n_hidden - h, n_outputs, d_weights_out + h)


cdef inline void dense_image_backward_hidden(
    const floating* weights, const floating* d_logits, Py_ssize_t n_hidden, Py_ssize_t n_outputs, Py_ssize_t size,
    floating* d_hidden_out,
) noexcept nogil:
    """d_hidden_out[h] = sum over k of weights[k, h] * d_logits[k], for `size` activations of one image."""
    cdef Py_ssize_t k, h
    cdef floating d
    for h in range(size):
        d_hidden_out[h] = 0
    for k in range(n_outputs):
        d = d_logits[k * LANES]
        for h in range(size):
            d_hidden_out[h] += weights[k * n_hidden + h] * d


cdef inline void dense_backward_hidden(
    const floating* weights, const floating* d_logits, Py_ssize_t n_hidden, Py_ssize_t n_outputs, Py_ssize_t size,
    Py_ssize_t n_lanes, floating* d_hidden_out,
) noexcept nogil:
    """Of logits[k] += sum over h of weights[k, h] * hidden[h], for `size` activations of a group or of one image:

    d_hidden_out[h] = sum over k of weights[k, h] * d_logits[k]

    `weights` begin at the first activation's, `d_logits` at the image's lane.
    """
    if n_lanes == LANES:
        dense_group_backward_hidden(weights, d_logits, n_hidden, n_outputs, size, d_hidden_out)
    else:
        dense_image_backward_hidden(weights, d_logits, n_hidden, n_outputs, size, d_hidden_out)
