# Forward and backward passes of the whole network, part of _kernels.pyx.


# ---- one group of at most LANES images ----


cdef void forward_group(
    const Network* net, const floating* parameters, const floating* x, floating* rows, floating* hidden_out,
    floating* logits_out,
) noexcept nogil:
    """The one forward pass, of training and of prediction, up to the logits (not standardised).

    It goes a few rows of a few filters at a time, all the way: what one kernel stores, the next finds in the cache.
    """
    cdef Py_ssize_t run = net.out_width * LANES
    cdef Py_ssize_t f = 0
    cdef Py_ssize_t n, first, last, i, q, h
    dense.dense_intercepts_forward(parameters + net.intercepts, net.n_outputs, logits_out)
    while f < net.n_filters:
        n = min(net.n_filters - f, <Py_ssize_t> TILE_FILTERS)
        first = 0
        while first < net.out_height:
            last = min(net.out_height, first + ROW_BLOCK)
            for i in range(first, last):
                convolution.convolution_forward(
                    x + i * net.width * LANES, net.taps, net.n_taps, parameters + net.filters + f * net.n_taps,
                    parameters + net.filter_intercepts + f, n, run, run, rows)
                for q in range(n):
                    activations.sigmoid_forward(
                        rows + q * run, run, hidden_out + ((f + q) * net.out_height + i) * run)
            for q in range(n):
                h = ((f + q) * net.out_height + first) * net.out_width
                dense.dense_forward(hidden_out + h * LANES, parameters + net.weights + h, net.n_hidden,
                                    (last - first) * net.out_width, net.n_outputs, logits_out)
            first = last
        f += n


cdef void backward_group(
    const Network* net, const floating* parameters, const floating* x, const floating* hidden,
    const floating* d_logits, floating* rows, floating* sums_out, floating* gradient_out,
) noexcept nogil:
    """Add the group's share to the gradient; that of the filters goes to `sums_out`.

    Again a few filters at a time; of the hidden activations' gradient there is never more than a row of these.
    """
    cdef Py_ssize_t run = net.out_width * LANES
    cdef Py_ssize_t n_positions = net.out_height * net.out_width
    cdef Py_ssize_t sums_stride = convolution.sums_size(1, net.n_taps, <floating> 0)
    cdef Py_ssize_t f = 0
    cdef Py_ssize_t n, i, q, h
    dense.dense_intercepts_backward(d_logits, net.n_outputs, gradient_out + net.intercepts)
    while f < net.n_filters:
        n = min(net.n_filters - f, <Py_ssize_t> SUM_FILTERS)
        h = f * n_positions
        dense.dense_backward_weights(
            hidden + h * LANES, d_logits, net.n_hidden, n * n_positions, net.n_outputs, gradient_out + net.weights + h)
        for i in range(net.out_height):
            for q in range(n):
                h = (f + q) * n_positions + i * net.out_width
                dense.dense_backward_hidden(parameters + net.weights + h, d_logits, net.n_hidden, net.n_outputs,
                                            net.out_width, rows + q * run)
                activations.sigmoid_backward(hidden + h * LANES, run, rows + q * run)
            convolution.convolution_backward(
                x + i * net.width * LANES, net.taps, net.n_taps, rows, n, run, run, sums_out + f * sums_stride)
        f += n


# ---- a few single images, where a group would be nearly empty ----


cdef void forward_images(
    const Network* net, const floating* parameters, const floating* x, Py_ssize_t n_images, floating* rows,
    floating* hidden_out, floating* logits_out,
) noexcept nogil:
    """The same as forward_group, with hidden[image, filter, row, column]."""
    cdef Py_ssize_t run = (net.out_height - 1) * net.width + net.out_width
    cdef Py_ssize_t stride = flat_stride(net)
    cdef Py_ssize_t n_positions = net.out_height * net.out_width
    cdef Py_ssize_t image, f, n, q, i
    cdef floating* hidden
    dense.dense_intercepts_forward(parameters + net.intercepts, net.n_outputs, logits_out)
    for image in range(n_images):
        f = 0
        while f < net.n_filters:
            n = min(net.n_filters - f, <Py_ssize_t> TILE_FILTERS)
            hidden = hidden_out + image * net.n_hidden + f * n_positions
            convolution.convolution_forward(
                x + image * image_stride(net), net.pixel_taps, net.n_taps, parameters + net.filters + f * net.n_taps,
                parameters + net.filter_intercepts + f, n, run, stride, rows)
            for q in range(n):
                for i in range(net.out_height):
                    memcpy(hidden + (q * net.out_height + i) * net.out_width, rows + q * stride + i * net.width,
                           net.out_width * sizeof(floating))
            activations.sigmoid_forward(hidden, n * n_positions, hidden)
            f += n
        dense.dense_image_forward(hidden_out + image * net.n_hidden, parameters + net.weights, net.n_hidden,
                                  net.n_outputs, logits_out + image)


cdef void backward_images(
    const Network* net, const floating* parameters, const floating* x, const floating* hidden, Py_ssize_t n_images,
    const floating* d_logits, floating* rows, floating* sums_out, floating* gradient_out,
) noexcept nogil:
    """The same as backward_group; between the rows of outputs the gradient is 0."""
    cdef Py_ssize_t stride = flat_stride(net)
    cdef Py_ssize_t sums_stride = convolution.sums_size(1, net.n_taps, <floating> 0)
    cdef Py_ssize_t n_positions = net.out_height * net.out_width
    cdef Py_ssize_t image, f, n, q, i, h
    cdef floating* d_hidden
    dense.dense_intercepts_backward(d_logits, net.n_outputs, gradient_out + net.intercepts)
    dense.dense_images_backward_weights(
        hidden, n_images, d_logits, net.n_hidden, net.n_outputs, gradient_out + net.weights)
    for image in range(n_images):
        f = 0
        while f < net.n_filters:
            n = min(net.n_filters - f, <Py_ssize_t> SUM_FILTERS)
            memset(rows, 0, n * stride * sizeof(floating))
            d_hidden = rows + n * stride
            for q in range(n):
                h = (f + q) * n_positions
                dense.dense_image_backward_hidden(parameters + net.weights + h, d_logits + image, net.n_hidden,
                                                  net.n_outputs, n_positions, d_hidden)
                activations.sigmoid_backward(hidden + image * net.n_hidden + h, n_positions, d_hidden)
                for i in range(net.out_height):
                    memcpy(rows + q * stride + i * net.width, d_hidden + i * net.out_width,
                           net.out_width * sizeof(floating))
            convolution.convolution_backward(x + image * image_stride(net), net.pixel_taps, net.n_taps, rows, n,
                                             stride, stride, sums_out + f * sums_stride)
            f += n


# ---- one group, however full ----


cdef void gather_and_forward(
    const pixel* X, const Py_ssize_t* rows, Py_ssize_t n_rows, bint one_by_one, const Network* net,
    const floating* parameters, const Workspace* at, floating* thread, floating* logits_out,
) noexcept nogil:
    cdef Py_ssize_t n_positions = net.height * net.width
    cdef Py_ssize_t image
    if not one_by_one:
        lanes.gather(X, rows, n_rows, net.n_channels, n_positions, <floating> net.rescale, thread + at.x)
        forward_group(net, parameters, thread + at.x, thread + at.rows, thread + at.hidden, logits_out)
    else:
        for image in range(n_rows):
            lanes.gather_image(X + rows[image] * net.n_channels * n_positions, net.n_channels, n_positions,
                               <floating> net.rescale, thread + at.x + image * image_stride(net))
        forward_images(net, parameters, thread + at.x, n_rows, thread + at.rows, thread + at.hidden, logits_out)


cdef void backward(
    const Network* net, Py_ssize_t n_rows, const floating* parameters, const floating* d_logits, const Workspace* at,
    floating* thread, floating* gradient_out,
) noexcept nogil:
    """After gather_and_forward of the same rows."""
    if n_rows > FEW_IMAGES:
        backward_group(net, parameters, thread + at.x, thread + at.hidden, d_logits, thread + at.rows,
                       thread + at.sums, gradient_out)
    else:
        backward_images(net, parameters, thread + at.x, thread + at.hidden, n_rows, d_logits, thread + at.rows,
                        thread + at.sums, gradient_out)


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
            memcpy(hidden_out, thread + at.hidden, size * net.n_hidden * sizeof(floating))
        else:
            lanes.scatter(thread + at.hidden, net.n_hidden, size, hidden_out)
    restore_subnormals(mode)
