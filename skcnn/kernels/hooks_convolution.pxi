# Hooks to the convolutions: a stage of a network, of a group (n_lanes is 16) or of a single image (1); part of
# _kernels.pyx.


cdef class Laid:
    """A stage's arrays in memory as the passes have them, from arrays without padding."""

    cdef Network* net
    cdef Stage* stage
    cdef Scratch at
    cdef Py_ssize_t number, n_lanes
    cdef Memory memory
    cdef CompiledNetwork network
    cdef Views views
    cdef void* parameters
    cdef int type

    def __cinit__(self, CompiledNetwork network not None, Py_ssize_t number, parameters, Py_ssize_t n_lanes):
        expect(0 <= number < network.net.n_stages, f"there is no stage {number}")
        expect(n_lanes in (1, LANES), f"{n_lanes} lanes")
        self.network, self.views, self.number, self.n_lanes = network, Views(), number, n_lanes
        self.net, self.stage = &network.net, &network.net.stages[number]
        self.parameters = self.views.take(
            "parameters", parameters, FLOATS | DOUBLES, self.net.n_parameters, ONE_AXIS, False)
        self.type = self.views.type
        # Behind the rest, the gradient of all of the convolution, for which the first stage has no memory else.
        cdef Py_ssize_t itemsize = sizeof(float) if self.type == FLOATS else sizeof(double)
        self.memory = Memory(workspace_size(self.net, n_lanes, 1, self.type, &self.at)
                             + self.stage.n_filters * self.stage.d_plane * n_lanes * itemsize)
        self.at.shared = self.memory.data

    cdef void* take_maps(self, str name, array, Py_ssize_t n_maps, Py_ssize_t n_positions, bint writable) except NULL:
        return self.views.take(name, array, self.type, n_maps * n_positions, self.n_lanes, writable)


cdef void spread(
    const floating* maps, Py_ssize_t n_maps, Py_ssize_t height, Py_ssize_t width, Py_ssize_t row, Py_ssize_t plane,
    floating* out,
) noexcept nogil:
    """Maps whose rows lie close together, into planes."""
    cdef Py_ssize_t n, i
    for n in range(n_maps):
        for i in range(height):
            memcpy(out + n * plane + i * row, maps + (n * height + i) * width, width * sizeof(floating))


cdef void spread_input(Laid laid, const floating* x, floating* thread) noexcept:
    cdef const Stage* stage = laid.stage
    cdef floating* maps = maps_of(&laid.at, laid.number, laid.n_lanes, 0, thread)
    clear_padding(stage, laid.n_lanes, maps)
    spread(x, stage.n_channels, stage.height, stage.width * laid.n_lanes, stage.row * laid.n_lanes,
           stage.plane * laid.n_lanes, maps + stage.start * laid.n_lanes)


cdef bint is_tiled(Laid laid) noexcept:
    return laid.stage.tiles and laid.n_lanes == LANES


def convolution_forward(
    CompiledNetwork network not None, Py_ssize_t number, parameters, x, Py_ssize_t n_lanes, out,
    Py_ssize_t n_repeats=1,
):
    """The convolution of a stage, as far as pooling takes it: out (n_filters * out_height * out_width, n_lanes)."""
    cdef Laid laid = Laid(network, number, parameters, n_lanes)
    cdef const Stage* stage = laid.stage
    cdef void* maps = laid.take_maps("x", x, stage.n_channels, stage.height * stage.width, False)
    cdef void* to = laid.take_maps("out", out, stage.n_filters, stage.out_height * stage.out_width, True)
    if laid.type == FLOATS:
        convolve(laid, n_repeats, <float*> maps, <float*> laid.memory.data, <float*> to)
    else:
        convolve(laid, n_repeats, <double*> maps, <double*> laid.memory.data, <double*> to)


cdef void convolve(
    Laid laid, Py_ssize_t n_repeats, const floating* x, floating* scratch, floating* out,
) noexcept:
    cdef const Stage* stage = laid.stage
    cdef const floating* parameters = <const floating*> laid.parameters
    cdef floating* thread = scratch + laid.at.threads
    cdef floating* rows = thread + laid.at.strip
    cdef const floating* maps = maps_of(&laid.at, laid.number, laid.n_lanes, 0, thread)
    cdef Py_ssize_t width = stage.out_width * laid.n_lanes
    cdef Py_ssize_t repeat, first, q, i
    cdef Strip strip
    spread_input(laid, x, thread)
    if is_tiled(laid):
        for repeat in range(n_repeats):
            winograd_prepare(stage, parameters, transformed_of(&laid.at, stage, thread))
            convolve_tiles(&laid.at, laid.number, parameters, out, thread)
        return
    strip.stage, strip.number, strip.image = stage, laid.number, 0
    strip.n_rows = 1 if laid.n_lanes == LANES else stage.pooled_height
    for repeat in range(n_repeats):
        strip.filter = 0
        while strip.filter < stage.n_filters:
            strip.n_filters = convolution.next_filters(stage.n_filters - strip.filter, <floating> 0)
            strip.row = 0
            while strip.row < stage.pooled_height:
                direct_forward(&strip, laid.n_lanes, maps, parameters, rows)
                first = strip.filter * stage.out_height + strip.row * stage.pool_height
                for q in range(strip.n_filters if repeat == n_repeats - 1 else 0):
                    for i in range(strip.n_rows * stage.pool_height):
                        memcpy(out + (first + q * stage.out_height + i) * width,
                               rows + q * direct_stride(&strip, laid.n_lanes) + i * direct_row(stage, laid.n_lanes),
                               width * sizeof(floating))
                strip.row += strip.n_rows
            strip.filter += strip.n_filters


def convolution_backward_weights(
    CompiledNetwork network not None, Py_ssize_t number, parameters, x, d, Py_ssize_t n_lanes, gradient_out,
    Py_ssize_t n_repeats=1,
):
    """What `d`, the gradient of a stage's convolution as `out` above, adds to `gradient_out` (n_parameters,)."""
    cdef Laid laid = Laid(network, number, parameters, n_lanes)
    cdef const Stage* stage = laid.stage
    cdef void* maps = laid.take_maps("x", x, stage.n_channels, stage.height * stage.width, False)
    cdef void* d_maps = laid.take_maps("d", d, stage.n_filters, stage.out_height * stage.out_width, False)
    cdef void* to = laid.views.take("gradient_out", gradient_out, laid.type, laid.net.n_parameters, ONE_AXIS, True)
    if laid.type == FLOATS:
        sum_weights(laid, n_repeats, <float*> maps, <float*> d_maps, <float*> laid.memory.data, <float*> to)
    else:
        sum_weights(laid, n_repeats, <double*> maps, <double*> d_maps, <double*> laid.memory.data, <double*> to)


cdef void spread_gradient(Laid laid, const floating* d, floating* d_out) noexcept:
    cdef const Stage* stage = laid.stage
    cdef Py_ssize_t n_lanes = laid.n_lanes
    clear_gradient(stage, n_lanes, d_out)
    spread(d, stage.n_filters, stage.out_height, stage.out_width * n_lanes, stage.row * n_lanes,
           stage.d_plane * n_lanes, d_out + stage.d_start * n_lanes)


cdef void sum_weights(
    Laid laid, Py_ssize_t n_repeats, const floating* x, const floating* d, floating* scratch, floating* gradient_out,
) noexcept:
    cdef const Stage* stage = laid.stage
    cdef Py_ssize_t n_lanes = laid.n_lanes
    cdef floating* thread = scratch + laid.at.threads
    cdef floating* sums = thread + laid.at.sums + stage.sums * convolution.sums_width(<floating> 0)
    cdef Py_ssize_t n_sums = convolution.sums_size(stage.n_filters, stage.n_taps, <floating> 0)
    cdef Py_ssize_t most_rows = min(stage.pooled_height, block_rows(stage, <floating> 0))
    cdef Py_ssize_t d_stride = stage.d_plane * n_lanes
    cdef Py_ssize_t repeat
    cdef Strip strip
    spread_input(laid, x, thread)
    spread_gradient(laid, d, scratch + laid.at.size)
    if is_tiled(laid):
        for repeat in range(n_repeats):
            winograd_backward(&laid.at, stage, True, maps_of(&laid.at, laid.number, LANES, 0, thread),
                              scratch + laid.at.size + stage.d_start * LANES, NULL, thread, NULL)
        winograd_finish(stage, thread + laid.at.d_transformed + stage.transformed, gradient_out)
        sum_intercepts(stage, scratch + laid.at.size + stage.d_start * LANES, gradient_out)
        return
    if n_lanes == 1:
        most_rows = stage.pooled_height
    strip.stage, strip.number, strip.image = stage, laid.number, 0
    for repeat in range(n_repeats):
        memset(sums, 0, n_sums * sizeof(floating))
        strip.filter = 0
        while strip.filter < stage.n_filters:
            strip.n_filters = min(stage.n_filters - strip.filter, <Py_ssize_t> SUM_FILTERS)
            strip.row = 0
            while strip.row < stage.pooled_height:
                strip.n_rows = convolution.even_part(stage.pooled_height - strip.row, most_rows)
                direct_backward_weights(
                    &strip, n_lanes, maps_of(&laid.at, laid.number, n_lanes, 0, thread),
                    scratch + laid.at.size + strip.filter * d_stride + (
                        stage.d_start + strip.row * stage.pool_height * stage.row) * n_lanes, d_stride, sums)
                strip.row += strip.n_rows
            strip.filter += strip.n_filters
    convolution.convolution_backward_sums(
        sums, stage.n_taps, stage.n_filters, gradient_out + stage.filters, gradient_out + stage.intercepts)


def convolution_backward_data(
    CompiledNetwork network not None, Py_ssize_t number, parameters, d, Py_ssize_t n_lanes, d_x_out,
    Py_ssize_t n_repeats=1,
):
    """The gradient of what a stage reads, (n_channels * height * width, n_lanes), from that of its convolution."""
    cdef Laid laid = Laid(network, number, parameters, n_lanes)
    cdef const Stage* stage = laid.stage
    cdef void* d_maps = laid.take_maps("d", d, stage.n_filters, stage.out_height * stage.out_width, False)
    cdef void* to = laid.take_maps("d_x_out", d_x_out, stage.n_channels, stage.height * stage.width, True)
    expect(number > 0, "nothing asks for the gradient of the pixels")
    if laid.type == FLOATS:
        convolve_back(laid, n_repeats, <float*> d_maps, <float*> laid.memory.data, <float*> to)
    else:
        convolve_back(laid, n_repeats, <double*> d_maps, <double*> laid.memory.data, <double*> to)


cdef void convolve_back(
    Laid laid, Py_ssize_t n_repeats, const floating* d, floating* scratch, floating* d_x_out,
) noexcept:
    cdef const Stage* stage = laid.stage
    cdef floating* thread = scratch + laid.at.threads
    cdef floating* flipped = thread + laid.at.flipped + stage.flipped
    cdef floating* d_maps = thread + laid.at.d_maps
    cdef Py_ssize_t repeat, ch, i
    spread_gradient(laid, d, scratch + laid.at.size)
    if is_tiled(laid):
        for repeat in range(n_repeats):
            winograd_prepare(
                stage, <const floating*> laid.parameters, transformed_of(&laid.at, stage, thread))
            winograd_backward(&laid.at, stage, True, NULL, scratch + laid.at.size + stage.d_start * LANES,
                              transformed_of(&laid.at, stage, thread), thread, d_maps)
        for ch in range(stage.n_channels):
            for i in range(stage.height):
                memcpy(d_x_out + (ch * stage.height + i) * stage.width * LANES,
                       d_maps + (stage.d_x_start + ch * stage.d_x_plane + i * stage.d_x_row) * LANES,
                       stage.width * LANES * sizeof(floating))
        return
    direct_prepare(stage, <const floating*> laid.parameters, flipped)
    for repeat in range(n_repeats):
        direct_backward_data(stage, laid.n_lanes, flipped, scratch + laid.at.size, thread + laid.at.strip, d_x_out)


TRANSFORMS = {
    "X": winograd.X, "D_X": winograd.D_X, "FILTERS": winograd.FILTERS, "D_FILTERS": winograd.D_FILTERS,
    "OUTPUTS": winograd.OUTPUTS, "D_OUTPUTS": winograd.D_OUTPUTS,
}
# Values of a tile's side, before and after each transform: of squares, and of columns.
SIZES = {"X": (6, 6), "D_X": (6, 6), "FILTERS": (3, 6), "D_FILTERS": (6, 3), "OUTPUTS": (6, 4), "D_OUTPUTS": (4, 6)}
COLUMN_SIZES = {
    "X": (8, 8), "D_X": (8, 8), "FILTERS": (5, 8), "D_FILTERS": (8, 5), "OUTPUTS": (8, 4), "D_OUTPUTS": (4, 8),
}


def winograd_transform(str name, const floating[:, :, ::1] tiles, floating[:, ::1] out):
    """One of winograd.Transform, of LANES tiles (row, column, lane), columns or squares; out (row and column, lane)."""
    cdef bint is_column = tiles.shape[1] == 1
    before, after = (COLUMN_SIZES if is_column else SIZES)[name]
    expect(tiles.shape[0] == before and tiles.shape[1] == (1 if is_column else before), "tiles")
    expect(out.shape[0] == (after if is_column else after**2), "out")
    expect(tiles.shape[2] == LANES and out.shape[1] == LANES, "lanes")
    cdef int transform = TRANSFORMS[name]
    cdef Tiles kind = winograd.COLUMNS if is_column else winograd.SQUARES
    cdef Py_ssize_t row = LANES if is_column else before * LANES
    cdef Py_ssize_t out_row = LANES if is_column else after * LANES
    transform_lanes(kind, <Transform> transform, &tiles[0, 0, 0], row, LANES, <floating> 0, &out[0, 0], out_row, LANES)
