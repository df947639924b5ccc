"""The output layer: every output weighs every hidden activation. Weights lie as (n_outputs, n_hidden).

Functions of a block take the number of its outputs as a constant, so that its sums stay in registers.
"""

from libc.string cimport memcpy, memset

from skcnn.kernels.blocks cimport VECTOR
from skcnn.kernels.lanes cimport LANES, floating, transpose

cdef enum:
    MOST_SUMS = 10  # vectors: registers for them, and enough of them that none waits for the one before
    MOST_VALUES = MOST_SUMS * VECTOR // 4  # of either type


# A sum is so many values wide, so many vectors, and is of so many outputs: a constant for each float type. The compiler
# makes vectors of loops of 8 rounds, not of fewer.


cdef inline Py_ssize_t sum_width(floating zero) noexcept nogil:
    return max(<Py_ssize_t> 8, min(<Py_ssize_t> LANES, 2 * VECTOR // <Py_ssize_t> sizeof(floating)))


cdef inline Py_ssize_t sum_size(floating zero) noexcept nogil:
    return sum_width(zero) * <Py_ssize_t> sizeof(floating) // VECTOR


cdef inline Py_ssize_t output_block(floating zero) noexcept nogil:
    return min(<Py_ssize_t> 5, MOST_SUMS // sum_size(zero))


cdef inline Py_ssize_t hidden_block(floating zero) noexcept nogil:
    return MOST_SUMS // sum_size(zero)


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
    """A sum's lanes of n_outputs <= output_block at once, so that each activation loaded serves all of them.

    Each is summed up in several parts: additions to a single sum would wait for each other.
    """
    cdef floating total[MOST_VALUES]
    cdef Py_ssize_t width = sum_width(<floating> 0)
    cdef Py_ssize_t n_parts = MOST_SUMS // (n_outputs * sum_size(<floating> 0))
    cdef Py_ssize_t n_whole = size - size % n_parts
    cdef Py_ssize_t h, k, part, lane
    cdef floating weight
    for part in range(n_parts):
        for k in range(n_outputs):
            for lane in range(width):
                total[(part * n_outputs + k) * width + lane] = 0
    h = 0
    while h < n_whole:
        for part in range(n_parts):
            for k in range(n_outputs):
                weight = weights[k * n_hidden + h + part]
                for lane in range(width):
                    total[(part * n_outputs + k) * width + lane] += weight * hidden[(h + part) * LANES + lane]
        h += n_parts
    for h in range(n_whole, size):
        for k in range(n_outputs):
            weight = weights[k * n_hidden + h]
            for lane in range(width):
                total[k * width + lane] += weight * hidden[h * LANES + lane]
    for k in range(n_outputs):
        for part in range(n_parts):
            for lane in range(width):
                logits_out[k * LANES + lane] += total[(part * n_outputs + k) * width + lane]


cdef inline void dense_forward(
    const floating* hidden, const floating* weights, Py_ssize_t n_hidden, Py_ssize_t size, Py_ssize_t n_outputs,
    floating* logits_out,
) noexcept nogil:
    """logits_out[k] += sum over h of weights[k, h] * hidden[h], in every lane, for `size` activations.

    `weights` begin at the first activation's.
    """
    cdef Py_ssize_t block = output_block(<floating> 0)
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t k
    while start < LANES:
        k = 0
        while k + block <= n_outputs:
            dense_forward_block(
                hidden + start, weights + k * n_hidden, n_hidden, size, block, logits_out + k * LANES + start)
            k += block
        while k < n_outputs:
            dense_forward_block(
                hidden + start, weights + k * n_hidden, n_hidden, size, 1, logits_out + k * LANES + start)
            k += 1
        start += sum_width(<floating> 0)


cdef inline void dense_backward_square(
    const floating* hidden, Py_ssize_t stride, Py_ssize_t n_lanes, const floating* d_logits, Py_ssize_t n_hidden,
    Py_ssize_t size, Py_ssize_t n_outputs, floating* d_weights_out,
) noexcept nogil:
    """Weights of a sum's activations, or of the `size` that are left, which come transposed: hidden[lane, h].

    Lanes are `stride` apart. Even and odd ones are summed apart where there are registers for both.
    """
    cdef floating total[MOST_VALUES]
    cdef floating sums[MOST_VALUES]
    cdef Py_ssize_t width = sum_width(<floating> 0)
    cdef Py_ssize_t n_parts = 2 if MOST_SUMS >= 2 * n_outputs * sum_size(<floating> 0) and n_lanes == LANES else 1
    cdef Py_ssize_t lane = 0
    cdef Py_ssize_t part, k, h
    cdef floating d
    for part in range(n_parts):
        for k in range(n_outputs):
            for h in range(width):
                total[(part * n_outputs + k) * width + h] = 0
    while True:
        for part in range(n_parts):
            for k in range(n_outputs):
                d = d_logits[k * LANES + lane + part]
                for h in range(width):
                    total[(part * n_outputs + k) * width + h] += d * hidden[(lane + part) * stride + h]
        lane += n_parts
        if lane >= n_lanes:
            break
    for part in range(1, n_parts):
        for k in range(n_outputs):
            for h in range(width):
                total[k * width + h] += total[(part * n_outputs + k) * width + h]
    if size >= width:
        for k in range(n_outputs):
            for h in range(width):
                d_weights_out[k * n_hidden + h] += total[k * width + h]
    else:
        # Through memory, where `total` itself had better not be.
        for k in range(n_outputs):
            for h in range(width):
                sums[k * width + h] = total[k * width + h]
        for k in range(n_outputs):
            for h in range(size):
                d_weights_out[k * n_hidden + h] += sums[k * width + h]


cdef inline void dense_backward_squares(
    const floating* hidden, Py_ssize_t stride, Py_ssize_t n_lanes, const floating* d_logits, Py_ssize_t n_hidden,
    Py_ssize_t size, Py_ssize_t n_outputs, floating* d_weights_out,
) noexcept nogil:
    """Weights of `size` <= LANES activations; `size` or LANES is a constant."""
    cdef Py_ssize_t block = output_block(<floating> 0)
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t k
    while start < size:
        k = 0
        while k + block <= n_outputs:
            dense_backward_square(hidden + start, stride, n_lanes, d_logits + k * LANES, n_hidden, size - start, block,
                                  d_weights_out + k * n_hidden + start)
            k += block
        while k < n_outputs:
            dense_backward_square(hidden + start, stride, n_lanes, d_logits + k * LANES, n_hidden, size - start, 1,
                                  d_weights_out + k * n_hidden + start)
            k += 1
        start += sum_width(<floating> 0)


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
    """A sum's lanes of the gradients of `size` activations, a constant."""
    cdef floating total[MOST_VALUES]
    cdef Py_ssize_t width = sum_width(<floating> 0)
    cdef Py_ssize_t k = 0
    cdef Py_ssize_t h, lane
    cdef floating weight
    for h in range(size):
        for lane in range(width):
            total[h * width + lane] = 0
    while True:
        for h in range(size):
            weight = weights[k * n_hidden + h]
            for lane in range(width):
                total[h * width + lane] += weight * d_logits[k * LANES + lane]
        k += 1
        if k >= n_outputs:
            break
    for h in range(size):
        for lane in range(width):
            d_hidden_out[h * LANES + lane] = total[h * width + lane]


cdef inline void dense_group_backward_hidden(
    const floating* weights, const floating* d_logits, Py_ssize_t n_hidden, Py_ssize_t n_outputs, Py_ssize_t size,
    floating* d_hidden_out,
) noexcept nogil:
    """d_hidden_out[h] = sum over k of weights[k, h] * d_logits[k], in every lane, for `size` activations of a group."""
    cdef Py_ssize_t block = hidden_block(<floating> 0)
    cdef Py_ssize_t lane = 0
    cdef Py_ssize_t h, start
    while lane < LANES:
        h = 0
        while h < size and size < block:
            dense_backward_hidden_block(
                weights + h, d_logits + lane, n_hidden, n_outputs, 1, d_hidden_out + h * LANES + lane)
            h += 1
        while h < size:
            # The last block reaches back over the one before rather than past the end.
            start = min(h, size - block)
            dense_backward_hidden_block(
                weights + start, d_logits + lane, n_hidden, n_outputs, block, d_hidden_out + start * LANES + lane)
            h += block
        lane += sum_width(<floating> 0)


# ---- single images: hidden[image, h], while logits and their gradients keep their lanes ----


cdef inline void dense_image_forward_block(
    const floating* hidden, const floating* weights, Py_ssize_t n_hidden, Py_ssize_t n_outputs, floating* logits_out,
) noexcept nogil:
    cdef floating total[MOST_VALUES]
    cdef Py_ssize_t width = sum_width(<floating> 0)
    cdef Py_ssize_t n_whole = n_hidden - n_hidden % width
    cdef Py_ssize_t h = 0
    cdef Py_ssize_t k, i
    cdef floating rest
    for k in range(n_outputs):
        for i in range(width):
            total[k * width + i] = 0
    while h < n_whole:
        for k in range(n_outputs):
            for i in range(width):
                total[k * width + i] += weights[k * n_hidden + h + i] * hidden[h + i]
        h += width
    for k in range(n_outputs):
        rest = 0
        for i in range(width):
            rest += total[k * width + i]
        for h in range(n_whole, n_hidden):
            rest += weights[k * n_hidden + h] * hidden[h]
        logits_out[k * LANES] += rest


cdef inline void dense_image_forward(
    const floating* hidden, const floating* weights, Py_ssize_t n_hidden, Py_ssize_t n_outputs, floating* logits_out,
) noexcept nogil:
    """logits_out[k] += sum over h of weights[k, h] * hidden[h] of one image, whose lane `logits_out` begins at."""
    cdef Py_ssize_t block = output_block(<floating> 0)
    cdef Py_ssize_t k = 0
    while k + block <= n_outputs:
        dense_image_forward_block(hidden, weights + k * n_hidden, n_hidden, block, logits_out + k * LANES)
        k += block
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
