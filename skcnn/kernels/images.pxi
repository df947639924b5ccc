# The same passes of a single image, where a group would be nearly empty; part of _kernels.pyx. An image's outputs of a
# filter are one run from the first to the last, those between two rows being of no use.


cdef void forward_image_layer(
    const Network* net, Py_ssize_t number, const floating* parameters, floating* maps, uint16_t* places,
    floating* rows,
) noexcept nogil:
    """The same as forward_layer, without the dense layer."""
    cdef const Layer* layer = &net.layers[number]
    cdef const Layer* above = layer + 1
    cdef Py_ssize_t stride = flat_run(layer)
    cdef Py_ssize_t n_positions = layer.pooled_height * layer.pooled_width
    cdef floating* out = maps + above.maps + above.start
    # Without padding, what the next one reads is in one piece.
    cdef bint in_place = above.plane == n_positions
    cdef floating* pooled
    cdef floating* row
    cdef Py_ssize_t f = 0
    cdef Py_ssize_t n, q, i, h
    places += layer.places
    while f < layer.n_filters:
        n = convolution.even_part(layer.n_filters - f, <Py_ssize_t> TILE_FILTERS)
        correlate(
            maps + layer.maps, layer.pixel_taps, layer.n_taps, parameters + layer.filters + f * layer.n_taps,
            parameters + layer.intercepts + f, n, stride, stride, rows)
        pooled = out + f * n_positions if in_place else rows + n * stride
        for q in range(n):
            for i in range(layer.pooled_height):
                row = rows + q * stride + i * layer.pool_height * layer.row
                h = q * n_positions + i * layer.pooled_width
                if layer.pooled:
                    pooling.max_pool_forward(row, layer.row, layer.pool_height, layer.pool_width, layer.pooled_width,
                                             1, pooled + h, places + f * n_positions + h)
                else:
                    memcpy(pooled + h, row, layer.pooled_width * sizeof(floating))
        activations.activate(net.activation, pooled, n * n_positions, pooled)
        for q in range(0 if in_place else n):
            for i in range(layer.pooled_height):
                memcpy(out + (f + q) * above.plane + i * above.row,
                       pooled + q * n_positions + i * layer.pooled_width, layer.pooled_width * sizeof(floating))
        f += n


cdef void forward_image(
    const Network* net, const floating* parameters, floating* maps, uint16_t* places, floating* rows,
    floating* logits_out,
) noexcept nogil:
    """The same as forward_group, but the intercepts; `logits_out` begins at the image's lane."""
    cdef Py_ssize_t number
    for number in range(net.n_layers):
        if number:
            clear_padding(&net.layers[number], 1, maps + net.layers[number].maps)
        forward_image_layer(net, number, parameters, maps, places, rows)
    dense.dense_image_forward(maps + net.layers[net.n_layers].maps, parameters + net.weights, net.n_hidden,
                              net.n_outputs, logits_out)


cdef void backward_image_layer(
    const Network* net, Py_ssize_t number, const floating* parameters, const floating* maps, const uint16_t* places,
    const floating* d_logits, const floating* d_maps, floating* d_pooled, floating* d_out, floating* sums_out,
) noexcept nogil:
    """The same as backward_layer; between the rows of outputs the gradient is 0."""
    cdef const Layer* layer = &net.layers[number]
    cdef const Layer* above = layer + 1
    cdef const floating* values = maps + above.maps + above.start
    cdef Py_ssize_t width = convolution.sums_width(<floating> 0)
    cdef Py_ssize_t sums_stride = convolution.sums_taps(layer.n_taps) * width
    cdef Py_ssize_t d_stride = layer.d_plane if number else flat_run(layer)
    cdef Py_ssize_t n_positions = layer.pooled_height * layer.pooled_width
    cdef floating* d
    cdef floating* d_row
    cdef Py_ssize_t f = 0
    cdef Py_ssize_t n, q, i, h
    while f < layer.n_filters:
        n = min(layer.n_filters - f, <Py_ssize_t> SUM_FILTERS)
        d = d_out + f * d_stride + layer.d_start if number else d_out
        if number == 0:
            memset(d, 0, n * d_stride * sizeof(floating))
        for q in range(n):
            h = (f + q) * n_positions
            if number == net.n_layers - 1:
                dense.dense_image_backward_hidden(parameters + net.weights + h, d_logits, net.n_hidden, net.n_outputs,
                                                  n_positions, d_pooled)
            else:
                memcpy(d_pooled, d_maps + h, n_positions * sizeof(floating))
            if above.plane == n_positions:  # no padding: in one piece
                activations.activate_backward(net.activation, values + h, n_positions, d_pooled, d_pooled)
            for i in range(layer.pooled_height):
                d_row = d_pooled + i * layer.pooled_width
                if above.plane != n_positions:
                    activations.activate_backward(
                        net.activation, values + (f + q) * above.plane + i * above.row, layer.pooled_width, d_row,
                        d_row)
                if layer.pooled:
                    pooling.max_pool_backward(
                        d_row, places + layer.places + h + i * layer.pooled_width, layer.row, layer.pool_height,
                        layer.pool_width, layer.pooled_width, 1,
                        d + q * d_stride + i * layer.pool_height * layer.row)
                else:
                    memcpy(d + q * d_stride + i * layer.row, d_row, layer.pooled_width * sizeof(floating))
        correlate_backward(
            maps + layer.maps, layer.pixel_taps, layer.n_taps, d, n, 1, flat_run(layer), 0, 0, d_stride,
            sums_out + layer.sums * width + f * sums_stride)
        f += n


cdef void backward_image_maps(
    const Layer* layer, const floating* turned, const floating* d, floating* rows, floating* d_maps_out,
) noexcept nogil:
    """The same as backward_maps."""
    cdef Py_ssize_t n_taps = layer.n_filters * (layer.n_taps // layer.n_channels)
    cdef Py_ssize_t run = (layer.height - 1) * layer.row + layer.width
    cdef Py_ssize_t ch = 0
    cdef Py_ssize_t n, q, i
    while ch < layer.n_channels:
        n = convolution.even_part(layer.n_channels - ch, <Py_ssize_t> TILE_FILTERS)
        correlate(
            d, layer.pixel_d_taps, n_taps, turned + layer.turned + ch * n_taps,
            turned + layer.turned + layer.n_channels * n_taps, n, run, run, rows)
        for q in range(n):
            for i in range(layer.height):
                memcpy(d_maps_out + ((ch + q) * layer.height + i) * layer.width, rows + q * run + i * layer.row,
                       layer.width * sizeof(floating))
        ch += n


cdef void backward_image(
    const Network* net, const floating* parameters, const floating* maps, const uint16_t* places,
    const floating* d_logits, const floating* turned, floating* rows, floating* d, floating* d_maps,
    floating* sums_out,
) noexcept nogil:
    """The same as backward_group, but the dense layer's gradient."""
    cdef Py_ssize_t number = net.n_layers - 1
    cdef const Layer* layer
    while True:
        layer = &net.layers[number]
        if number:
            clear_gradient(layer, 1, d)
        backward_image_layer(net, number, parameters, maps, places, d_logits, d_maps, rows, d, sums_out)
        if number == 0:
            break
        backward_image_maps(layer, turned, d, rows, d_maps)
        number -= 1
