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
prints, raises or checks: shapes are Python's business (skcnn.network).
"""

from libc.stdint cimport uint8_t

cdef enum:
    LANES = 16

# What rows of X may hold, and what the network computes in.
ctypedef fused pixel:
    uint8_t
    float
    double

ctypedef fused floating:
    float
    double


cdef inline void gather(
    const pixel* X, const Py_ssize_t* rows, Py_ssize_t n_rows,
    Py_ssize_t n_channels, Py_ssize_t n_positions, floating rescale,
    floating* x_out,
) noexcept nogil:
    """Interleave `n_rows` <= LANES images, each a row of X laid out as (position, channel), times `rescale`.

    x_out[channel, position, lane] = X[rows[lane], position, channel] * rescale, and 0 in the idle lanes.
    """
    cdef Py_ssize_t n_features = n_channels * n_positions
    cdef Py_ssize_t lane, channel, position
    cdef const pixel* image
    cdef floating* plane
    for lane in range(LANES):
        for channel in range(n_channels):
            plane = x_out + channel * n_positions * LANES + lane
            if lane < n_rows:
                image = X + rows[lane] * n_features + channel
                for position in range(n_positions):
                    plane[position * LANES] = <floating> image[position * n_channels] * rescale
            else:
                for position in range(n_positions):
                    plane[position * LANES] = 0


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
