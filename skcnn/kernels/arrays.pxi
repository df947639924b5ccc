# Where the arrays of one group of images, or of a single image, lie in scratch memory, and the zeros around them; part
# of _kernels.pyx.


# ---- where the arrays of one group or image lie ----


cdef inline floating* maps_of(
    const Scratch* at, Py_ssize_t number, Py_ssize_t n_lanes, Py_ssize_t image, floating* thread,
) noexcept nogil:
    """The feature maps that a stage reads, padding included; past the last stage, those that it makes."""
    return thread + at.feature_maps + image * at.image_stride + at.net.stages[number].feature_maps * n_lanes


cdef inline floating* hidden_of(
    const Scratch* at, Py_ssize_t n_lanes, Py_ssize_t image, floating* thread,
) noexcept nogil:
    """What the dense layer reads: the last feature maps, or what global pooling makes of them."""
    return thread + at.feature_maps + image * at.image_stride + at.net.hidden * n_lanes


cdef inline floating* maxima_of(
    const Scratch* at, Py_ssize_t n_lanes, Py_ssize_t image, floating* thread,
) noexcept nogil:
    """Where in the last feature maps their maxima are."""
    return thread + at.feature_maps + image * at.image_stride + at.net.maxima * n_lanes


cdef inline floating* convolved_of(
    const Scratch* at, const Stage* stage, Py_ssize_t f, Py_ssize_t row, floating* thread,
) noexcept nogil:
    """A group's convolution before it is normalised, from a filter's row on."""
    return thread + at.convolved + (
        stage.convolved + (f * stage.out_height + row) * stage.out_width) * LANES


cdef inline Norm* norms_of(const Scratch* at, const Stage* stage, floating* thread) noexcept nogil:
    return <Norm*> (thread + at.norms) + stage.norms


cdef inline floating* transformed_of(const Scratch* at, const Stage* stage, const floating* thread) noexcept nogil:
    """A stage's transformed filters, which all threads share; of the type that `thread` is of."""
    return <floating*> at.shared + at.transformed + stage.transformed


cdef inline floating* output_row(
    const Scratch* at, const Strip* strip, Py_ssize_t n_lanes, floating* thread,
) noexcept nogil:
    """The strip's first row in the stage's output: the feature maps that the next stage reads."""
    cdef const Stage* above = strip.stage + 1
    return maps_of(at, strip.number + 1, n_lanes, strip.image, thread) + (
        above.start + strip.filter * above.plane + strip.row * above.row) * n_lanes


cdef inline Py_ssize_t position(const Strip* strip) noexcept nogil:
    """The strip's first value among all that the stage hands on, where these are contiguous."""
    return (strip.filter * strip.stage.pooled_height + strip.row) * strip.stage.pooled_width


cdef inline floating* d_output_row(
    const Scratch* at, const Strip* strip, Py_ssize_t n_lanes, floating* thread,
) noexcept nogil:
    """The strip's first row in the gradient of what the stage hands on."""
    cdef const Stage* above = strip.stage + 1
    if n_lanes == 1:
        return thread + at.d_maps + position(strip)
    return thread + at.d_maps + (
        above.d_x_start + strip.filter * above.d_x_plane + strip.row * above.d_x_row) * LANES


cdef inline uint16_t* indices_of(
    const Scratch* at, const Strip* strip, Py_ssize_t n_lanes, floating* thread,
) noexcept nogil:
    """Where in their pools the maxima of the strip are."""
    cdef uint16_t* indices = <uint16_t*> (thread + at.pool_indices)
    return indices + strip.image * at.net.n_pool_indices + (strip.stage.pool_indices + position(strip)) * n_lanes


cdef inline Strip one_filter(const Strip* strip, Py_ssize_t q) noexcept nogil:
    """The strip's part of its q-th filter."""
    cdef Strip part = strip[0]
    part.filter += q
    part.n_filters = 1
    return part


cdef inline bint is_contiguous(const Stage* stage) noexcept nogil:
    """Whether what a stage hands on has no padding between its rows and filters."""
    return stage[1].plane == stage.pooled_height * stage.pooled_width


# ---- rows of pools ----


# The rows of pools of a strip: pools of a row, and what they are made of.
cdef struct PoolRows:
    Py_ssize_t n_rows, n_pools, pool_height, pool_width


cdef inline PoolRows pool_rows(const Strip* strip) noexcept nogil:
    """What is a column from the network's first stage to its last, as a signal is, makes one row."""
    cdef const Stage* stage = strip.stage
    cdef PoolRows rows
    rows.n_rows, rows.n_pools = strip.n_rows, stage.pooled_width
    rows.pool_height, rows.pool_width = stage.pool_height, stage.pool_width
    if stage.row == 1:
        rows.n_rows, rows.n_pools = 1, strip.n_rows
        rows.pool_height, rows.pool_width = 1, stage.pool_height
    return rows


# ---- zeros around what is read ----


cdef void clear_padding(const Stage* stage, Py_ssize_t n_lanes, floating* maps_out) noexcept nogil:
    """Zeros around what a stage reads; another network, or another number of lanes, may have used the memory."""
    cdef Py_ssize_t ch
    if stage.plane == stage.height * stage.width:
        return
    for ch in range(stage.n_channels):
        lanes.clear_border(
            stage.start * n_lanes, stage.height, stage.width * n_lanes, stage.row * n_lanes, stage.plane * n_lanes,
            maps_out + ch * stage.plane * n_lanes)


cdef void clear_gradient(const Stage* stage, Py_ssize_t n_lanes, floating* d_out) noexcept nogil:
    """Zeros around the gradient of a stage's convolution, and where pooling dropped what it had."""
    cdef Py_ssize_t f
    for f in range(stage.n_filters):
        lanes.clear_border(
            stage.d_start * n_lanes, stage.out_height, stage.out_width * n_lanes, stage.row * n_lanes,
            stage.d_plane * n_lanes, d_out + f * stage.d_plane * n_lanes)
