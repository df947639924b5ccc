# The forward pass, part of _kernels.pyx; backward.pxi goes back the same way. One driver serves a group of images,
# interleaved in LANES lanes, and single images where a group would be nearly empty: their number of lanes, 1, is a
# constant where the drivers are called, and each is compiled for both.
#
# Both passes go through a stage a strip at a time, all the way from what it reads to what it hands on: what one kernel
# stores, the next finds in the cache. The strips of a group are a row of pools of a few filters (of a signal, which is
# a column, several), or all rows of these where they are normalised; those of a single image are all its rows, as one
# long run costs least.


cdef inline void pool_and_activate(
    const Scratch* at, const Strip* strip, Py_ssize_t n_lanes, Py_ssize_t stride, floating* convolved, floating* thread,
) noexcept nogil:
    """Pool and activate a strip of the convolution; filters `stride` values apart.

    That is a single row of pools of a group, or of a column all of the strip's. An activation never falls as its
    argument grows: the largest activation is that of the largest argument.
    """
    cdef const Stage* stage = strip.stage
    cdef const Stage* above = stage + 1
    cdef PoolRows rows = pool_rows(strip)
    cdef Py_ssize_t row = direct_row(stage, n_lanes)
    cdef Py_ssize_t width = rows.n_pools * n_lanes
    cdef uint16_t* indices = indices_of(at, strip, n_lanes, thread)
    cdef floating* out = output_row(at, strip, n_lanes, thread)
    cdef bint contiguous = n_lanes == LANES or is_contiguous(stage)
    # A single image's rows are activated all at once, for which they must be contiguous.
    cdef floating* pooled = out if contiguous else convolved + strip.n_filters * stride
    cdef Py_ssize_t filter_stride = above.plane * n_lanes if contiguous else rows.n_rows * width
    cdef Py_ssize_t n_indices = stage.pooled_height * stage.pooled_width * n_lanes
    cdef Py_ssize_t q, i
    cdef floating* source
    cdef floating* pooled_row
    for q in range(strip.n_filters):
        for i in range(rows.n_rows):
            source = convolved + q * stride + i * rows.pool_height * row
            pooled_row = pooled + q * filter_stride + i * width
            if stage.pooled:
                pooling.max_pool_forward(
                    source, row, rows.pool_height, rows.pool_width, rows.n_pools, n_lanes, pooled_row,
                    indices + q * n_indices + i * width)
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
            for i in range(rows.n_rows):
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
    cdef Py_ssize_t most_rows = strip_rows(stage) if n_lanes == LANES else stage.pooled_height
    cdef Py_ssize_t first, last, q
    cdef Strip strip
    strip.stage, strip.number, strip.image, strip.filter = stage, number, image, 0
    while strip.filter < stage.n_filters:
        strip.n_filters = convolution.next_filters(stage.n_filters - strip.filter, <floating> 0)
        strip.row = 0
        while strip.row < stage.pooled_height:
            first = strip.row
            last = min(stage.pooled_height, first + max(most_rows, <Py_ssize_t> ROW_BLOCK))
            while strip.row < last:
                strip.n_rows = min(last - strip.row, most_rows)
                direct_forward(&strip, n_lanes, x, parameters, convolved)
                pool_and_activate(at, &strip, n_lanes, direct_stride(&strip, n_lanes), convolved, thread)
                strip.row += strip.n_rows
            if n_lanes == LANES and number == at.net.n_stages - 1 and not at.net.global_pool:
                for q in range(strip.n_filters):
                    forward_dense(at, ((strip.filter + q) * stage.pooled_height + first) * stage.pooled_width,
                                  (last - first) * stage.pooled_width, parameters, thread)
        if number == at.net.n_stages - 1 and at.net.global_pool:
            pool_globally(at, &strip, n_lanes, thread)
        strip.filter += strip.n_filters


cdef void forward_strip(
    const Scratch* at, const Strip* strip, const floating* parameters, floating* thread,
) noexcept nogil:
    """A strip of Winograd's convolution, of a few filters, and what comes of it."""
    cdef const Stage* stage = strip.stage
    cdef floating* convolved = thread + at.strip
    cdef Py_ssize_t stride = direct_stride(strip, LANES)
    cdef Py_ssize_t q
    cdef Strip row = strip[0]
    winograd_forward(strip, thread + at.d_tiles, parameters, convolved, stride)
    row.n_rows = strip.n_rows if stage.row == 1 else 1
    while row.row < strip.row + strip.n_rows:
        pool_and_activate(
            at, &row, LANES, stride,
            convolved + (row.row - strip.row) * stage.pool_height * stage.out_width * LANES, thread)
        row.row += row.n_rows
    if strip.number == at.net.n_stages - 1 and not at.net.global_pool:
        for q in range(strip.n_filters):
            forward_dense(at, ((strip.filter + q) * stage.pooled_height + strip.row) * stage.pooled_width,
                          strip.n_rows * stage.pooled_width, parameters, thread)


cdef void forward_tiled_stage(
    const Scratch* at, Py_ssize_t number, const floating* parameters, floating* thread,
) noexcept nogil:
    """The same of a group, by Winograd's convolution."""
    cdef const Stage* stage = &at.net.stages[number]
    cdef Strip strip
    strip.stage, strip.number, strip.image, strip.row = stage, number, 0, 0
    while strip.row < stage.pooled_height:
        strip.n_rows = min(stage.pooled_height - strip.row, stage.tile_strip)
        winograd_read(&strip, maps_of(at, number, LANES, 0, thread), thread + at.tiles)
        winograd_multiply(&strip, thread + at.tiles, transformed_of(at, stage, thread), thread + at.d_tiles)
        strip.filter = 0
        while strip.filter < stage.n_filters:
            strip.n_filters = convolution.next_filters(stage.n_filters - strip.filter, <floating> 0)
            forward_strip(at, &strip, parameters, thread)
            strip.filter += strip.n_filters
        strip.row += strip.n_rows
    if number == at.net.n_stages - 1 and at.net.global_pool:
        strip.filter, strip.n_filters = 0, stage.n_filters
        pool_globally(at, &strip, LANES, thread)


cdef void convolve_tiles(
    const Scratch* at, Py_ssize_t number, const floating* parameters, floating* out, floating* thread,
) noexcept nogil:
    """All of a group's convolution by Winograd's: out[filter, row, column]."""
    cdef const Stage* stage = &at.net.stages[number]
    cdef Py_ssize_t plane = stage.out_height * stage.out_width * LANES
    cdef Strip strip
    strip.stage, strip.number, strip.image, strip.row = stage, number, 0, 0
    while strip.row < stage.pooled_height:
        strip.n_rows = min(stage.pooled_height - strip.row, stage.tile_strip)
        winograd_read(&strip, maps_of(at, number, LANES, 0, thread), thread + at.tiles)
        winograd_multiply(&strip, thread + at.tiles, transformed_of(at, stage, thread), thread + at.d_tiles)
        strip.filter = 0
        while strip.filter < stage.n_filters:
            strip.n_filters = convolution.next_filters(stage.n_filters - strip.filter, <floating> 0)
            winograd_forward(
                &strip, thread + at.d_tiles, parameters,
                out + strip.filter * plane + strip.row * stage.pool_height * stage.out_width * LANES, plane)
            strip.filter += strip.n_filters
        strip.row += strip.n_rows


cdef void convolve_filters(
    const Scratch* at, Py_ssize_t number, Py_ssize_t f, const floating* parameters, floating* thread, Strip* strip_out,
) noexcept nogil:
    """The convolution of a group that is normalised: of a few filters from the f-th on, or of all with the first ones.
    """
    cdef const Stage* stage = &at.net.stages[number]
    strip_out.stage, strip_out.number, strip_out.image = stage, number, 0
    strip_out.filter, strip_out.row, strip_out.n_rows = f, 0, stage.pooled_height
    strip_out.n_filters = convolution.next_filters(stage.n_filters - f, <floating> 0)
    if not stage.tiles:
        direct_forward(
            strip_out, LANES, maps_of(at, number, LANES, 0, thread), parameters, convolved_of(at, stage, f, 0, thread))
    elif f == 0:
        convolve_tiles(at, number, parameters, convolved_of(at, stage, 0, 0, thread), thread)


cdef void measure_filters(
    const Scratch* at, const Strip* strip, floating* thread,
) noexcept nogil:
    """The group's norms of some filters' convolutions."""
    cdef const Stage* stage = strip.stage
    cdef Norm* norms = norms_of(at, stage, thread)
    cdef Py_ssize_t f
    for f in range(strip.filter, strip.filter + strip.n_filters):
        norms[f] = normalization.measure(
            convolved_of(at, stage, f, 0, thread), stage.out_height * stage.out_width, thread + at.weights)


cdef inline void recall_norms(
    const Scratch* at, const Strip* strip, const floating* parameters, floating* thread,
) noexcept nogil:
    """Those of the training set instead, as they are among the parameters."""
    cdef const Stage* stage = strip.stage
    cdef Norm* norms = norms_of(at, stage, thread)
    cdef Py_ssize_t f
    for f in range(strip.filter, strip.filter + strip.n_filters):
        norms[f].mean, norms[f].variance = parameters[stage.means + f], parameters[stage.variances + f]


cdef void forward_normalized_stage(
    const Scratch* at, Py_ssize_t number, bint measured, const floating* parameters, floating* thread,
) noexcept nogil:
    """The same of a group that is normalised: of a few filters first all of the convolution, which is kept.

    By its own norms or, if these are not measured, by those of the training set.
    """
    cdef const Stage* stage = &at.net.stages[number]
    cdef floating* rows = thread + at.strip
    cdef floating* convolved
    cdef Py_ssize_t n_values = stage.pool_height * stage.out_width * LANES
    cdef Strip strip, part
    cdef Py_ssize_t q
    cdef Py_ssize_t f = 0
    while f < stage.n_filters:
        convolve_filters(at, number, f, parameters, thread, &strip)
        if measured:
            measure_filters(at, &strip, thread)
        else:
            recall_norms(at, &strip, parameters, thread)
        for q in range(strip.n_filters):
            part = one_filter(&strip, q)
            convolved = convolved_of(at, stage, part.filter, 0, thread)
            while part.row < stage.pooled_height:
                part.n_rows = min(stage.pooled_height - part.row, strip_rows(stage))
                normalization.normalize(
                    convolved + part.row * n_values, part.n_rows * n_values, norms_of(at, stage, thread) + part.filter,
                    stage.epsilon, parameters[stage.scales + part.filter], parameters[stage.intercepts + part.filter],
                    rows)
                pool_and_activate(at, &part, LANES, 0, rows, thread)
                part.row += part.n_rows
            if number == at.net.n_stages - 1 and not at.net.global_pool:
                forward_dense(at, part.filter * stage[1].plane, stage[1].plane, parameters, thread)
        if number == at.net.n_stages - 1 and at.net.global_pool:
            pool_globally(at, &strip, LANES, thread)
        f += strip.n_filters


cdef void pool_globally(
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
            if n_lanes == LANES:
                pooling.global_average_forward(values + f * plane * LANES, plane, LANES, hidden + f * LANES)
            else:
                pooling.global_average_forward(values + f * plane, plane, 1, hidden + f)
        elif n_lanes == LANES:
            pooling.global_max_forward(
                values + f * plane * LANES, plane, LANES, hidden + f * LANES, maxima + f * LANES)
        else:
            pooling.global_max_forward(values + f * plane, plane, 1, hidden + f, maxima + f)


cdef void forward_dense(
    const Scratch* at, Py_ssize_t h, Py_ssize_t size, const floating* parameters, floating* thread,
) noexcept nogil:
    """What `size` hidden activations from the h-th on add to a group's logits."""
    dense.dense_forward(hidden_of(at, LANES, 0, thread) + h * LANES, parameters + at.net.weights + h, at.net.n_hidden,
                        size, at.net.n_outputs, thread + at.logits)


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
            forward_normalized_stage(at, number, True, parameters, thread)
        elif n_lanes == LANES and at.net.stages[number].tiles:
            forward_tiled_stage(at, number, parameters, thread)
        else:
            forward_stage(at, number, n_lanes, image, parameters, thread)
    if n_lanes == 1:
        dense.dense_image_forward(hidden_of(at, 1, image, thread), parameters + at.net.weights, at.net.n_hidden,
                                  at.net.n_outputs, thread + at.logits + image)
    elif at.net.global_pool:
        forward_dense(at, 0, at.net.n_hidden, parameters, thread)


# Each is compiled once, whoever calls it: copies might order their sums differently, and one thread would come to other
# bits than several.


cdef void forward_group(const Scratch* at, const floating* parameters, floating* thread) noexcept nogil:
    forward_stages(at, LANES, 0, parameters, thread)


cdef void measure_group(
    const Scratch* at, Py_ssize_t number, const floating* parameters, floating* thread,
) noexcept nogil:
    """A group's norms of a stage, those before it normalised by the training set's."""
    cdef Py_ssize_t below
    cdef Py_ssize_t f = 0
    cdef Strip strip
    for below in range(number):
        forward_normalized_stage(at, below, False, parameters, thread)
        clear_padding(&at.net.stages[below + 1], LANES, maps_of(at, below + 1, LANES, 0, thread))
    while f < at.net.stages[number].n_filters:
        convolve_filters(at, number, f, parameters, thread, &strip)
        measure_filters(at, &strip, thread)
        f += strip.n_filters


cdef void forward_image(
    const Scratch* at, Py_ssize_t image, const floating* parameters, floating* thread,
) noexcept nogil:
    forward_stages(at, 1, image, parameters, thread)
