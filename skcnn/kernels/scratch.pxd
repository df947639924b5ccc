"""How a batch is divided, and where everything lies that is needed on the way: offsets into one piece of memory.

A batch is cut into groups of LANES images, and its groups into chunks, by its size alone: the same sums are taken in
the same order whatever the number of threads.
"""

from libc.stdint cimport uint16_t

from skcnn.kernels cimport convolution
from skcnn.kernels.blocks cimport SUM_FILTERS, TILE_FILTERS
from skcnn.kernels.lanes cimport LANES, floating
from skcnn.kernels.normalization cimport Norm
from skcnn.kernels.stages cimport Network, Stage
from skcnn.kernels.winograd cimport apart, tile_positions

cdef enum:
    # Chunks of a batch: at least FEW_CHUNKS, as far as there are groups, at most MANY_CHUNKS, otherwise of CHUNK_GROUPS
    # groups. Each costs a pass over the gradient, and each can have a thread of its own.
    FEW_CHUNKS = 4
    MANY_CHUNKS = 16
    CHUNK_GROUPS = 4
    # Parameters that a thread takes the solver's step for at a time.
    PARAMETER_CHUNK = 4096
    # A last group of no more images than this is cheaper image by image.
    FEW_IMAGES = 8
    # Outputs of a filter that are worth a run.
    SHORT_RUN = 32
    # Bytes of a convolution's gradient, rows of SUM_FILTERS filters, that the first-level cache keeps while it is
    # correlated with every tap.
    ROWS_BYTES = 24576

cdef struct Scratch:
    const Network* net
    Py_ssize_t n_threads
    bint standardized  # whether the logits are, by the batch's statistics or by running ones
    void* shared  # where all of it begins
    # Where each array begins, in values. First what all threads share: the gradient of each chunk of a batch
    # (`gradient_stride` apart), partial sums of the loss (doubles), the batch's statistics, transformed filters and, to
    # standardise, the outputs of all its groups.
    Py_ssize_t gradients, gradient_stride, n_gradients, partials, statistics, transformed
    Py_ssize_t batch_targets, batch_weights, batch_logits, batch_d_logits
    # Then, `thread_stride` apart, what each thread has for one group, from its own beginning: all feature maps, pixels
    # first and hidden activations last, and the indices of their maxima (a few single images have these
    # `image_stride` and n_pool_indices apart); convolutions that are normalised, and the norms of their filters; a
    # strip of a convolution, gradients of it, of what a stage reads and of the hidden activations, flipped filters,
    # partial sums of the filters' gradient, for Winograd's convolution the tiles of a strip, transformed (of what it
    # reads, and of its products or their gradient), what is read with channels as lanes, and transformed filters'
    # gradient; shifted images, and the outputs.
    Py_ssize_t threads, thread_stride
    Py_ssize_t feature_maps, image_stride, pool_indices, convolved, norms, strip, d, d_maps, d_hidden, flipped, sums
    Py_ssize_t tiles, d_tiles, swapped, d_transformed, images
    Py_ssize_t targets, weights, logits, d_logits
    Py_ssize_t size


# ---- how a batch is divided ----


cdef inline Py_ssize_t whole_lanes(Py_ssize_t n_values) noexcept nogil:
    return (n_values + LANES - 1) // LANES * LANES


cdef inline Py_ssize_t count_groups(Py_ssize_t n_rows) noexcept nogil:
    """Groups of LANES images; the last one may be smaller."""
    return (n_rows + LANES - 1) // LANES


cdef inline Py_ssize_t group_start(const Network* net, Py_ssize_t n_rows, Py_ssize_t group) noexcept nogil:
    """Of a batch, the group's first row: groups that are normalised have as equal sizes as may be."""
    return group * n_rows // count_groups(n_rows) if net.normalize else min(n_rows, group * LANES)


cdef inline Py_ssize_t group_size(const Network* net, Py_ssize_t n_rows, Py_ssize_t group) noexcept nogil:
    return group_start(net, n_rows, group + 1) - group_start(net, n_rows, group)


cdef inline Py_ssize_t group_lanes(const Network* net, Py_ssize_t n_rows) noexcept nogil:
    """LANES, or 1 for a group of so few rows that they are cheaper one by one, if they have nothing in common."""
    return 1 if n_rows <= FEW_IMAGES and not net.normalize else LANES


cdef inline Py_ssize_t count_chunks(Py_ssize_t n_groups) noexcept nogil:
    """Chunks of neighbouring groups: each has a gradient of its own, and they are added up in their order."""
    return min(n_groups, max(<Py_ssize_t> FEW_CHUNKS, min(<Py_ssize_t> MANY_CHUNKS, n_groups // CHUNK_GROUPS)))


cdef inline Py_ssize_t count_parameter_chunks(Py_ssize_t n_parameters) noexcept nogil:
    """Chunks of the parameter vector: a solver's step does them one by one."""
    return (n_parameters + PARAMETER_CHUNK - 1) // PARAMETER_CHUNK


# ---- where everything lies ----


cdef inline Py_ssize_t flat_run(const Stage* stage) noexcept nogil:
    """A single image's outputs of one filter, from the first to the last, those between the rows included."""
    return (stage.out_height - 1) * stage.row + stage.out_width


cdef inline Py_ssize_t block_rows(const Stage* stage, floating zero) noexcept nogil:
    """Rows of pools whose gradient stays in the first-level cache."""
    cdef Py_ssize_t row_bytes = (
        SUM_FILTERS * stage.pool_height * stage.row * LANES * <Py_ssize_t> sizeof(floating))
    return max(<Py_ssize_t> 1, ROWS_BYTES // row_bytes)


cdef inline Py_ssize_t strip_rows(const Stage* stage) noexcept nogil:
    """Rows of pools that a group's forward pass goes through at a time: one, or several of a column."""
    return max(<Py_ssize_t> 1, SHORT_RUN // stage.pool_height) if stage.row == 1 else 1


cdef inline Py_ssize_t strip_size(const Stage* stage, Py_ssize_t n_lanes) noexcept nogil:
    """What the passes of a group (n_lanes is LANES, or 0), or of a single image, need besides their results."""
    cdef Py_ssize_t n_filters = max(<Py_ssize_t> TILE_FILTERS, <Py_ssize_t> SUM_FILTERS)
    if n_lanes != 1:
        return n_filters * strip_rows(stage) * stage.pool_height * stage.out_width * n_lanes
    return n_filters * max(flat_run(stage) + stage.pooled_height * stage.pooled_width,
                           (stage.height - 1) * stage.row + stage.width)


cdef inline Py_ssize_t d_size(const Stage* stage, bint first, Py_ssize_t n_lanes, floating zero) noexcept nogil:
    """The gradient of a convolution; of the first one, which has nothing below it, never more than a block.

    Where it is normalised, a block has all rows.
    """
    if not first:
        return stage.n_filters * stage.d_plane * n_lanes
    if stage.epsilon:
        return SUM_FILTERS * stage.out_height * stage.row * n_lanes
    if n_lanes != 1:
        return SUM_FILTERS * stage.pool_height * stage.row * n_lanes * min(
            stage.pooled_height, block_rows(stage, zero))
    return SUM_FILTERS * flat_run(stage)


cdef inline Py_ssize_t swapped_size(const Stage* stage) noexcept nogil:
    """What a stage reads, with channels as lanes and whole tiles."""
    return whole_lanes(stage.n_channels) * LANES * stage.swapped_height * stage.swapped_width


cdef inline Scratch carve(
    const Network* net, Py_ssize_t n_rows, Py_ssize_t n_threads, bint backward, floating zero,
) noexcept nogil:
    """The scratch memory of batches of up to `n_rows` rows; without `backward`, what a forward pass needs."""
    cdef Scratch at
    cdef const Stage* stage
    cdef Py_ssize_t n_groups = count_groups(n_rows)
    cdef Py_ssize_t n_chunks = count_chunks(n_groups)
    cdef Py_ssize_t n_images = min(n_rows, <Py_ssize_t> FEW_IMAGES)
    # A few rows, one by one, have no use for a group's lanes.
    cdef Py_ssize_t n_lanes = LANES if group_lanes(net, n_rows) == LANES else 0
    cdef Py_ssize_t outputs = net.n_outputs * LANES
    cdef Py_ssize_t kept = n_groups if net.standardize and backward else 0
    cdef Py_ssize_t n_bytes = sizeof(floating)
    cdef Py_ssize_t strip = 0
    cdef Py_ssize_t d = 0
    cdef Py_ssize_t d_maps = 0
    cdef Py_ssize_t tiles = 0
    cdef Py_ssize_t d_tiles = 0
    cdef Py_ssize_t swapped = 0
    cdef Py_ssize_t i
    for i in range(net.n_stages):
        stage = &net.stages[i]
        strip = max(strip, strip_size(stage, 1), strip_size(stage, n_lanes))
        d = max(d, d_size(stage, i == 0, 1, zero), d_size(stage, i == 0, n_lanes, zero))
        if i:
            d_maps = max(d_maps, stage.n_channels * stage.height * stage.width,
                         stage.n_channels * stage.d_x_plane * n_lanes)
        if stage.tiles and n_lanes:
            tiles = max(tiles, tile_positions(stage.tiles) * apart(whole_lanes(stage.n_channels) * stage.tile_run))
            d_tiles = max(d_tiles, tile_positions(stage.tiles) * apart(stage.n_filters * stage.tile_run))
            swapped = max(swapped, swapped_size(stage))
            strip = max(strip, TILE_FILTERS * stage.tile_strip * stage.pool_height * stage.out_width * n_lanes,
                        TILE_FILTERS * whole_lanes(stage.n_channels))
    at.net = net
    at.n_threads = n_threads
    at.standardized = net.standardize
    at.gradients = 0
    at.gradient_stride = whole_lanes(net.n_trainable)
    # A single thread adds each chunk's gradient to the first one's and needs no more than these two.
    at.n_gradients = max(<Py_ssize_t> 1, min(n_chunks, <Py_ssize_t> 2) if n_threads == 1 else n_chunks)
    at.partials = at.gradients + (at.n_gradients * at.gradient_stride if backward else 0)
    at.statistics = at.partials + whole_lanes(
        (n_chunks + count_parameter_chunks(net.n_trainable)) * <Py_ssize_t> sizeof(double) // n_bytes)
    at.transformed = at.statistics + whole_lanes(2 * net.n_outputs)
    at.batch_targets = at.transformed + (net.n_transformed if n_lanes else 0)
    at.batch_weights = at.batch_targets + kept * outputs
    at.batch_logits = at.batch_weights + kept * LANES
    at.batch_d_logits = at.batch_logits + kept * outputs
    at.threads = at.batch_d_logits + kept * outputs
    at.feature_maps = 0
    at.image_stride = whole_lanes(net.n_feature_maps)
    at.pool_indices = at.feature_maps + max(net.n_feature_maps * n_lanes, n_images * at.image_stride)
    at.convolved = at.pool_indices + whole_lanes(
        net.n_pool_indices * max(n_lanes, n_images) * <Py_ssize_t> sizeof(uint16_t) // n_bytes + 1)
    at.norms = at.convolved + net.n_convolved * n_lanes
    at.strip = at.norms + whole_lanes(net.n_norms * <Py_ssize_t> sizeof(Norm) // n_bytes)
    at.d = at.strip + whole_lanes(strip)
    at.d_maps = at.d + (whole_lanes(d) if backward else 0)
    at.d_hidden = at.d_maps + (whole_lanes(d_maps) if backward else 0)
    at.flipped = at.d_hidden + (net.n_hidden * LANES if backward and net.global_pool else 0)
    at.sums = at.flipped + (whole_lanes(net.n_flipped) if backward else 0)
    at.tiles = at.sums + (net.n_sums * convolution.sums_width(zero) if backward else 0)
    at.d_tiles = at.tiles + tiles
    at.swapped = at.d_tiles + d_tiles
    at.d_transformed = at.swapped + (swapped if backward else 0)
    at.images = at.d_transformed + (net.n_transformed if backward and n_lanes else 0)
    # X may be of doubles where values are floats.
    at.targets = at.images + (LANES * net.n_features * <Py_ssize_t> sizeof(double) // n_bytes if backward else 0)
    at.weights = at.targets + outputs
    at.logits = at.weights + LANES
    at.d_logits = at.logits + outputs
    at.thread_stride = at.d_logits + outputs
    at.size = at.threads + n_threads * at.thread_stride
    return at
