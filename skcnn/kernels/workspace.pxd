"""How a batch is divided, and where everything lies that is needed on the way: offsets into one piece of memory.

A batch is cut into groups of LANES images, and its groups into slots, by its size alone: the same sums are taken in the
same order whatever the number of threads.
"""

from skcnn.kernels cimport convolution
from skcnn.kernels.blocks cimport SUM_FILTERS, TILE_FILTERS
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

cdef struct Network:
    # What the passes need to know of a skcnn.network.Network, its offsets into the parameter vector included.
    Py_ssize_t n_channels, height, width, n_filters, out_height, out_width, n_taps, n_hidden, n_outputs
    Py_ssize_t filters, filter_intercepts, weights, intercepts, running_means, running_variances, n_trainable
    const Py_ssize_t* taps  # of a group; pixel_taps are those of a single image
    const Py_ssize_t* pixel_taps
    double rescale
    bint fit_intercept, standardize

cdef struct Workspace:
    # Where each array of scratch memory begins, in values. First what all threads share: the gradient of each slot of
    # a batch (`gradient_stride` apart), partial sums of the loss (doubles), the batch's statistics and, to standardise,
    # what is known of all its groups; then, `thread_stride` apart, what each thread has for one group.
    Py_ssize_t gradients, gradient_stride, n_gradients, partials, statistics, batch
    Py_ssize_t threads, thread_stride, x, hidden, rows, sums, group, size

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
    """From a single image to the next, zeros behind it included."""
    return whole_lanes(net.n_channels * net.height * net.width) + LANES


cdef inline Py_ssize_t flat_stride(const Network* net) noexcept nogil:
    """A single image's outputs of one filter, those between the rows included."""
    return whole_lanes((net.out_height - 1) * net.width + net.out_width)


cdef inline Group carve_group(const Network* net, Py_ssize_t n_groups) noexcept nogil:
    cdef Group at
    at.targets = 0
    at.logits = at.targets + n_groups * net.n_outputs * LANES
    at.d_logits = at.logits + n_groups * net.n_outputs * LANES
    at.weights = at.d_logits + n_groups * net.n_outputs * LANES
    at.size = at.weights + n_groups * LANES
    return at


cdef inline Workspace carve(const Network* net, Py_ssize_t n_rows, Py_ssize_t n_threads, floating zero) noexcept nogil:
    """The workspace of batches of up to `n_rows` rows."""
    cdef Workspace at
    cdef Py_ssize_t n_groups = count_groups(n_rows)
    cdef Py_ssize_t n_slots = count_slots(n_groups)
    cdef Py_ssize_t n_images = min(n_rows, <Py_ssize_t> FEW_IMAGES)
    # A few rows, one by one, have no use for a group's lanes.
    cdef Py_ssize_t n_lanes = LANES if n_rows > FEW_IMAGES else 0
    at.gradients = 0
    at.gradient_stride = whole_lanes(net.n_trainable)
    # A single thread adds each slot's gradient to the first one's and needs no more than these two.
    at.n_gradients = min(n_slots, <Py_ssize_t> 2) if n_threads == 1 else n_slots
    at.partials = at.gradients + at.n_gradients * at.gradient_stride
    at.statistics = at.partials + whole_lanes(
        (n_slots + count_slices(net.n_trainable)) * <Py_ssize_t> sizeof(double) // <Py_ssize_t> sizeof(floating))
    at.batch = at.statistics + whole_lanes(2 * net.n_outputs)
    at.threads = at.batch + (carve_group(net, n_groups).size if net.standardize else 0)
    at.x = 0
    at.hidden = at.x + max(net.n_channels * net.height * net.width * n_lanes, n_images * image_stride(net))
    at.rows = at.hidden + whole_lanes(net.n_hidden * max(n_lanes, n_images))
    at.sums = at.rows + (1 + max(<Py_ssize_t> TILE_FILTERS, <Py_ssize_t> SUM_FILTERS)) * max(
        net.out_width * LANES, flat_stride(net))
    at.group = at.sums + convolution.sums_size(net.n_filters, net.n_taps, zero)
    at.thread_stride = at.group + carve_group(net, 1).size
    at.size = at.threads + n_threads * at.thread_stride
    return at
