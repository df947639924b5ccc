"""How a batch is divided, and where everything lies that is needed on the way: offsets into one piece of memory.

A batch is cut into groups of LANES images, and its groups into slots, by its size alone: the same sums are taken in the
same order whatever the number of threads.
"""

from libc.stdint cimport uint16_t

from skcnn.kernels cimport convolution
from skcnn.kernels.blocks cimport SUM_FILTERS, TILE_FILTERS
from skcnn.kernels.geometry cimport Layer, Network
from skcnn.kernels.lanes cimport LANES, floating

cdef enum:
    # Slots of a batch: at least FEW_SLOTS, as far as there are groups, at most MANY_SLOTS, otherwise of SLOT_GROUPS
    # groups. Each costs a pass over the gradient, and each can have a thread of its own.
    FEW_SLOTS = 4
    MANY_SLOTS = 16
    SLOT_GROUPS = 4
    # Parameters in a slice.
    SLICE = 4096
    # A last group of no more images than this is cheaper image by image.
    FEW_IMAGES = 8
    # Bytes of a convolution's gradient, rows of SUM_FILTERS filters, that the first-level cache keeps while it is
    # correlated with every tap.
    ROWS_BYTES = 24576

cdef struct Workspace:
    # Where each array of scratch memory begins, in values. First what all threads share: the gradient of each slot of
    # a batch (`gradient_stride` apart), partial sums of the loss (doubles), the batch's statistics and, to standardise,
    # what is known of all its groups; then, `thread_stride` apart, what each thread has for one group: `maps` are all
    # that the layers read, pixels first and hidden activations last.
    Py_ssize_t gradients, gradient_stride, n_gradients, partials, statistics, batch
    Py_ssize_t threads, thread_stride, maps, places, rows, d, d_maps, turned, sums, images, group, size

cdef struct Group:
    # The same for what is known of a group besides its images, from the group's beginning.
    Py_ssize_t targets, logits, d_logits, weights, size


# ---- how a batch is divided ----


cdef inline Py_ssize_t whole_lanes(Py_ssize_t n_values) noexcept nogil:
    return (n_values + LANES - 1) // LANES * LANES


cdef inline Py_ssize_t count_groups(Py_ssize_t n_rows) noexcept nogil:
    """Groups of LANES images; the last one may be smaller."""
    return (n_rows + LANES - 1) // LANES


cdef inline Py_ssize_t group_size(Py_ssize_t n_rows, Py_ssize_t group) noexcept nogil:
    return min(<Py_ssize_t> LANES, n_rows - group * LANES)


cdef inline Py_ssize_t count_slots(Py_ssize_t n_groups) noexcept nogil:
    """Slots of neighbouring groups: each has a gradient of its own, and they are added up in their order."""
    return min(n_groups, max(<Py_ssize_t> FEW_SLOTS, min(<Py_ssize_t> MANY_SLOTS, n_groups // SLOT_GROUPS)))


cdef inline Py_ssize_t count_slices(Py_ssize_t n_parameters) noexcept nogil:
    """Slices of the parameter vector: a solver's step does them one by one."""
    return (n_parameters + SLICE - 1) // SLICE


# ---- where everything lies ----


cdef inline Py_ssize_t image_stride(const Network* net) noexcept nogil:
    """From a single image's maps to the next one's."""
    return whole_lanes(net.n_maps)


cdef inline Py_ssize_t flat_run(const Layer* layer) noexcept nogil:
    """A single image's outputs of one filter, from the first to the last, those between the rows included."""
    return (layer.out_height - 1) * layer.row + layer.out_width


cdef inline Py_ssize_t block_rows(const Layer* layer, floating zero) noexcept nogil:
    """Rows of pools whose gradient stays in the first-level cache."""
    cdef Py_ssize_t row_bytes = (
        SUM_FILTERS * layer.pool_height * layer.row * LANES * <Py_ssize_t> sizeof(floating))
    return max(<Py_ssize_t> 1, ROWS_BYTES // row_bytes)


cdef inline Py_ssize_t rows_size(const Layer* layer, Py_ssize_t n_lanes) noexcept nogil:
    """What the passes of a group (n_lanes is LANES, or 0), or of a single image, need besides their results."""
    cdef Py_ssize_t n_filters = max(<Py_ssize_t> TILE_FILTERS, <Py_ssize_t> SUM_FILTERS)
    if n_lanes != 1:
        return n_filters * layer.pool_height * layer.out_width * n_lanes
    return n_filters * max(flat_run(layer) + layer.pooled_height * layer.pooled_width,
                           (layer.height - 1) * layer.row + layer.width)


cdef inline Py_ssize_t d_size(const Layer* layer, bint first, Py_ssize_t n_lanes, floating zero) noexcept nogil:
    """The gradient of a convolution; of the first one, which has nothing below it, never more than a block."""
    if not first:
        return layer.n_filters * layer.d_plane * n_lanes
    if n_lanes != 1:
        return SUM_FILTERS * layer.pool_height * layer.row * n_lanes * min(
            layer.pooled_height, block_rows(layer, zero))
    return SUM_FILTERS * flat_run(layer)


cdef inline Group carve_group(const Network* net, Py_ssize_t n_groups) noexcept nogil:
    cdef Group at
    at.targets = 0
    at.logits = at.targets + n_groups * net.n_outputs * LANES
    at.d_logits = at.logits + n_groups * net.n_outputs * LANES
    at.weights = at.d_logits + n_groups * net.n_outputs * LANES
    at.size = at.weights + n_groups * LANES
    return at


cdef inline Workspace carve(
    const Network* net, Py_ssize_t n_rows, Py_ssize_t n_threads, bint backward, floating zero,
) noexcept nogil:
    """The workspace of batches of up to `n_rows` rows; without `backward`, what a forward pass needs."""
    cdef Workspace at
    cdef const Layer* layer
    cdef Py_ssize_t n_groups = count_groups(n_rows)
    cdef Py_ssize_t n_slots = count_slots(n_groups)
    cdef Py_ssize_t n_images = min(n_rows, <Py_ssize_t> FEW_IMAGES)
    # A few rows, one by one, have no use for a group's lanes.
    cdef Py_ssize_t n_lanes = LANES if n_rows > FEW_IMAGES else 0
    cdef Py_ssize_t rows = 0
    cdef Py_ssize_t d = 0
    cdef Py_ssize_t d_maps = 0
    cdef Py_ssize_t i
    for i in range(net.n_layers):
        layer = &net.layers[i]
        rows = max(rows, rows_size(layer, 1), rows_size(layer, n_lanes))
        d = max(d, d_size(layer, i == 0, 1, zero), d_size(layer, i == 0, n_lanes, zero))
        if i:
            d_maps = max(d_maps, layer.n_channels * layer.height * layer.width * max(n_lanes, <Py_ssize_t> 1))
    at.gradients = 0
    at.gradient_stride = whole_lanes(net.n_trainable)
    # A single thread adds each slot's gradient to the first one's and needs no more than these two.
    at.n_gradients = min(n_slots, <Py_ssize_t> 2) if n_threads == 1 else n_slots
    at.partials = at.gradients + (at.n_gradients * at.gradient_stride if backward else 0)
    at.statistics = at.partials + whole_lanes(
        (n_slots + count_slices(net.n_trainable)) * <Py_ssize_t> sizeof(double) // <Py_ssize_t> sizeof(floating))
    at.batch = at.statistics + whole_lanes(2 * net.n_outputs)
    at.threads = at.batch + (carve_group(net, n_groups).size if net.standardize and backward else 0)
    at.maps = 0
    at.places = at.maps + max(net.n_maps * n_lanes, n_images * image_stride(net))
    at.rows = at.places + whole_lanes(
        net.n_places * max(n_lanes, n_images) * <Py_ssize_t> sizeof(uint16_t) // <Py_ssize_t> sizeof(floating) + 1)
    at.d = at.rows + whole_lanes(rows)
    at.d_maps = at.d + (whole_lanes(d) if backward else 0)
    at.turned = at.d_maps + (whole_lanes(d_maps) if backward else 0)
    at.sums = at.turned + (whole_lanes(net.n_turned) if backward else 0)
    at.images = at.sums + (net.n_sums * convolution.sums_width(zero) if backward else 0)
    # For images that are shifted before they are interleaved; X may be of doubles where values are floats.
    at.group = at.images + (
        LANES * net.n_features * <Py_ssize_t> sizeof(double) // <Py_ssize_t> sizeof(floating) if backward else 0)
    at.thread_stride = at.group + carve_group(net, 1).size
    at.size = at.threads + n_threads * at.thread_stride
    return at
