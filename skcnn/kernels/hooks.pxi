# Hooks to the kernels, part of _kernels.pyx: the tests and the benchmarks call each by itself. Lanes are the last axis
# of arrays; feature maps are (channel or filter, row, column, lane), as flat as a kernel takes them.


cdef int expect(bint fits, str what) except -1:
    if not fits:
        raise ValueError(f"These arrays do not go together: {what}.")
    return 0


def batch_gradient(problem, order, parameters, Memory workspace not None, Py_ssize_t n_threads, gradient_out):
    """Loss of the batch of all rows of `order` at `parameters`; the gradient is written to `gradient_out`.

    Arguments as for `train_batches`. Past its trainable parameters, `gradient_out` (n_parameters,) receives the batch's
    means and variances of the logits where the network standardises.
    """
    cdef CompiledNetwork network = take_network(problem.network.compiled)
    cdef tuple samples = (problem.X, problem.targets, problem.sample_weight)
    cdef tuple indices = (order.rows, order.moves)
    cdef Objective objective = problem.objective
    cdef Views views = Views()
    cdef Network* net = &network.net
    cdef Batch batch
    cdef Scratch at
    cdef void* values = views.take("parameters", parameters, FLOATS | DOUBLES, net.n_parameters, ONE_AXIS, False)
    cdef int type = views.type
    cdef void* gradient = views.take("gradient_out", gradient_out, type, net.n_parameters, ONE_AXIS, True)
    take_problem(views, net, samples, indices, objective, type, &batch)
    expect(batch.n_rows > 0, "there are no rows")
    at = take_workspace(net, batch.n_rows, n_threads, type, workspace)
    if type == FLOATS:
        return gradient_of_batch(&batch, &at, <float*> values, <float*> workspace.data, <float*> gradient)
    return gradient_of_batch(&batch, &at, <double*> values, <double*> workspace.data, <double*> gradient)


cdef double gradient_of_batch(
    Batch* batch, const Scratch* at, const floating* parameters, floating* scratch, floating* gradient_out,
) noexcept:
    cdef const Network* net = at.net
    cdef Py_ssize_t n_weighted
    cdef Mode mode = flush_subnormals()
    batch.total_weight = weigh(batch, <const floating*> batch.sample_weight, &n_weighted)
    cdef double value = run_batch(batch, at, parameters, scratch)
    value += finish_gradient(at, solvers.ADAM, batch.alpha / batch.total_weight, 0, net.n_trainable,
                             left_gradients(batch, at), parameters, scratch + at.gradients)
    memcpy(gradient_out, scratch + at.gradients, net.n_trainable * sizeof(floating))
    if net.standardize:
        memcpy(gradient_out + net.running_means, scratch + at.statistics, 2 * net.n_outputs * sizeof(floating))
    restore_subnormals(mode)
    return value


# ---- convolution: a stage of a network, of a group (n_lanes is 16) or of a single image (1) ----


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
    return laid.stage.winograd and laid.n_lanes == LANES


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
            strip.n_filters = convolution.even_part(stage.n_filters - strip.filter, <Py_ssize_t> TILE_FILTERS)
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
            memset(thread + laid.at.d_transformed, 0, (laid.at.images - laid.at.d_transformed) * sizeof(floating))
            winograd_backward(&laid.at, stage, maps_of(&laid.at, laid.number, LANES, 0, thread),
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
            winograd_backward(&laid.at, stage, NULL, scratch + laid.at.size + stage.d_start * LANES,
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


# Of a tile, before and after each transform.
SIZES = {"X": (6, 6), "D_X": (6, 6), "FILTERS": (3, 6), "D_FILTERS": (6, 3), "OUTPUTS": (6, 4), "D_OUTPUTS": (4, 6)}


def winograd_transform(str name, const floating[:, :, ::1] tiles, floating[:, ::1] out):
    """One of winograd.Transform, of LANES tiles (row, column, lane); out (row and column, lane)."""
    expect(tiles.shape[0] == tiles.shape[1] == SIZES[name][0] and tiles.shape[2] == LANES, "tiles")
    expect(out.shape[0] == SIZES[name][1] ** 2 and out.shape[1] == LANES, "out")
    if name == "X":
        transform_all(winograd.X, &tiles[0, 0, 0], &out[0, 0])
    elif name == "D_X":
        transform_all(winograd.D_X, &tiles[0, 0, 0], &out[0, 0])
    elif name == "FILTERS":
        transform_all(winograd.FILTERS, &tiles[0, 0, 0], &out[0, 0])
    elif name == "D_FILTERS":
        transform_all(winograd.D_FILTERS, &tiles[0, 0, 0], &out[0, 0])
    elif name == "OUTPUTS":
        transform_all(winograd.OUTPUTS, &tiles[0, 0, 0], &out[0, 0])
    else:
        transform_all(winograd.D_OUTPUTS, &tiles[0, 0, 0], &out[0, 0])


cdef inline void transform_all(winograd.Transform transform, const floating* tiles, floating* out) noexcept nogil:
    winograd.transform_tiles(
        transform, tiles, winograd.size_before(transform) * LANES, LANES, <floating> 0, out,
        winograd.size_after(transform) * LANES, LANES)


# ---- the other kernels; dimensions are taken from the arrays ----


def gather(
    const pixel[:, ::1] X, const Py_ssize_t[::1] rows, double rescale, Py_ssize_t height, Py_ssize_t width,
    Py_ssize_t start, floating[:, :, :, ::1] x_out,
):
    """Into planes (n_channels, rows, columns, lanes) larger than the images, `start` positions from their beginning."""
    cdef Py_ssize_t n_channels = x_out.shape[0]
    cdef Py_ssize_t row = x_out.shape[2]
    cdef Py_ssize_t plane = x_out.shape[1] * row
    cdef Py_ssize_t own_rows[LANES]
    cdef Py_ssize_t i
    expect(x_out.shape[3] == LANES and 1 <= rows.shape[0] <= LANES, "lanes")
    expect(0 < width <= row and 0 < height <= x_out.shape[1] and X.shape[1] == n_channels * height * width, "images")
    expect(0 <= start <= plane - (height - 1) * row - width, "start")
    for i in range(rows.shape[0]):
        own_rows[i] = rows[i]
        expect(0 <= own_rows[i] < X.shape[0], "rows")
    lanes.gather(&X[0, 0], own_rows, rows.shape[0], X.shape[1], n_channels, width, row, plane, <floating> rescale,
                 &x_out[0, 0, 0, 0] + start * LANES)


def shift_image(const pixel[:, :, ::1] image, Py_ssize_t down, Py_ssize_t right, pixel[:, :, ::1] out):
    cdef Py_ssize_t height = image.shape[0]
    cdef Py_ssize_t width = image.shape[1]
    expect(out.shape[0] == height and out.shape[1] == width and out.shape[2] == image.shape[2], "images")
    expect(-width < right < width and -height <= down + 1 and down - 1 <= height, "shifts")
    lanes.shift_image(&image[0, 0, 0], height, width, image.shape[2], down, right, &out[0, 0, 0])


def mirror_image(pixel[:, :, ::1] image):
    lanes.mirror_image(&image[0, 0, 0], image.shape[0], image.shape[1], image.shape[2])


def average(const floating[::1] parameters, double rate, floating[::1] averages_out):
    expect(parameters.shape[0] == averages_out.shape[0], "parameters")
    solvers.average(&parameters[0], parameters.shape[0], rate, &averages_out[0])


def flip_filters(const floating[:, :, ::1] filters, floating[::1] flipped_out):
    """`filters` are (n_filters, n_channels, size); behind the flipped ones, `flipped_out` receives n_channels zeros."""
    expect(flipped_out.shape[0] >= filters.shape[0] * filters.shape[1] * filters.shape[2] + filters.shape[1], "filters")
    convolution.flip_filters(&filters[0, 0, 0], filters.shape[0], filters.shape[1], filters.shape[2], &flipped_out[0])


def max_pool_forward(
    const floating[:, :, ::1] values, Py_ssize_t pool_height, Py_ssize_t pool_width, floating[:, :, ::1] out,
    uint16_t[:, :, ::1] indices_out,
):
    """Lanes are the last axis, 16 or 1 of them."""
    cdef Py_ssize_t row = values.shape[1] * values.shape[2]
    cdef Py_ssize_t i
    check_pools(values.shape, out.shape, indices_out.shape, pool_height, pool_width)
    for i in range(out.shape[0]):
        pooling.max_pool_forward(&values[i * pool_height, 0, 0], row, pool_height, pool_width, out.shape[1],
                                 out.shape[2], &out[i, 0, 0], &indices_out[i, 0, 0])


def max_pool_backward(
    const floating[:, :, ::1] d_out, const uint16_t[:, :, ::1] indices, Py_ssize_t pool_height, Py_ssize_t pool_width,
    floating[:, :, ::1] d_values_out,
):
    cdef Py_ssize_t row = d_values_out.shape[1] * d_values_out.shape[2]
    cdef Py_ssize_t i
    check_pools(d_values_out.shape, d_out.shape, indices.shape, pool_height, pool_width)
    for i in range(d_out.shape[0]):
        pooling.max_pool_backward(&d_out[i, 0, 0], &indices[i, 0, 0], row, pool_height, pool_width, d_out.shape[1],
                                  d_out.shape[2], &d_values_out[i * pool_height, 0, 0])


cdef int check_pools(
    const Py_ssize_t* values, const Py_ssize_t* pools, const Py_ssize_t* indices, Py_ssize_t pool_height,
    Py_ssize_t pool_width,
) except -1:
    """Of shapes."""
    cdef int i
    expect(pool_height >= 1 and pool_width >= 1 and <double> pool_height * pool_width <= MAX_POOL, "pools")
    expect(<double> pools[0] * pool_height <= values[0], "rows")
    expect(<double> pools[1] * pool_width <= values[1], "columns")
    expect(values[2] in (1, LANES) and pools[2] == values[2], "lanes")
    for i in range(3):
        expect(indices[i] == pools[i], "indices")
    return 0


def activate(int activation, floating[::1] values_out):
    activations.activate(activation, &values_out[0], values_out.shape[0], &values_out[0])


def activate_backward(int activation, const floating[::1] values, floating[::1] d_values_out):
    expect(values.shape[0] == d_values_out.shape[0], "values")
    activations.activate_backward(activation, &values[0], values.shape[0], &d_values_out[0], &d_values_out[0])


cdef int check_dense(
    const floating[:, ::1] hidden, const floating[:, ::1] weights, const floating[::1] intercepts,
    const floating[:, ::1] logits,
) except -1:
    expect(hidden.shape[0] == weights.shape[1] >= 1 and weights.shape[0] == intercepts.shape[0] >= 1, "weights")
    expect(logits.shape[0] == weights.shape[0] and hidden.shape[1] == logits.shape[1] == LANES, "logits")
    return 0


def dense_forward(
    const floating[:, ::1] hidden, const floating[:, ::1] weights, const floating[::1] intercepts,
    floating[:, ::1] logits_out,
):
    check_dense(hidden, weights, intercepts, logits_out)
    dense.dense_intercepts_forward(&intercepts[0], weights.shape[0], &logits_out[0, 0])
    dense.dense_forward(&hidden[0, 0], &weights[0, 0], weights.shape[1], weights.shape[1], weights.shape[0],
                        &logits_out[0, 0])


def dense_backward(
    const floating[:, ::1] hidden, const floating[:, ::1] weights, const floating[:, ::1] d_logits,
    floating[:, ::1] d_weights_out, floating[::1] d_intercepts_out, floating[:, ::1] d_hidden_out,
):
    cdef Py_ssize_t n_outputs = weights.shape[0]
    cdef Py_ssize_t n_hidden = weights.shape[1]
    check_dense(hidden, weights, d_intercepts_out, d_logits)
    check_dense(d_hidden_out, d_weights_out, d_intercepts_out, d_logits)
    dense.dense_intercepts_backward(&d_logits[0, 0], n_outputs, &d_intercepts_out[0])
    dense.dense_backward_weights(&hidden[0, 0], &d_logits[0, 0], n_hidden, n_hidden, n_outputs, &d_weights_out[0, 0])
    dense.dense_backward_hidden(&weights[0, 0], &d_logits[0, 0], n_hidden, n_outputs, n_hidden, LANES,
                                &d_hidden_out[0, 0])


cdef int check_groups(
    const floating[:, ::1] weights, const floating[:, :, ::1] logits, const floating[::1] statistics,
) except -1:
    expect(weights.shape[0] == logits.shape[0] and weights.shape[1] == logits.shape[2] == LANES, "groups")
    expect(statistics.shape[0] == logits.shape[1], "outputs")
    return 0


def standardize_forward(
    const floating[:, ::1] weights, floating[:, :, ::1] logits_out, floating[::1] means_out,
    floating[::1] variances_out,
):
    check_groups(weights, logits_out, means_out)
    check_groups(weights, logits_out, variances_out)
    standardization.standardize_batch(&weights[0, 0], logits_out.shape[0], logits_out.shape[1],
                                      &logits_out[0, 0, 0], &means_out[0], &variances_out[0])


def standardize_backward(
    const floating[:, :, ::1] standardized, const floating[:, ::1] weights, const floating[::1] variances,
    floating[:, :, ::1] d_logits_out,
):
    check_groups(weights, standardized, variances)
    check_groups(weights, d_logits_out, variances)
    standardization.standardize_backward(&standardized[0, 0, 0], &weights[0, 0], &variances[0],
                                         d_logits_out.shape[0], d_logits_out.shape[1], &d_logits_out[0, 0, 0])


def loss_and_gradient(
    const floating[:, ::1] logits, const floating[:, ::1] targets, const floating[::1] weights, int loss,
    double total_weight, floating[:, ::1] d_logits_out,
):
    expect(logits.shape[0] == targets.shape[0] == d_logits_out.shape[0], "outputs")
    expect(logits.shape[1] == targets.shape[1] == weights.shape[0] == d_logits_out.shape[1] == LANES, "lanes")
    return losses.loss_and_gradient(&logits[0, 0], &targets[0, 0], &weights[0], logits.shape[0], loss,
                                    total_weight, &d_logits_out[0, 0])


def solver_step(
    const floating[::1] gradient, solvers.Solver solver, Py_ssize_t step, floating[:, ::1] moments,
    floating[::1] parameters_out,
):
    expect(moments.shape[0] == (2 if solver.kind == solvers.ADAM else 1), "moments")
    expect(moments.shape[1] == gradient.shape[0] == parameters_out.shape[0] >= 1, "parameters")
    solver = solvers.solver_of_step(&solver, solver.learning_rate, step)
    if solver.kind == solvers.ADAM:
        solvers.adam_step(&gradient[0], gradient.shape[0], &solver, &moments[0, 0], &moments[1, 0], &parameters_out[0])
    else:
        solvers.sgd_step(&gradient[0], gradient.shape[0], &solver, &moments[0, 0], &parameters_out[0])
