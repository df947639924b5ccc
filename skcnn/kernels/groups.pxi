# Forward and backward passes of a group of at most LANES images, part of _kernels.pyx.


cdef void forward_layer(
    const Network* net, Py_ssize_t number, const floating* parameters, floating* maps, uint16_t* places,
    floating* rows, floating* logits_out,
) noexcept nogil:
    """From what a layer reads to what it hands on, both in `maps`; the last one's is weighed by the dense layer, too.

    It goes a few rows of a few filters at a time, all the way: what one kernel stores, the next finds in the cache.
    An activation never falls as its argument grows: the largest one is that of the largest argument.
    """
    cdef const Layer* layer = &net.layers[number]
    cdef const Layer* above = layer + 1
    cdef const floating* x = maps + layer.maps * LANES
    cdef floating* out = maps + (above.maps + above.start) * LANES
    cdef floating* out_row
    cdef Py_ssize_t run = layer.out_width * LANES
    cdef Py_ssize_t stride = layer.pool_height * run
    cdef Py_ssize_t f = 0
    cdef Py_ssize_t n, first, last, i, u, q, h
    places += layer.places * LANES
    while f < layer.n_filters:
        n = convolution.even_part(layer.n_filters - f, <Py_ssize_t> TILE_FILTERS)
        first = 0
        while first < layer.pooled_height:
            last = min(layer.pooled_height, first + ROW_BLOCK)
            for i in range(first, last):
                for u in range(layer.pool_height):
                    correlate(
                        x + (i * layer.pool_height + u) * layer.row * LANES, layer.taps, layer.n_taps,
                        parameters + layer.filters + f * layer.n_taps, parameters + layer.intercepts + f, n, run,
                        stride, rows + u * run)
                for q in range(n):
                    out_row = out + ((f + q) * above.plane + i * above.row) * LANES
                    if layer.pooled:
                        h = ((f + q) * layer.pooled_height + i) * layer.pooled_width
                        pooling.max_pool_forward(
                            rows + q * stride, run, layer.pool_height, layer.pool_width, layer.pooled_width, LANES,
                            out_row, places + h * LANES)
                        activations.activate(net.activation, out_row, layer.pooled_width * LANES, out_row)
                    else:
                        activations.activate(net.activation, rows + q * stride, run, out_row)
            if number == net.n_layers - 1:
                for q in range(n):
                    h = ((f + q) * layer.pooled_height + first) * layer.pooled_width
                    dense.dense_forward(out + h * LANES, parameters + net.weights + h, net.n_hidden,
                                        (last - first) * layer.pooled_width, net.n_outputs, logits_out)
            first = last
        f += n


cdef void forward_group(
    const Network* net, const floating* parameters, floating* maps, uint16_t* places, floating* rows,
    floating* logits_out,
) noexcept nogil:
    """The one forward pass, of training and of prediction, from the pixels to the logits (not standardised)."""
    cdef Py_ssize_t number
    dense.dense_intercepts_forward(parameters + net.intercepts, net.n_outputs, logits_out)
    for number in range(net.n_layers):
        if number:
            clear_padding(&net.layers[number], LANES, maps + net.layers[number].maps * LANES)
        forward_layer(net, number, parameters, maps, places, rows, logits_out)


cdef void backward_row(
    const Network* net, Py_ssize_t number, Py_ssize_t f, Py_ssize_t i, const floating* parameters,
    const floating* maps, const uint16_t* places, const floating* d_logits, const floating* d_maps, floating* row,
    floating* d_out,
) noexcept nogil:
    """From a row of what a layer hands on to the gradient of as many rows of its convolution as a pool has."""
    cdef const Layer* layer = &net.layers[number]
    cdef const Layer* above = layer + 1
    cdef Py_ssize_t h = (f * layer.pooled_height + i) * layer.pooled_width
    cdef Py_ssize_t run = layer.pooled_width * LANES
    cdef const floating* values = maps + (above.maps + above.start + f * above.plane + i * above.row) * LANES
    cdef floating* d_pooled = row if layer.pooled else d_out
    if number == net.n_layers - 1:
        dense.dense_backward_hidden(parameters + net.weights + h, d_logits, net.n_hidden, net.n_outputs,
                                    layer.pooled_width, d_pooled)
        activations.activate_backward(net.activation, values, run, d_pooled, d_pooled)
    else:
        activations.activate_backward(net.activation, values, run, d_maps + h * LANES, d_pooled)
    if layer.pooled:
        pooling.max_pool_backward(
            d_pooled, places + (layer.places + h) * LANES, layer.row * LANES, layer.pool_height, layer.pool_width,
            layer.pooled_width, LANES, d_out)


cdef void backward_layer(
    const Network* net, Py_ssize_t number, const floating* parameters, const floating* maps, const uint16_t* places,
    const floating* d_logits, const floating* d_maps, floating* row, floating* d_out, floating* sums_out,
    floating* gradient_out,
) noexcept nogil:
    """Add the layer's share to the sums of its filters' gradient; the gradient of its convolution goes to `d_out`.

    With the last one comes the dense layer's gradient. Again a few filters at a time, and as many rows as the
    first-level cache holds. The first layer, which has nothing below it, has a place for these only.
    """
    cdef const Layer* layer = &net.layers[number]
    cdef const floating* x = maps + layer.maps * LANES
    cdef Py_ssize_t width = convolution.sums_width(<floating> 0)
    cdef Py_ssize_t sums_stride = convolution.sums_taps(layer.n_taps) * width
    cdef Py_ssize_t rows = block_rows(layer, <floating> 0)
    cdef Py_ssize_t d_row = layer.row * LANES
    cdef Py_ssize_t d_rows = d_row * layer.pool_height
    cdef Py_ssize_t d_stride = layer.d_plane * LANES if number else d_rows * min(rows, layer.pooled_height)
    cdef floating* d
    cdef Py_ssize_t f = 0
    cdef Py_ssize_t n, first, last, i, q, h
    while f < layer.n_filters:
        n = min(layer.n_filters - f, <Py_ssize_t> SUM_FILTERS)
        if number == net.n_layers - 1:
            h = f * layer.pooled_height * layer.pooled_width
            dense.dense_backward_weights(
                maps + (layer[1].maps + h) * LANES, d_logits, net.n_hidden,
                n * layer.pooled_height * layer.pooled_width, net.n_outputs, gradient_out + net.weights + h)
        first = 0
        while first < layer.pooled_height:
            last = first + convolution.even_part(layer.pooled_height - first, rows)
            d = d_out + f * d_stride + layer.d_start * LANES + first * d_rows if number else d_out
            for i in range(first, last):
                for q in range(n):
                    backward_row(net, number, f + q, i, parameters, maps, places, d_logits, d_maps, row,
                                 d + q * d_stride + (i - first) * d_rows)
            correlate_backward(
                x + first * d_rows, layer.taps, layer.n_taps, d, n, (last - first) * layer.pool_height,
                layer.out_width * LANES, d_row, d_row, d_stride,
                sums_out + layer.sums * width + f * sums_stride)
            first = last
        f += n


cdef void backward_maps(
    const Layer* layer, const floating* turned, const floating* d, floating* d_maps_out,
) noexcept nogil:
    """The gradient of what a layer reads, without padding, from that of its convolution."""
    cdef Py_ssize_t n_taps = layer.n_filters * (layer.n_taps // layer.n_channels)
    cdef Py_ssize_t n_positions = layer.height * layer.width
    cdef Py_ssize_t ch = 0
    cdef Py_ssize_t n, i
    while ch < layer.n_channels:
        n = convolution.even_part(layer.n_channels - ch, <Py_ssize_t> TILE_FILTERS)
        for i in range(layer.height):
            correlate(
                d + i * layer.row * LANES, layer.d_taps, n_taps, turned + layer.turned + ch * n_taps,
                turned + layer.turned + layer.n_channels * n_taps, n, layer.width * LANES, n_positions * LANES,
                d_maps_out + (ch * n_positions + i * layer.width) * LANES)
        ch += n


cdef void backward_group(
    const Network* net, const floating* parameters, const floating* maps, const uint16_t* places,
    const floating* d_logits, const floating* turned, floating* row, floating* d, floating* d_maps, floating* sums_out,
    floating* gradient_out,
) noexcept nogil:
    """Add the group's share to the gradient; that of the filters goes to `sums_out`."""
    cdef Py_ssize_t number = net.n_layers - 1
    cdef const Layer* layer
    dense.dense_intercepts_backward(d_logits, net.n_outputs, gradient_out + net.intercepts)
    while True:
        layer = &net.layers[number]
        if number:
            clear_gradient(layer, LANES, d)
        backward_layer(net, number, parameters, maps, places, d_logits, d_maps, row, d, sums_out,
                       gradient_out)
        if number == 0:
            break
        backward_maps(layer, turned, d, d_maps)
        number -= 1
