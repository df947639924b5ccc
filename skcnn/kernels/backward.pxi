# The backward pass, part of _kernels.pyx: the strips of forward.pxi again, from the gradient of what a stage hands on
# to that of what it reads, the last stage first.


cdef void hidden_backward(
    const Scratch* at, Py_ssize_t h, Py_ssize_t size, Py_ssize_t n_lanes, Py_ssize_t image, const floating* parameters,
    floating* thread, floating* d_out,
) noexcept nogil:
    """The gradient of `size` hidden activations from the h-th on."""
    dense.dense_backward_hidden(parameters + at.net.weights + h, thread + at.d_logits + image, at.net.n_hidden,
                                at.net.n_outputs, size, n_lanes, d_out)


cdef void weights_backward(
    const Scratch* at, Py_ssize_t h, Py_ssize_t size, floating* thread, floating* gradient_out,
) noexcept nogil:
    """A group's share in the gradient of the weights of `size` hidden activations from the h-th on."""
    dense.dense_backward_weights(
        hidden_of(at, LANES, 0, thread) + h * LANES, thread + at.d_logits, at.net.n_hidden, size, at.net.n_outputs,
        gradient_out + at.net.weights + h)


cdef void global_pool_backward(
    const Scratch* at, const Strip* strip, Py_ssize_t n_lanes, floating* thread, floating* d_out,
) noexcept nogil:
    """A filter's rows of the gradient of the last feature maps, from that of what is pooled of them."""
    cdef Py_ssize_t plane = strip.stage[1].plane
    cdef Py_ssize_t n_positions = strip.n_rows * strip.stage.pooled_width
    cdef const floating* d_hidden = thread + at.d_hidden + strip.filter * n_lanes
    cdef Py_ssize_t first = strip.row * strip.stage.pooled_width
    cdef const floating* maxima = maxima_of(at, n_lanes, strip.image, thread) + strip.filter * n_lanes
    if at.net.global_pool == GLOBAL_AVERAGE:
        if n_lanes == LANES:
            pooling.global_average_backward(d_hidden, plane, n_positions, LANES, d_out)
        else:
            pooling.global_average_backward(d_hidden, plane, n_positions, 1, d_out)
    elif n_lanes == LANES:
        pooling.global_max_backward(d_hidden, maxima, first, n_positions, LANES, d_out)
    else:
        pooling.global_max_backward(d_hidden, maxima, first, n_positions, 1, d_out)


cdef inline void backward_strip(
    const Scratch* at, const Strip* strip, Py_ssize_t n_lanes, const floating* parameters, floating* thread,
    floating* d_out,
) noexcept nogil:
    """From a filter's rows of what a stage hands on to the gradient of its convolution there."""
    cdef const Stage* stage = strip.stage
    cdef const Network* net = at.net
    cdef Py_ssize_t h = position(strip)
    cdef PoolRows rows = pool_rows(strip)
    cdef Py_ssize_t width = rows.n_pools * n_lanes
    cdef Py_ssize_t above_row = stage[1].row * n_lanes
    cdef const floating* values = output_row(at, strip, n_lanes, thread)
    cdef const uint16_t* indices = indices_of(at, strip, n_lanes, thread)
    cdef const floating* d_output = d_output_row(at, strip, n_lanes, thread)
    # A group's row without pooling goes straight to where it belongs.
    cdef floating* d_pooled = thread + at.strip if stage.pooled or n_lanes == 1 else d_out
    cdef Py_ssize_t i
    if strip.number == net.n_stages - 1 and net.global_pool:
        global_pool_backward(at, strip, n_lanes, thread, d_pooled)
        activations.activate_backward(stage.activation, values, rows.n_rows * width, d_pooled, d_pooled)
    elif strip.number == net.n_stages - 1:
        hidden_backward(
            at, h, strip.n_rows * stage.pooled_width, n_lanes, strip.image, parameters, thread, d_pooled)
        activations.activate_backward(stage.activation, values, rows.n_rows * width, d_pooled, d_pooled)
    elif n_lanes == LANES or is_contiguous(stage):
        activations.activate_backward(stage.activation, values, rows.n_rows * width, d_output, d_pooled)
    else:
        for i in range(rows.n_rows):
            activations.activate_backward(
                stage.activation, values + i * above_row, width, d_output + i * width, d_pooled + i * width)
    for i in range(rows.n_rows):
        if stage.pooled:
            pooling.max_pool_backward(
                d_pooled + i * width, indices + i * width, stage.row * n_lanes, rows.pool_height, rows.pool_width,
                rows.n_pools, n_lanes, d_out + i * rows.pool_height * stage.row * n_lanes)
        elif n_lanes == 1:
            memcpy(d_out + i * stage.row, d_pooled + i * width, width * sizeof(floating))


cdef inline void backward_strips(
    const Scratch* at, const Strip* strip, Py_ssize_t n_lanes, Py_ssize_t d_stride, const floating* parameters,
    floating* thread, floating* d_out,
) noexcept nogil:
    """The same of all filters of a strip, a few of a group's rows at a time, all of a single image's.

    `d_out` is the strip's first, of its first filter.
    """
    cdef Py_ssize_t d_row = strip.stage.pool_height * strip.stage.row * n_lanes
    cdef Py_ssize_t most_rows = strip_rows(strip.stage) if n_lanes == LANES else strip.n_rows
    cdef Strip part
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t q
    while i < strip.n_rows:
        for q in range(strip.n_filters):
            part = one_filter(strip, q)
            part.row += i
            part.n_rows = min(strip.n_rows - i, most_rows)
            backward_strip(at, &part, n_lanes, parameters, thread, d_out + q * d_stride + i * d_row)
        i += most_rows


cdef void normalize_strip_backward(
    const Scratch* at, const Strip* strip, const floating* parameters, const double* d_scales, const double* d_shifts,
    floating* thread, Py_ssize_t d_stride, floating* d_out,
) noexcept nogil:
    """From the gradient of what normalisation makes of a group's rows to that of the convolution, in place."""
    cdef const Stage* stage = strip.stage
    cdef Py_ssize_t q, f
    for q in range(strip.n_filters):
        f = strip.filter + q
        normalization.normalize_backward(
            convolved_of(at, stage, f, strip.row * stage.pool_height, thread), thread + at.weights,
            stage.out_height * stage.out_width, strip.n_rows * stage.pool_height, stage.out_width, stage.row,
            norms_of(at, stage, thread) + f, stage.epsilon, parameters[stage.scales + f], d_scales[q], d_shifts[q],
            d_out + q * d_stride)


cdef void normalize_backward_sums(
    const Scratch* at, const Strip* strip, floating* thread, Py_ssize_t d_stride, const floating* d,
    double* d_scales_out, double* d_shifts_out, floating* gradient_out,
) noexcept nogil:
    """Of the gradient of what normalisation makes of some filters' maps, a scale's and a shift's share in it."""
    cdef const Stage* stage = strip.stage
    cdef Py_ssize_t q, f
    for q in range(strip.n_filters):
        f = strip.filter + q
        normalization.normalize_backward_sums(
            convolved_of(at, stage, f, 0, thread), d + q * d_stride, stage.out_height, stage.out_width, stage.row,
            norms_of(at, stage, thread) + f, stage.epsilon, d_scales_out + q, d_shifts_out + q)
        gradient_out[stage.scales + f] += <floating> d_scales_out[q]
        gradient_out[stage.intercepts + f] += <floating> d_shifts_out[q]


cdef inline void backward_stage(
    const Scratch* at, Py_ssize_t number, Py_ssize_t n_lanes, Py_ssize_t image, const floating* parameters,
    floating* thread, floating* gradient_out,
) noexcept nogil:
    """Add the stage's share to the sums of its filters' gradient; the gradient of its convolution goes to at.d.

    With a group's last stage comes the dense layer's gradient. A few filters at a time, and as many of a group's rows
    as the first-level cache holds. The first stage, which has nothing below it, has memory for these only, or for all
    rows of the filters where they are normalised: what comes before that is done with all of them first.
    """
    cdef const Stage* stage = &at.net.stages[number]
    cdef const floating* x = maps_of(at, number, n_lanes, image, thread)
    cdef floating* sums = thread + at.sums + stage.sums * convolution.sums_width(<floating> 0)
    cdef Py_ssize_t most_rows = stage.pooled_height
    cdef Py_ssize_t d_row = stage.pool_height * stage.row * n_lanes
    cdef Py_ssize_t d_stride = stage.d_plane * n_lanes
    cdef bint normalized = n_lanes == LANES and at.net.normalize
    cdef double d_scales[SUM_FILTERS]
    cdef double d_shifts[SUM_FILTERS]
    cdef floating* d
    cdef Strip strip
    if n_lanes == LANES:
        most_rows = min(most_rows, block_rows(stage, <floating> 0))
    if number == 0 and normalized:
        d_stride = d_row * stage.pooled_height
    elif number == 0:
        d_stride = d_row * most_rows if n_lanes == LANES else flat_run(stage)
    strip.stage, strip.number, strip.image, strip.filter = stage, number, image, 0
    while strip.filter < stage.n_filters:
        strip.n_filters = min(stage.n_filters - strip.filter, <Py_ssize_t> SUM_FILTERS)
        if n_lanes == LANES and number == at.net.n_stages - 1 and not at.net.global_pool:
            weights_backward(at, strip.filter * stage[1].plane, strip.n_filters * stage[1].plane, thread, gradient_out)
        d = thread + at.d
        if number:
            d += strip.filter * d_stride + stage.d_start * n_lanes
        strip.row = 0
        if normalized:
            strip.n_rows = stage.pooled_height
            backward_strips(at, &strip, LANES, d_stride, parameters, thread, d)
            normalize_backward_sums(at, &strip, thread, d_stride, d, d_scales, d_shifts, gradient_out)
        while strip.row < stage.pooled_height:
            strip.n_rows = convolution.even_part(stage.pooled_height - strip.row, most_rows)
            if normalized:
                normalize_strip_backward(at, &strip, parameters, d_scales, d_shifts, thread, d_stride, d)
            else:
                if number == 0 and n_lanes == 1:
                    memset(d, 0, strip.n_filters * d_stride * sizeof(floating))
                backward_strips(at, &strip, n_lanes, d_stride, parameters, thread, d)
            if n_lanes == 1 or not stage.tiles:
                direct_backward_weights(&strip, n_lanes, x, d, d_stride, sums)
            if number or normalized:
                d += strip.n_rows * d_row
            strip.row += strip.n_rows
        strip.filter += strip.n_filters


cdef inline void backward_stages(
    const Scratch* at, Py_ssize_t n_lanes, Py_ssize_t image, bint first, const floating* parameters, floating* thread,
    floating* gradient_out,
) noexcept nogil:
    """Add a group's or an image's share to the gradient; that of the filters goes to at.sums or at.d_transformed.

    `first` says whether a group is the first of its chunk, which has no sums in at.d_transformed yet.
    """
    cdef Py_ssize_t number = at.net.n_stages - 1
    cdef const Network* net = at.net
    cdef const Stage* stage
    if net.global_pool:
        hidden_backward(at, 0, net.n_hidden, n_lanes, image, parameters, thread, thread + at.d_hidden)
        if n_lanes == LANES:
            weights_backward(at, 0, net.n_hidden, thread, gradient_out)
    while True:
        stage = &at.net.stages[number]
        if number:
            clear_gradient(stage, n_lanes, thread + at.d)
        backward_stage(at, number, n_lanes, image, parameters, thread, gradient_out)
        if number == 0:
            break
        if n_lanes == LANES and stage.tiles:
            if not net.normalize:
                sum_intercepts(stage, thread + at.d + stage.d_start * LANES, gradient_out)
            winograd_backward(
                at, stage, first, maps_of(at, number, LANES, 0, thread), thread + at.d + stage.d_start * LANES,
                transformed_of(at, stage, thread), thread, thread + at.d_maps)
        else:
            direct_backward_data(stage, n_lanes, thread + at.flipped + stage.flipped, thread + at.d, thread + at.strip,
                                 thread + at.d_maps)
        number -= 1


cdef void backward_group(
    const Scratch* at, bint first, const floating* parameters, floating* thread, floating* gradient_out,
) noexcept nogil:
    backward_stages(at, LANES, 0, first, parameters, thread, gradient_out)


cdef void backward_image(
    const Scratch* at, Py_ssize_t image, const floating* parameters, floating* thread, floating* gradient_out,
) noexcept nogil:
    backward_stages(at, 1, image, False, parameters, thread, gradient_out)
