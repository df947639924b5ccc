"""A network as the kernels see it: how its arrays lie in memory is decided, and checked, here alone.

Whatever object it is made of, what comes out of here is consistent: windows and pools lie within what they read, each
stage reads what the one before makes, and every part of the parameter vector lies within the vector.
"""

from cpython.mem cimport PyMem_Calloc, PyMem_Free

from skcnn.kernels cimport activations, convolution
from skcnn.kernels.convolution cimport Taps
from skcnn.kernels.lanes cimport LANES
from skcnn.kernels.stages cimport (
    GLOBAL_AVERAGE,
    GLOBAL_MAX,
    MAX_POOL,
    MAX_SPANS,
    MAX_STAGES,
    NO_GLOBAL_POOL,
    Network,
    Span,
    Stage,
)
from skcnn.kernels.winograd cimport (
    COLUMNS,
    NO_TILES,
    SIDE,
    SQUARES,
    TILE,
    Tiles,
    apart,
    tile_points,
    tile_positions,
    tile_width,
)

# What Python calls these constants.
N_LANES = LANES
N_MAX_LAYERS = MAX_STAGES
N_MAX_POOL = MAX_POOL
ACTIVATIONS = {"sigmoid": activations.SIGMOID, "tanh": activations.TANH, "relu": activations.RELU}
GLOBAL_POOLS = {None: NO_GLOBAL_POOL, "average": GLOBAL_AVERAGE, "max": GLOBAL_MAX}

# No array of a network is as large as this: products of sizes might overflow beyond.
cdef double LARGEST = 2.0**40
# Positions in a map, where those of global maxima are numbers of float32.
cdef double MOST_POSITIONS = 2.0**24

# Of Winograd's convolution: what the transforms of a tile take of a channel and of a filter, in products at a position,
# and tiles that are worth a strip, squares and columns.
cdef double SQUARE_COST = 200.0
cdef double COLUMN_COST = 60.0
cdef Py_ssize_t FEW_TILES = 4
cdef Py_ssize_t FEW_COLUMNS = 8

include "tiles.pxi"


cdef class CompiledNetwork:
    """Made once of a skcnn.network.Network, and kept with it.

    Parameters
    ----------
    network : skcnn.network.Network
    winograd : bool, default=True
        Whether convolutions may be Winograd's where that pays.

    Raises
    ------
    ValueError, TypeError, OverflowError
        If the network is not consistent, too large, or has sizes that are no integers.
    MemoryError
        If there is not enough memory for it.
    """

    def __cinit__(self, network, bint winograd=True):
        cdef Network* net = &self.net
        cdef Py_ssize_t n_offsets = 0
        cdef int number
        stages = tuple(network.stages)
        require(0 < len(stages) <= MAX_STAGES, f"it has {len(stages)} stages, and may have {MAX_STAGES}")
        net.n_stages = len(stages)
        read_sizes(net, network)
        net.height, net.width = stages[0].convolution.in_shape[:2]
        for number in range(net.n_stages):
            read_stage(&net.stages[number], number, stages[number], net.height)
            require((net.stages[number].epsilon > 0) == net.normalize, "some of its stages normalise, but not all")
            divide_into_tiles(&net.stages[number], winograd and number > 0)
            place_stage(net, number)
            n_offsets += count_offsets(&net.stages[number])
        check_chain(net)
        read_layout(net, network)
        self.offsets = <Py_ssize_t*> PyMem_Calloc(n_offsets, sizeof(Py_ssize_t))
        if self.offsets == NULL:
            raise MemoryError
        find_taps(net, self.offsets)

    def __dealloc__(self):
        PyMem_Free(self.offsets)

    @property
    def winograd(self):
        """Of each stage, whether a group's convolution is Winograd's."""
        cdef int number
        return tuple([bool(self.net.stages[number].tiles) for number in range(self.net.n_stages)])


cdef int require(bint fits, str what) except -1:
    if not fits:
        raise ValueError(f"This network cannot be computed: {what}.")
    return 0


# ---- what Python says of it ----


cdef int read_sizes(Network* net, network) except -1:
    net.n_features, net.n_hidden, net.n_outputs = network.n_features, network.n_hidden, network.n_outputs
    net.n_trainable, net.n_parameters = network.n_trainable, network.n_parameters
    net.rescale, net.standardize, net.normalize = network.rescale, network.standardize, network.batch_norm
    require(network.global_pool in GLOBAL_POOLS, f"it has the global pooling {network.global_pool!r}")
    net.global_pool = GLOBAL_POOLS[network.global_pool]
    return require(1 <= net.n_outputs < LARGEST, f"it has {net.n_outputs} outputs")


cdef int read_stage(Stage* stage, int number, given, Py_ssize_t net_height) except -1:
    """A stage's shapes; that its windows and pools lie within what it reads."""
    cdef Py_ssize_t kernel_height, kernel_width, above, below, before, behind
    convolution_layer = given.convolution
    stage.height, stage.width, stage.n_channels = convolution_layer.in_shape
    stage.n_filters = convolution_layer.n_filters
    kernel_height, kernel_width = convolution_layer.kernel_size
    (above, below), (before, behind) = convolution_layer.pads
    stage.pool_height, stage.pool_width = given.pool_size
    stage.pooled_height, stage.pooled_width, n_filters = given.out_shape
    if net_height == 1:
        # A signal lies in memory as its one column does, and rows are what the passes divide.
        stage.height, stage.width = stage.width, stage.height
        kernel_height, kernel_width = kernel_width, kernel_height
        above, below, before, behind = before, behind, above, below
        stage.pool_height, stage.pool_width = stage.pool_width, stage.pool_height
        stage.pooled_height, stage.pooled_width = stage.pooled_width, stage.pooled_height
    function = given.activation.function
    require(function in ACTIVATIONS, f"stage {number} has the activation {function!r}")
    stage.activation = ACTIVATIONS[function]
    stage.epsilon = given.normalization.epsilon if given.normalization else 0.0
    require(0 <= stage.epsilon < 1, f"stage {number} adds {stage.epsilon} to variances")
    for size in (stage.height, stage.width, stage.n_channels, stage.n_filters, kernel_height, kernel_width,
                 stage.pool_height, stage.pool_width, stage.pooled_height, stage.pooled_width):
        require(1 <= size < LARGEST, f"stage {number} has a size of {size}")
    require(kernel_height <= stage.height and kernel_width <= stage.width,
            f"stage {number} has filters of {kernel_height} x {kernel_width} on {stage.height} x {stage.width}")
    for pad, side in ((above, kernel_height), (below, kernel_height), (before, kernel_width), (behind, kernel_width)):
        require(0 <= pad < side, f"stage {number} has padding of {pad}")
    require(n_filters == stage.n_filters, f"stage {number} makes {n_filters} feature maps")
    require(<double> stage.pool_height * stage.pool_width <= MAX_POOL, f"stage {number} has too large pools")
    require(
        <double> stage.pooled_height * stage.pool_height <= stage.height + above + below - kernel_height + 1
        and <double> stage.pooled_width * stage.pool_width <= stage.width + before + behind - kernel_width + 1,
        f"stage {number} reads more than there is")
    # As large as any of its arrays.
    require(
        (<double> stage.n_channels + stage.n_filters) * (stage.height + 2 * kernel_height)
        * (stage.width + 2 * kernel_width) < LARGEST
        and <double> stage.n_channels * stage.n_filters * kernel_height * kernel_width < LARGEST,
        f"stage {number} is too large")
    stage.pooled = stage.pool_height * stage.pool_width > 1
    stage.out_height = stage.pooled_height * stage.pool_height
    stage.out_width = stage.pooled_width * stage.pool_width
    stage.kernel_width, stage.kernel_size = kernel_width, kernel_height * kernel_width
    stage.n_taps = stage.n_channels * stage.kernel_size
    # What it reads, with its padding.
    stage.row = stage.width + before + behind
    stage.plane = (stage.height + above + below) * stage.row
    stage.start = above * stage.row + before
    # The gradient of its convolution: the zeros between two of its rows are behind the one and before the other.
    stage.d_plane = (stage.height + kernel_height - 2) * stage.row + stage.width + kernel_width - 1
    stage.d_start = (kernel_height - 1 - above) * stage.row + kernel_width - 1 - before
    return 0


cdef int check_chain(Network* net) except -1:
    """That each stage reads what the one before makes, and the dense layer what the last one does."""
    cdef Stage* stage = &net.stages[0]
    cdef Stage* above
    cdef Py_ssize_t number
    require(stage.height * stage.width * stage.n_channels == net.n_features, "rows of X are no images")
    for number in range(1, net.n_stages):
        stage, above = &net.stages[number - 1], &net.stages[number]
        require(above.height == stage.pooled_height and above.width == stage.pooled_width
                and above.n_channels == stage.n_filters, f"stage {number} does not read what the one before makes")
    stage, above = &net.stages[net.n_stages - 1], &net.stages[net.n_stages]
    # What the last one makes lies close together.
    above.feature_maps, above.start = net.n_feature_maps, 0
    above.row, above.plane = stage.pooled_width, stage.pooled_height * stage.pooled_width
    net.n_feature_maps += stage.n_filters * above.plane
    if net.global_pool:
        require(net.global_pool != GLOBAL_MAX or above.plane <= MOST_POSITIONS, "its last feature maps are too large")
        require(net.n_hidden == stage.n_filters, f"it has {net.n_hidden} hidden activations")
        net.hidden = net.n_feature_maps
        net.maxima = net.hidden + net.n_hidden
        net.n_feature_maps = net.maxima + net.n_hidden
    else:
        require(net.n_hidden == stage.n_filters * above.plane, f"it has {net.n_hidden} hidden activations")
        net.hidden = above.feature_maps
    return require(<double> net.n_hidden * net.n_outputs < LARGEST, "its dense layer is too large")


# ---- the parameter vector ----


cdef int read_layout(Network* net, network) except -1:
    """How the parameter vector is divided, without gaps: first what is trained, then the statistics."""
    cdef Span* span
    cdef Py_ssize_t end = 0
    spans = {}
    for parameter, start, stop in network.layout:
        require(net.n_spans < MAX_SPANS, f"it has more than {MAX_SPANS} arrays of parameters")
        span = &net.spans[net.n_spans]
        net.n_spans += 1
        span.start, span.stop = start, stop
        span.penalized, span.trained = parameter.penalized, parameter.trained
        span.rate, span.largest_rate = parameter.rate, parameter.largest_rate
        span.input_scale = parameter.input_scale
        require(0 < span.rate < LARGEST, f"{parameter.name} has a learning rate {span.rate} times as large")
        require(0 < span.largest_rate < LARGEST, f"{parameter.name} has a learning rate of {span.largest_rate}")
        require(0 < span.input_scale < LARGEST, f"{parameter.name} has an input of scale {span.input_scale}")
        require(span.start == end and span.stop >= end, f"{parameter.name} is not where it belongs")
        end = span.stop
        spans[parameter.name] = span.start, span.stop
    require(end == net.n_parameters and 0 <= net.n_trainable <= end, f"it has {end} parameters")
    for number in range(net.n_stages):
        stage = &net.stages[number]
        find_span(spans, f"filters_{number}", stage.n_filters * stage.n_taps, net.n_trainable, &stage.filters)
        if net.normalize:
            find_span(spans, f"scales_{number}", stage.n_filters, net.n_trainable, &stage.scales)
            find_span(spans, f"means_{number}", stage.n_filters, end, &stage.means)
            find_span(spans, f"variances_{number}", stage.n_filters, end, &stage.variances)
        name = f"shifts_{number}" if net.normalize else f"filter_intercepts_{number}"
        find_span(spans, name, stage.n_filters, net.n_trainable, &stage.intercepts)
    find_span(spans, "weights", net.n_outputs * net.n_hidden, net.n_trainable, &net.weights)
    find_span(spans, "intercepts", net.n_outputs, net.n_trainable, &net.intercepts)
    if net.standardize:
        find_span(spans, "running_means", net.n_outputs, end, &net.running_means)
        find_span(spans, "running_variances", net.n_outputs, end, &net.running_variances)
        # They are averaged as one.
        require(net.running_variances == net.running_means + net.n_outputs, "its statistics lie apart")
    return 0


cdef int find_span(dict spans, str name, Py_ssize_t n_values, Py_ssize_t end, Py_ssize_t* start_out) except -1:
    require(name in spans, f"it has no {name}")
    start, stop = spans[name]
    require(stop - start == n_values and stop <= end, f"{name} are {stop - start} values, not {n_values}")
    start_out[0] = start
    return 0


# ---- where everything lies ----


cdef void place_stage(Network* net, Py_ssize_t number) noexcept:
    """Its arrays come behind those of the stages before."""
    cdef Stage* stage = &net.stages[number]
    stage.feature_maps, stage.pool_indices = net.n_feature_maps, net.n_pool_indices
    stage.convolved, stage.flipped, stage.sums, stage.norms = net.n_convolved, net.n_flipped, net.n_sums, net.n_norms
    net.n_feature_maps += stage.n_channels * stage.plane
    net.n_pool_indices += stage.n_filters * stage.pooled_height * stage.pooled_width
    if net.normalize:
        net.n_convolved += stage.n_filters * stage.out_height * stage.out_width
        net.n_norms += stage.n_filters
    if number:
        net.n_flipped += stage.n_filters * stage.n_taps + stage.n_channels
    net.n_sums += stage.n_filters * convolution.sums_taps(stage.n_taps)
    if stage.tiles:
        stage.transformed = net.n_transformed
        net.n_transformed += tile_positions(stage.tiles) * apart(
            stage.n_filters * stage.n_segments * padded_channels(stage))


cdef Py_ssize_t padded_taps(const Stage* stage) noexcept:
    """Number of its taps, rounded up to TAP_BLOCK."""
    return convolution.sums_taps(stage.n_taps) - 1


cdef Py_ssize_t count_offsets(const Stage* stage) noexcept:
    return 2 * (padded_taps(stage) + stage.n_filters * stage.kernel_size) + count_tile_offsets(stage)


cdef void find_taps(Network* net, Py_ssize_t* offsets) noexcept:
    """Of each element of a filter, how far from the first one's pixel its own is.

    Elements are (channel, row, column), filled up with zeros; in the convolution's gradient those of the flipped
    filters, (filter, row, column).
    """
    cdef Stage* stage
    cdef Py_ssize_t number
    for number in range(net.n_stages):
        stage = &net.stages[number]
        offsets = lay_taps(stage, stage.n_channels, stage.plane, LANES, padded_taps(stage), offsets, &stage.taps)
        offsets = lay_taps(stage, stage.n_channels, stage.plane, 1, padded_taps(stage), offsets, &stage.image_taps)
        offsets = lay_taps(stage, stage.n_filters, stage.d_plane, LANES, 0, offsets, &stage.d_taps)
        offsets = lay_taps(stage, stage.n_filters, stage.d_plane, 1, 0, offsets, &stage.image_d_taps)
        if stage.tiles:
            offsets = lay_tile_taps(stage, offsets)


cdef Py_ssize_t* lay_taps(
    const Stage* stage, Py_ssize_t n_planes, Py_ssize_t plane, Py_ssize_t n_lanes, Py_ssize_t n_offsets,
    Py_ssize_t* offsets, Taps* taps_out,
) noexcept:
    """A filter's taps on planes; the offsets behind its own, of `n_offsets` if there are more."""
    cdef Py_ssize_t n, t
    taps_out.n_taps = n_planes * stage.kernel_size
    taps_out.offsets = offsets
    taps_out.filter_stride, taps_out.tap_stride = taps_out.n_taps, 1
    for n in range(n_planes):
        for t in range(stage.kernel_size):
            offsets[n * stage.kernel_size + t] = n_lanes * (
                n * plane + t // stage.kernel_width * stage.row + t % stage.kernel_width)
    return offsets + max(n_offsets, taps_out.n_taps)
