# The forward and the backward pass, part of _kernels.pyx. One driver serves a group of images, interleaved in LANES
# lanes, and single images where a group would be nearly empty: their number of lanes, 1, is a constant where the
# drivers are called, and each is compiled for both.
#
# Both go through a stage a strip at a time, all the way from what it reads to what it hands on: what one kernel stores,
# the next finds in the cache. The strips of a group are a row of pools of a few filters, or all rows of these where they
# are normalised; those of a single image are all its rows, as one long run costs least.


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


# ---- forward ----


cdef inline void pool_and_activate(
    const Scratch* at, const Strip* strip, Py_ssize_t n_lanes, floating* convolved, floating* thread,
) noexcept nogil:
    """Pool and activate a strip of the convolution.

    An activation never falls as its argument grows: the largest activation is that of the largest argument.
    """
    cdef const Stage* stage = strip.stage
    cdef const Stage* above = stage + 1
    cdef Py_ssize_t stride = direct_stride(strip, n_lanes)
    cdef Py_ssize_t row = direct_row(stage, n_lanes)
    cdef Py_ssize_t width = stage.pooled_width * n_lanes
    cdef uint16_t* indices = indices_of(at, strip, n_lanes, thread)
    cdef floating* out = output_row(at, strip, n_lanes, thread)
    cdef bint contiguous = n_lanes == LANES or is_contiguous(stage)
    # A single image's rows are activated all at once, for which they must be contiguous.
    cdef floating* pooled = out if contiguous else convolved + strip.n_filters * stride
    cdef Py_ssize_t filter_stride = above.plane * n_lanes if contiguous else strip.n_rows * width
    cdef Py_ssize_t q, i
    cdef floating* source
    cdef floating* pooled_row
    for q in range(strip.n_filters):
        for i in range(strip.n_rows):
            source = convolved + q * stride + i * stage.pool_height * row
            pooled_row = pooled + q * filter_stride + i * width
            if stage.pooled:
                pooling.max_pool_forward(
                    source, row, stage.pool_height, stage.pool_width, stage.pooled_width, n_lanes, pooled_row,
                    indices + (q * stage.pooled_height + i) * width)
                # In place, and to be seen as such: compilers vectorise arrays that overlap only if they are the same.
                if n_lanes == LANES:
                    activations.activate(stage.activation, pooled_row, width, pooled_row)
            elif n_lanes == LANES:
                activations.activate(stage.activation, source, width, pooled_row)
            else:
                memcpy(pooled_row, source, width * sizeof(floating))
    if n_lanes == 1:
        activations.activate(stage.activation, pooled, strip.n_filters * filter_stride, pooled)
        for q in range(0 if contiguous else strip.n_filters):
            for i in range(strip.n_rows):
                memcpy(out + q * above.plane + i * above.row, pooled + q * filter_stride + i * width,
                       width * sizeof(floating))


cdef inline void forward_stage(
    const Scratch* at, Py_ssize_t number, Py_ssize_t n_lanes, Py_ssize_t image, const floating* parameters,
    floating* thread,
) noexcept nogil:
    """From what a stage reads to what it hands on; a group's last one is weighed by the dense layer, or pooled."""
    cdef const Stage* stage = &at.net.stages[number]
    cdef const floating* x = maps_of(at, number, n_lanes, image, thread)
    cdef floating* convolved = thread + at.strip
    cdef Strip strip
    cdef Py_ssize_t first, last, q
    strip.stage, strip.number, strip.image, strip.filter = stage, number, image, 0
    strip.n_rows = 1 if n_lanes == LANES else stage.pooled_height
    while strip.filter < stage.n_filters:
        strip.n_filters = convolution.even_part(stage.n_filters - strip.filter, <Py_ssize_t> TILE_FILTERS)
        strip.row = 0
        while strip.row < stage.pooled_height:
            first = strip.row
            last = min(stage.pooled_height, first + ROW_BLOCK) if n_lanes == LANES else stage.pooled_height
            while strip.row < last:
                direct_forward(&strip, n_lanes, x, parameters, convolved)
                pool_and_activate(at, &strip, n_lanes, convolved, thread)
                strip.row += strip.n_rows
            if n_lanes == LANES and number == at.net.n_stages - 1 and not at.net.global_pool:
                for q in range(strip.n_filters):
                    forward_dense_rows(at, stage, strip.filter + q, first, last, parameters, thread)
        if number == at.net.n_stages - 1 and at.net.global_pool:
            pool_globally(at, &strip, n_lanes, thread)
        strip.filter += strip.n_filters


cdef inline void forward_normalized_stage(
    const Scratch* at, Py_ssize_t number, const floating* parameters, floating* thread,
) noexcept nogil:
    """The same of a group that is normalised: of a few filters first all of the convolution, which is kept."""
    cdef const Stage* stage = &at.net.stages[number]
    cdef const floating* x = maps_of(at, number, LANES, 0, thread)
    cdef floating* rows = thread + at.strip
    cdef floating* convolved
    cdef Py_ssize_t n_positions = stage.out_height * stage.out_width
    cdef Py_ssize_t n_values = stage.pool_height * stage.out_width * LANES
    cdef Norm* norm
    cdef Strip strip, part
    cdef Py_ssize_t q
    strip.stage, strip.number, strip.image, strip.filter = stage, number, 0, 0
    while strip.filter < stage.n_filters:
        strip.n_filters = convolution.even_part(stage.n_filters - strip.filter, <Py_ssize_t> TILE_FILTERS)
        strip.row, strip.n_rows = 0, stage.pooled_height
        direct_forward(&strip, LANES, x, parameters, convolved_of(at, stage, strip.filter, 0, thread))
        for q in range(strip.n_filters):
            part = one_filter(&strip, q)
            part.n_rows = 1
            convolved = convolved_of(at, stage, part.filter, 0, thread)
            norm = norms_of(at, stage, thread) + part.filter
            norm[0] = normalization.measure(convolved, n_positions, thread + at.weights)
            while part.row < stage.pooled_height:
                normalization.normalize(
                    convolved + part.row * n_values, n_values, norm, stage.epsilon,
                    parameters[stage.scales + part.filter], parameters[stage.intercepts + part.filter], rows)
                pool_and_activate(at, &part, LANES, rows, thread)
                part.row += 1
            if number == at.net.n_stages - 1 and not at.net.global_pool:
                forward_dense_rows(at, stage, part.filter, 0, stage.pooled_height, parameters, thread)
        if number == at.net.n_stages - 1 and at.net.global_pool:
            pool_globally(at, &strip, LANES, thread)
        strip.filter += strip.n_filters


cdef inline void pool_globally(
    const Scratch* at, const Strip* strip, Py_ssize_t n_lanes, floating* thread,
) noexcept nogil:
    """Of some filters' whole feature maps, the hidden activations."""
    cdef Py_ssize_t plane = strip.stage[1].plane
    cdef const floating* values = maps_of(at, strip.number + 1, n_lanes, strip.image, thread)
    cdef floating* hidden = hidden_of(at, n_lanes, strip.image, thread)
    cdef floating* maxima = maxima_of(at, n_lanes, strip.image, thread)
    cdef Py_ssize_t f
    for f in range(strip.filter, strip.filter + strip.n_filters):
        if at.net.global_pool == GLOBAL_AVERAGE:
            pooling.global_average_forward(values + f * plane * n_lanes, plane, n_lanes, hidden + f * n_lanes)
        else:
            pooling.global_max_forward(
                values + f * plane * n_lanes, plane, n_lanes, hidden + f * n_lanes, maxima + f * n_lanes)


cdef inline void forward_dense_rows(
    const Scratch* at, const Stage* stage, Py_ssize_t f, Py_ssize_t first, Py_ssize_t last,
    const floating* parameters, floating* thread,
) noexcept nogil:
    """What some rows of a filter's hidden activations add to a group's logits."""
    cdef Py_ssize_t h = (f * stage.pooled_height + first) * stage.pooled_width
    dense.dense_forward(
        hidden_of(at, LANES, 0, thread) + h * LANES, parameters + at.net.weights + h, at.net.n_hidden,
        (last - first) * stage.pooled_width, at.net.n_outputs, thread + at.logits)


cdef inline void forward_stages(
    const Scratch* at, Py_ssize_t n_lanes, Py_ssize_t image, const floating* parameters, floating* thread,
) noexcept nogil:
    """The one forward pass, of training and of prediction, from the pixels to the logits (not standardised).

    Predictions are of folded networks, in which nothing is normalised.
    """
    cdef Py_ssize_t number
    for number in range(at.net.n_stages):
        if number:
            clear_padding(&at.net.stages[number], n_lanes, maps_of(at, number, n_lanes, image, thread))
        if n_lanes == LANES and at.net.normalize:
            forward_normalized_stage(at, number, parameters, thread)
        else:
            forward_stage(at, number, n_lanes, image, parameters, thread)
    if n_lanes == 1:
        dense.dense_image_forward(hidden_of(at, 1, image, thread), parameters + at.net.weights, at.net.n_hidden,
                                  at.net.n_outputs, thread + at.logits + image)
    elif at.net.global_pool:
        dense.dense_forward(hidden_of(at, LANES, 0, thread), parameters + at.net.weights, at.net.n_hidden,
                            at.net.n_hidden, at.net.n_outputs, thread + at.logits)


# Each is compiled once, whoever calls it: copies might order their sums differently, and one thread would come to other
# bits than several.


cdef void forward_group(const Scratch* at, const floating* parameters, floating* thread) noexcept nogil:
    forward_stages(at, LANES, 0, parameters, thread)


cdef void forward_image(
    const Scratch* at, Py_ssize_t image, const floating* parameters, floating* thread,
) noexcept nogil:
    forward_stages(at, 1, image, parameters, thread)


# ---- backward ----


cdef inline void global_pool_backward(
    const Scratch* at, const Strip* strip, Py_ssize_t n_lanes, floating* thread, floating* d_out,
) noexcept nogil:
    """A filter's rows of the gradient of the last feature maps, from that of what is pooled of them."""
    cdef Py_ssize_t plane = strip.stage[1].plane
    cdef Py_ssize_t n_positions = strip.n_rows * strip.stage.pooled_width
    cdef const floating* d_hidden = thread + at.d_hidden + strip.filter * n_lanes
    if at.net.global_pool == GLOBAL_AVERAGE:
        pooling.global_average_backward(d_hidden, plane, n_positions, n_lanes, d_out)
    else:
        pooling.global_max_backward(
            d_hidden, maxima_of(at, n_lanes, strip.image, thread) + strip.filter * n_lanes,
            strip.row * strip.stage.pooled_width, n_positions, n_lanes, d_out)


cdef inline void backward_strip(
    const Scratch* at, const Strip* strip, Py_ssize_t n_lanes, const floating* parameters, floating* thread,
    floating* d_out,
) noexcept nogil:
    """From a filter's rows of what a stage hands on to the gradient of its convolution there."""
    cdef const Stage* stage = strip.stage
    cdef const Network* net = at.net
    cdef Py_ssize_t h = position(strip)
    cdef Py_ssize_t width = stage.pooled_width * n_lanes
    cdef Py_ssize_t above_row = stage[1].row * n_lanes
    cdef const floating* values = output_row(at, strip, n_lanes, thread)
    cdef const uint16_t* indices = indices_of(at, strip, n_lanes, thread)
    cdef const floating* d_output = thread + at.d_maps + h * n_lanes
    # A group's row without pooling goes straight to where it belongs.
    cdef floating* d_pooled = thread + at.strip if stage.pooled or n_lanes == 1 else d_out
    cdef Py_ssize_t i
    if strip.number == net.n_stages - 1 and net.global_pool:
        global_pool_backward(at, strip, n_lanes, thread, d_pooled)
        activations.activate_backward(stage.activation, values, strip.n_rows * width, d_pooled, d_pooled)
    elif strip.number == net.n_stages - 1:
        dense.dense_backward_hidden(parameters + net.weights + h, thread + at.d_logits + strip.image, net.n_hidden,
                                    net.n_outputs, strip.n_rows * stage.pooled_width, n_lanes, d_pooled)
        activations.activate_backward(stage.activation, values, strip.n_rows * width, d_pooled, d_pooled)
    elif n_lanes == LANES or is_contiguous(stage):
        activations.activate_backward(stage.activation, values, strip.n_rows * width, d_output, d_pooled)
    else:
        for i in range(strip.n_rows):
            activations.activate_backward(
                stage.activation, values + i * above_row, width, d_output + i * width, d_pooled + i * width)
    for i in range(strip.n_rows):
        if stage.pooled:
            pooling.max_pool_backward(
                d_pooled + i * width, indices + i * width, stage.row * n_lanes, stage.pool_height, stage.pool_width,
                stage.pooled_width, n_lanes, d_out + i * stage.pool_height * stage.row * n_lanes)
        elif n_lanes == 1:
            memcpy(d_out + i * stage.row, d_pooled + i * width, width * sizeof(floating))


cdef inline void backward_strips(
    const Scratch* at, const Strip* strip, Py_ssize_t n_lanes, Py_ssize_t d_stride, const floating* parameters,
    floating* thread, floating* d_out,
) noexcept nogil:
    """The same of all filters of a strip, a group's rows one by one; `d_out` is the strip's first, of its first filter.
    """
    cdef Py_ssize_t d_row = strip.stage.pool_height * strip.stage.row * n_lanes
    cdef Strip part
    cdef Py_ssize_t i, q
    for i in range(strip.n_rows if n_lanes == LANES else 1):
        for q in range(strip.n_filters):
            part = one_filter(strip, q)
            if n_lanes == LANES:
                part.row += i
                part.n_rows = 1
            backward_strip(at, &part, n_lanes, parameters, thread, d_out + q * d_stride + i * d_row)


cdef inline void normalize_strip_backward(
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


cdef inline void normalize_backward_sums(
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
    cdef Py_ssize_t h
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
            h = strip.filter * stage.pooled_height * stage.pooled_width
            dense.dense_backward_weights(
                hidden_of(at, LANES, 0, thread) + h * LANES, thread + at.d_logits, at.net.n_hidden,
                strip.n_filters * stage.pooled_height * stage.pooled_width, at.net.n_outputs,
                gradient_out + at.net.weights + h)
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
            direct_backward_weights(&strip, n_lanes, x, d, d_stride, sums)
            if number or normalized:
                d += strip.n_rows * d_row
            strip.row += strip.n_rows
        strip.filter += strip.n_filters


cdef inline void backward_stages(
    const Scratch* at, Py_ssize_t n_lanes, Py_ssize_t image, const floating* parameters, floating* thread,
    floating* gradient_out,
) noexcept nogil:
    """Add a group's or an image's share to the gradient; that of the filters goes to at.sums."""
    cdef Py_ssize_t number = at.net.n_stages - 1
    cdef const Network* net = at.net
    cdef const Stage* stage
    if net.global_pool:
        dense.dense_backward_hidden(parameters + net.weights, thread + at.d_logits + image, net.n_hidden,
                                    net.n_outputs, net.n_hidden, n_lanes, thread + at.d_hidden)
        if n_lanes == LANES:
            dense.dense_backward_weights(hidden_of(at, LANES, 0, thread), thread + at.d_logits, net.n_hidden,
                                         net.n_hidden, net.n_outputs, gradient_out + net.weights)
    while True:
        stage = &at.net.stages[number]
        if number:
            clear_gradient(stage, n_lanes, thread + at.d)
        backward_stage(at, number, n_lanes, image, parameters, thread, gradient_out)
        if number == 0:
            break
        direct_backward_data(
            stage, n_lanes, thread + at.flipped + stage.flipped, thread + at.d, thread + at.strip, thread + at.d_maps)
        number -= 1


cdef void backward_group(
    const Scratch* at, const floating* parameters, floating* thread, floating* gradient_out,
) noexcept nogil:
    backward_stages(at, LANES, 0, parameters, thread, gradient_out)


cdef void backward_image(
    const Scratch* at, Py_ssize_t image, const floating* parameters, floating* thread, floating* gradient_out,
) noexcept nogil:
    backward_stages(at, 1, image, parameters, thread, gradient_out)
