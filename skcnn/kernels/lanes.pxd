"""The memory layout that every kernel shares: sixteen images side by side as vector lanes.

A batch is cut into groups of LANES images. Within a group the images are interleaved pixel by pixel, so that the
innermost axis of every array is the image:

    x[channel, row, column, lane]            hidden[filter, row, column, lane]            logits[output, lane]

              column 0                  column 1                  column 2
       +-----------------------+-----------------------+-----------------------+--
 row 0 | im0 im1 im2 ... im15  | im0 im1 im2 ... im15  | im0 im1 im2 ... im15  | ...
       +-----------------------+-----------------------+-----------------------+--
       |<------ LANES -------->|
       |<------------- one contiguous run along the row: what the inner loops walk -------------->|

A tap of a filter looks at the same run, shifted by whole pixels: each of its loads is as aligned as the run itself,
whatever the shape of the image or of the kernel, and every lane does the same work. The last group of a batch may have
lanes to spare; these hold zeros and weigh nothing.

Legend of the kernels: `n_` counts, pointers name the array they walk, what a kernel fills comes last and ends in
`_out`; an `_out` is overwritten where its docstring does not say that it is accumulated into. No kernel allocates,
prints, raises or checks: arguments are checked once a call, where they come in (_buffers.pyx).
"""

from libc.stdint cimport uint8_t
from libc.string cimport memcpy, memset

from skcnn.kernels.portable cimport prefetch

cdef enum:
    LANES = 16
    CACHE_LINE = 64  # bytes

# What rows of X may hold, and what the network computes in.
ctypedef fused pixel:
    uint8_t
    float
    double

ctypedef fused floating:
    float
    double


cdef inline void interleave_quarters(const floating* values, floating* out) noexcept nogil:
    """Of a square of LANES x LANES values: out[4 * i + q] = the i-th value of the q-th quarter.

    Twice that is the transposition: each time, the two highest of the eight bits of a value's position become its
    lowest. Compilers make a few shuffles of whole registers of this loop, where they would move the values of a plain
    transposition one by one.
    """
    cdef Py_ssize_t quarter = LANES * LANES // 4
    cdef Py_ssize_t i
    for i in range(quarter):
        out[4 * i] = values[i]
        out[4 * i + 1] = values[quarter + i]
        out[4 * i + 2] = values[2 * quarter + i]
        out[4 * i + 3] = values[3 * quarter + i]


cdef inline void transpose(const floating* square, floating* out) noexcept nogil:
    """A square of LANES x LANES values."""
    cdef floating half_way[LANES * LANES]
    interleave_quarters(square, half_way)
    interleave_quarters(half_way, out)


cdef inline void gather_square(
    const pixel* X, const Py_ssize_t* rows, Py_ssize_t n_rows, Py_ssize_t n_features, Py_ssize_t size, floating rescale,
    floating* square,
) noexcept nogil:
    """The next `size` <= LANES values of each image, times `rescale`; a constant size makes it a vector."""
    cdef Py_ssize_t lane, i
    for lane in range(n_rows):
        for i in range(size):
            square[lane * LANES + i] = <floating> X[rows[lane] * n_features + i] * rescale


cdef inline void gather(
    const pixel* X, const Py_ssize_t* rows, Py_ssize_t n_rows, Py_ssize_t n_features, Py_ssize_t n_channels,
    Py_ssize_t width, Py_ssize_t row, Py_ssize_t plane, floating rescale, floating* x_out,
) noexcept nogil:
    """Interleave `n_rows` <= LANES images, each a row of X laid out as (position, channel), times `rescale`.

    x_out[channel, position, lane] = X[rows[lane], position, channel] * rescale, and 0 in the idle lanes; rows of pixels
    are `row` positions apart, channels `plane`.
    """
    cdef floating square[LANES * LANES]
    cdef floating pixels[LANES * LANES]
    cdef Py_ssize_t channel = 0
    cdef Py_ssize_t column = 0
    cdef Py_ssize_t position = 0
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t size, i, lane
    cdef floating* pixel_out
    memset(square, 0, sizeof(square))
    while start < n_features:
        size = min(n_features - start, <Py_ssize_t> LANES)
        if size == LANES:
            gather_square(X + start, rows, n_rows, n_features, LANES, rescale, square)
        else:
            gather_square(X + start, rows, n_rows, n_features, size, rescale, square)
        transpose(square, pixels)
        for i in range(size):
            pixel_out = x_out + (channel * plane + position) * LANES
            for lane in range(LANES):
                pixel_out[lane] = pixels[i * LANES + lane]
            channel += 1
            if channel == n_channels:
                channel = 0
                position += 1
                column += 1
                if column == width:
                    column = 0
                    position += row - width
        start += LANES


cdef inline void scatter(
    const floating* values, Py_ssize_t n_values, Py_ssize_t n_rows, floating* rows_out,
) noexcept nogil:
    """Back to rows, of what is no image: rows_out[lane, i] = values[i, lane] for the first `n_rows` lanes."""
    cdef floating square[LANES * LANES]
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t i, lane
    while start + LANES <= n_values:
        transpose(values + start * LANES, square)
        for lane in range(n_rows):
            for i in range(LANES):
                rows_out[lane * n_values + start + i] = square[lane * LANES + i]
        start += LANES
    for lane in range(n_rows):
        for i in range(start, n_values):
            rows_out[lane * n_values + i] = values[i * LANES + lane]


cdef inline void gather_image(
    const pixel* image, Py_ssize_t n_channels, Py_ssize_t height, Py_ssize_t width, Py_ssize_t row, Py_ssize_t plane,
    floating rescale, floating* x_out,
) noexcept nogil:
    """A single image: x_out[channel, i, j] = image[i, j, channel] * rescale."""
    cdef Py_ssize_t channel, i, j
    for channel in range(n_channels):
        for i in range(height):
            for j in range(width):
                x_out[channel * plane + i * row + j] = (
                    <floating> image[(i * width + j) * n_channels + channel] * rescale)


cdef inline Py_ssize_t within(Py_ssize_t i, Py_ssize_t size) noexcept nogil:
    return 0 if i < 0 else size - 1 if i >= size else i


cdef inline void shift_image(
    const pixel* image, Py_ssize_t height, Py_ssize_t width, Py_ssize_t n_channels, Py_ssize_t down, Py_ssize_t right,
    pixel* out,
) noexcept nogil:
    """out[i, j] = image[i - down, j - right], or the nearest pixel where there is none; |right| < width."""
    cdef Py_ssize_t row = width * n_channels
    cdef Py_ssize_t n_moved = (width - right if right > 0 else width + right) * n_channels
    cdef Py_ssize_t i, j, ch
    cdef const pixel* source
    for i in range(height):
        source = image + within(i - down, height) * row
        memcpy(out + max(right, 0) * n_channels, source + max(-right, 0) * n_channels, n_moved * sizeof(pixel))
        for j in range(right):
            for ch in range(n_channels):
                out[j * n_channels + ch] = source[ch]
        for j in range(width + right, width):
            for ch in range(n_channels):
                out[j * n_channels + ch] = source[row - n_channels + ch]
        out += row


cdef inline void mirror_image(
    pixel* image, Py_ssize_t height, Py_ssize_t width, Py_ssize_t n_channels,
) noexcept nogil:
    """image[i, j], image[i, width - 1 - j] = image[i, width - 1 - j], image[i, j]."""
    cdef Py_ssize_t _i, j, ch
    cdef pixel* mirrored
    cdef pixel value
    for _i in range(height):
        for j in range(width // 2):
            mirrored = image + (width - 1 - j) * n_channels
            for ch in range(n_channels):
                value = image[j * n_channels + ch]
                image[j * n_channels + ch] = mirrored[ch]
                mirrored[ch] = value
        image += width * n_channels


cdef inline void prefetch_rows(
    const char* X, const Py_ssize_t* rows, Py_ssize_t n_rows, Py_ssize_t row_bytes,
) noexcept nogil:
    """Have these rows of X fetched while others are worked on: they come in random order, from all over the memory."""
    cdef Py_ssize_t row, line
    for row in range(n_rows):
        for line in range(row_bytes // CACHE_LINE + 1):
            prefetch(X + rows[row] * row_bytes + line * CACHE_LINE)


cdef inline void gather_outputs(
    const floating* targets, const floating* sample_weight, const Py_ssize_t* rows, Py_ssize_t n_rows,
    Py_ssize_t n_outputs, floating* targets_out, floating* weights_out,
) noexcept nogil:
    """Interleave the targets (n_samples, n_outputs) and the weights of a group; idle lanes weigh 0."""
    cdef Py_ssize_t lane, output
    for lane in range(LANES):
        weights_out[lane] = sample_weight[rows[lane]] if lane < n_rows else 0
        for output in range(n_outputs):
            targets_out[output * LANES + lane] = targets[rows[lane] * n_outputs + output] if lane < n_rows else 0


cdef inline void clear_border(
    Py_ssize_t start, Py_ssize_t n_rows, Py_ssize_t width, Py_ssize_t row, Py_ssize_t size, floating* plane_out,
) noexcept nogil:
    """Zeros all over a plane of `size` values but in its `n_rows` rows of `width` values, the first at `start`."""
    cdef Py_ssize_t i
    cdef Py_ssize_t behind = start + (n_rows - 1) * row + width
    memset(plane_out, 0, start * sizeof(floating))
    for i in range(n_rows - 1 if row > width else 0):
        memset(plane_out + start + i * row + width, 0, (row - width) * sizeof(floating))
    memset(plane_out + behind, 0, (size - behind) * sizeof(floating))
