# Forward and backward passes of one group, however full it is, part of _kernels.pyx.


# The largest kernels are compiled once, not into every caller.


cdef void correlate(
    const floating* x, const Py_ssize_t* taps, Py_ssize_t n_taps, const floating* filters, const floating* intercepts,
    Py_ssize_t n_filters, Py_ssize_t run, Py_ssize_t stride, floating* out,
) noexcept nogil:
    convolution.convolution_forward(x, taps, n_taps, filters, intercepts, n_filters, run, stride, out)


cdef void correlate_backward(
    const floating* x, const Py_ssize_t* taps, Py_ssize_t n_taps, const floating* d_out, Py_ssize_t n_filters,
    Py_ssize_t n_rows, Py_ssize_t run, Py_ssize_t x_row, Py_ssize_t d_row, Py_ssize_t d_stride, floating* sums_out,
) noexcept nogil:
    convolution.convolution_backward(
        x, taps, n_taps, d_out, n_filters, n_rows, run, x_row, d_row, d_stride, sums_out)


# ---- zeros ----


cdef void clear_padding(const Layer* layer, Py_ssize_t n_lanes, floating* maps_out) noexcept nogil:
    """Zeros around what a layer reads; another network, or another number of lanes, may have used the memory."""
    cdef Py_ssize_t ch
    if layer.plane == layer.height * layer.width:
        return
    for ch in range(layer.n_channels):
        lanes.clear_border(
            layer.start * n_lanes, layer.height, layer.width * n_lanes, layer.row * n_lanes, layer.plane * n_lanes,
            maps_out + ch * layer.plane * n_lanes)


cdef void clear_gradient(const Layer* layer, Py_ssize_t n_lanes, floating* d_out) noexcept nogil:
    """Zeros around the gradient of a layer's convolution, and where pooling dropped what it had."""
    cdef Py_ssize_t f
    for f in range(layer.n_filters):
        lanes.clear_border(
            layer.d_start * n_lanes, layer.out_height, layer.out_width * n_lanes, layer.row * n_lanes,
            layer.d_plane * n_lanes, d_out + f * layer.d_plane * n_lanes)


# ---- a group, in whichever way ----


cdef void shift_and_forward(
    const pixel* X, const Py_ssize_t* rows, const Py_ssize_t* shifts, Py_ssize_t n_rows, const Network* net,
    const floating* parameters, const Workspace* at, floating* thread, floating* logits_out,
) noexcept nogil:
    """gather_and_forward of images that are moved first, each by its own (down, right) of `shifts`, if not NULL."""
    cdef const Layer* layer = &net.layers[0]
    cdef pixel* images = <pixel*> (thread + at.images)
    cdef Py_ssize_t order[LANES]
    cdef Py_ssize_t i
    if shifts == NULL:
        gather_and_forward(X, rows, n_rows, n_rows <= FEW_IMAGES, net, parameters, at, thread, logits_out)
        return
    for i in range(n_rows):
        order[i] = i
        lanes.shift_image(X + rows[i] * net.n_features, layer.height, layer.width, layer.n_channels, shifts[2 * i],
                          shifts[2 * i + 1], images + i * net.n_features)
    gather_and_forward(<const pixel*> images, order, n_rows, n_rows <= FEW_IMAGES, net, parameters, at, thread,
                       logits_out)


cdef void gather_and_forward(
    const pixel* X, const Py_ssize_t* rows, Py_ssize_t n_rows, bint one_by_one, const Network* net,
    const floating* parameters, const Workspace* at, floating* thread, floating* logits_out,
) noexcept nogil:
    cdef const Layer* layer = &net.layers[0]
    cdef uint16_t* places = <uint16_t*> (thread + at.places)
    cdef floating* maps = thread + at.maps
    cdef Py_ssize_t image
    if not one_by_one:
        clear_padding(layer, LANES, maps)
        lanes.gather(X, rows, n_rows, net.n_features, layer.n_channels, layer.width, layer.row, layer.plane,
                     <floating> net.rescale, maps + layer.start * LANES)
        forward_group(net, parameters, maps, places, thread + at.rows, logits_out)
        return
    dense.dense_intercepts_forward(parameters + net.intercepts, net.n_outputs, logits_out)
    for image in range(n_rows):
        clear_padding(layer, 1, maps)
        lanes.gather_image(X + rows[image] * net.n_features, layer.n_channels, layer.height, layer.width, layer.row,
                           layer.plane, <floating> net.rescale, maps + layer.start)
        forward_image(net, parameters, maps, places, thread + at.rows, logits_out + image)
        maps += image_stride(net)
        places += net.n_places


cdef void begin_backward(
    const Network* net, const floating* parameters, const Workspace* at, floating* thread, floating* gradient_out,
) noexcept nogil:
    """Before the first group of a slot: sums of nothing, and the filters turned round."""
    cdef const Layer* layer
    cdef Py_ssize_t number
    memset(gradient_out, 0, net.n_trainable * sizeof(floating))
    memset(thread + at.sums, 0, net.n_sums * convolution.sums_width(<floating> 0) * sizeof(floating))
    for number in range(1, net.n_layers):
        layer = &net.layers[number]
        convolution.turn_filters(parameters + layer.filters, layer.n_filters, layer.n_channels,
                                 layer.n_taps // layer.n_channels, thread + at.turned + layer.turned)


cdef void end_backward(
    const Network* net, const Workspace* at, floating* thread, floating* gradient_out,
) noexcept nogil:
    """After a slot's last group: add up the sums of the filters' gradients."""
    cdef const Layer* layer
    cdef Py_ssize_t number
    for number in range(net.n_layers):
        layer = &net.layers[number]
        convolution.convolution_backward_end(
            thread + at.sums + layer.sums * convolution.sums_width(<floating> 0), layer.n_taps, layer.n_filters,
            gradient_out + layer.filters, gradient_out + layer.intercepts)


cdef void backward(
    const Network* net, Py_ssize_t n_rows, const floating* parameters, const floating* d_logits, const Workspace* at,
    floating* thread, floating* gradient_out,
) noexcept nogil:
    """After gather_and_forward of the same rows."""
    cdef const uint16_t* places = <uint16_t*> (thread + at.places)
    cdef const floating* maps = thread + at.maps
    cdef Py_ssize_t image
    if n_rows > FEW_IMAGES:
        backward_group(net, parameters, maps, places, d_logits, thread + at.turned, thread + at.rows, thread + at.d,
                       thread + at.d_maps, thread + at.sums, gradient_out)
        return
    dense.dense_intercepts_backward(d_logits, net.n_outputs, gradient_out + net.intercepts)
    dense.dense_images_backward_weights(
        maps + net.layers[net.n_layers].maps, image_stride(net), n_rows, d_logits, net.n_hidden, net.n_outputs,
        gradient_out + net.weights)
    for image in range(n_rows):
        backward_image(net, parameters, maps, places, d_logits + image, thread + at.turned, thread + at.rows,
                       thread + at.d, thread + at.d_maps, thread + at.sums)
        maps += image_stride(net)
        places += net.n_places


# ---- prediction ----


cdef void predict_group(
    const pixel* X, const Py_ssize_t* order, Py_ssize_t n_rows, Py_ssize_t g, const Network* net,
    const floating* parameters, const Workspace* at, floating* thread, floating* logits_out, floating* hidden_out,
) noexcept nogil:
    cdef Py_ssize_t rows[LANES]
    cdef Py_ssize_t size = group_size(n_rows, g)
    # One by one only if there is no whole group: among many rows, a row's bits do not depend on its place.
    cdef bint one_by_one = n_rows <= FEW_IMAGES
    cdef floating* logits = thread + at.group
    cdef floating* hidden = thread + at.maps + net.layers[net.n_layers].maps * (1 if one_by_one else LANES)
    cdef Mode mode = flush_subnormals()
    cdef Py_ssize_t lane, k
    for lane in range(size):
        rows[lane] = g * LANES + lane if order == NULL else order[g * LANES + lane]
    gather_and_forward(X, rows, size, one_by_one, net, parameters, at, thread, logits)
    if net.standardize:
        standardization.standardize_running(
            parameters + net.running_means, parameters + net.running_variances, net.n_outputs, logits)
    for lane in range(size):
        for k in range(net.n_outputs):
            logits_out[(g * LANES + lane) * net.n_outputs + k] = logits[k * LANES + lane]
    if hidden_out != NULL:
        hidden_out += g * LANES * net.n_hidden
        if one_by_one:
            for lane in range(size):
                memcpy(hidden_out + lane * net.n_hidden, hidden + lane * image_stride(net),
                       net.n_hidden * sizeof(floating))
        else:
            lanes.scatter(hidden, net.n_hidden, size, hidden_out)
    restore_subnormals(mode)
