# The groups of a batch, forward and back, and prediction; part of _kernels.pyx.


cdef enum Pass:
    BOTH
    FORWARD
    BACKWARD
    SOLVE  # over the parameters, not the groups

# What is learnt from, or predicted. Arrays of values are of the type that the network computes in.
cdef struct Batch:
    const void* X
    int pixels  # its type: BYTES, FLOATS or DOUBLES
    Py_ssize_t row_bytes
    const void* targets
    const void* sample_weight
    const Py_ssize_t* rows  # of X, NULL for all; after the batch's n_rows they go on, to n_left
    const Py_ssize_t* moves  # of each, rows and columns that it is moved by and whether it is mirrored, or NULL
    Py_ssize_t n_rows, n_left
    int loss
    double alpha, total_weight


# ---- a group of images, as lanes or one by one ----


cdef inline void move_image(
    const pixel* image, const Network* net, const Py_ssize_t* move, pixel* out,
) noexcept nogil:
    """Shift an image, then mirror it, if it is to be."""
    lanes.shift_image(image, net.height, net.width, net.stages[0].n_channels, move[0], move[1], out)
    if move[2]:
        lanes.mirror_image(out, net.height, net.width, net.stages[0].n_channels)


cdef void gather_group(
    const pixel* X, const Py_ssize_t* rows, const Py_ssize_t* moves, Py_ssize_t n_rows, Py_ssize_t n_lanes,
    const Scratch* at, floating* thread,
) noexcept nogil:
    """Put images where the first stage reads them; each is moved first by its own (down, right, mirrored), if any."""
    cdef const Network* net = at.net
    cdef const Stage* stage = &net.stages[0]
    cdef pixel* images = <pixel*> (thread + at.images)
    cdef floating* x = thread + at.feature_maps
    cdef Py_ssize_t order[LANES]
    cdef Py_ssize_t i
    if moves != NULL:
        for i in range(n_rows):
            order[i] = i
            move_image(X + rows[i] * net.n_features, net, moves + MOVE_SIZE * i, images + i * net.n_features)
        X, rows = images, order
    if n_lanes == LANES:
        clear_padding(stage, LANES, x)
        lanes.gather(X, rows, n_rows, net.n_features, stage.n_channels, stage.width, stage.row, stage.plane,
                     <floating> net.rescale, x + stage.start * LANES)
        return
    for i in range(n_rows):
        clear_padding(stage, 1, x)
        lanes.gather_image(X + rows[i] * net.n_features, stage.n_channels, stage.height, stage.width, stage.row,
                           stage.plane, <floating> net.rescale, x + stage.start)
        x += at.image_stride


cdef void gather_rows(
    const Batch* batch, const Scratch* at, Py_ssize_t first, Py_ssize_t n_rows, Py_ssize_t n_lanes, floating* thread,
) noexcept nogil:
    """Put `n_rows` <= LANES rows of the batch where the first stage reads them."""
    cdef const Py_ssize_t* moves = NULL
    cdef Py_ssize_t rows[LANES]
    cdef Py_ssize_t i
    if batch.moves != NULL:
        moves = batch.moves + MOVE_SIZE * first
    for i in range(n_rows):
        rows[i] = first + i if batch.rows == NULL else batch.rows[first + i]
    if batch.pixels == BYTES:
        gather_group(<const uint8_t*> batch.X, rows, moves, n_rows, n_lanes, at, thread)
    elif batch.pixels == FLOATS:
        gather_group(<const float*> batch.X, rows, moves, n_rows, n_lanes, at, thread)
    else:
        gather_group(<const double*> batch.X, rows, moves, n_rows, n_lanes, at, thread)


cdef void forward_rows(
    const Batch* batch, const Scratch* at, Py_ssize_t first, Py_ssize_t n_rows, Py_ssize_t n_lanes,
    const floating* parameters, floating* thread,
) noexcept nogil:
    """The logits of `n_rows` <= LANES rows of the batch, into at.logits; one by one if n_lanes is 1."""
    cdef Py_ssize_t i
    gather_rows(batch, at, first, n_rows, n_lanes, thread)
    dense.dense_intercepts_forward(parameters + at.net.intercepts, at.net.n_outputs, thread + at.logits)
    if n_lanes == LANES:
        forward_group(at, parameters, thread)
    else:
        for i in range(n_rows):
            forward_image(at, i, parameters, thread)


cdef void backward_rows(
    const Scratch* at, Py_ssize_t n_rows, bint first, const floating* parameters, floating* thread,
    floating* gradient_out,
) noexcept nogil:
    """After forward_rows of the same rows, from at.d_logits; `first` as of backward_stages."""
    cdef const Network* net = at.net
    cdef Py_ssize_t i
    dense.dense_intercepts_backward(thread + at.d_logits, net.n_outputs, gradient_out + net.intercepts)
    if group_lanes(net, n_rows) == LANES:
        backward_group(at, first, parameters, thread, gradient_out)
        return
    dense.dense_images_backward_weights(
        hidden_of(at, 1, 0, thread), at.image_stride, n_rows, thread + at.d_logits, net.n_hidden,
        net.n_outputs, gradient_out + net.weights)
    for i in range(n_rows):
        backward_image(at, i, parameters, thread, gradient_out)


# ---- the chunks of a batch ----


cdef void transform_filters(const Scratch* at, const floating* parameters, const floating* thread) noexcept nogil:
    """Before the first group: those of all stages whose convolution is Winograd's."""
    cdef const Stage* stage
    cdef Py_ssize_t number
    for number in range(at.net.n_stages):
        stage = &at.net.stages[number]
        if stage.tiles:
            winograd_prepare(stage, parameters, transformed_of(at, stage, thread))


cdef void begin_backward(
    const Scratch* at, bint images, const floating* parameters, floating* thread, floating* gradient_out,
) noexcept nogil:
    """Before the first group of a chunk: sums of nothing, and what the convolutions make of their filters.

    `images` says whether some of the chunk's images go one by one.
    """
    cdef const Stage* stage
    cdef Py_ssize_t width = convolution.sums_width(<floating> 0)
    cdef Py_ssize_t number
    memset(gradient_out, 0, at.net.n_trainable * sizeof(floating))
    for number in range(at.net.n_stages):
        stage = &at.net.stages[number]
        if images or not stage.tiles:
            memset(thread + at.sums + stage.sums * width, 0,
                   convolution.sums_size(stage.n_filters, stage.n_taps, <floating> 0) * sizeof(floating))
            if number:
                direct_prepare(stage, parameters, thread + at.flipped + stage.flipped)


cdef void end_backward(
    const Scratch* at, bint groups, bint images, floating* thread, floating* gradient_out,
) noexcept nogil:
    """After a chunk's last group: add up the sums of the filters' gradients.

    `groups` and `images` say whether there were images as lanes, and one by one.
    """
    cdef const Stage* stage
    cdef Py_ssize_t number
    for number in range(at.net.n_stages):
        stage = &at.net.stages[number]
        if stage.tiles and groups:
            winograd_finish(stage, thread + at.d_transformed + stage.transformed, gradient_out)
        # The convolution's own intercepts, which normalisation takes out again, are none of the parameters.
        if images or not stage.tiles:
            convolution.convolution_backward_sums(
                thread + at.sums + stage.sums * convolution.sums_width(<floating> 0), stage.n_taps, stage.n_filters,
                gradient_out + stage.filters, NULL if stage.epsilon else gradient_out + stage.intercepts)


cdef inline void prefetch_next_batch(const Batch* batch, Py_ssize_t first) noexcept nogil:
    """Have the rows at the same place in the next batch fetched: most likely the same thread will come by."""
    cdef const Py_ssize_t* rows = batch.rows + first + batch.n_rows
    if first + batch.n_rows + LANES <= batch.n_left and batch.n_rows * batch.row_bytes <= PREFETCH_BYTES:
        lanes.prefetch_rows(<const char*> batch.X, rows, LANES, batch.row_bytes)


cdef double run_group(
    const Batch* batch, const Scratch* at, Pass passing, Py_ssize_t g, const floating* parameters, floating* thread,
    floating* scratch,
) noexcept nogil:
    """A group forward, and its share of the loss with the gradient of the logits, if these need no other group's.

    Where groups pass twice, their outputs are saved for the backward pass in memory of the batch.
    """
    cdef const Network* net = at.net
    cdef Py_ssize_t first = group_start(net, batch.n_rows, g)
    cdef Py_ssize_t size = group_size(net, batch.n_rows, g)
    cdef Py_ssize_t outputs = net.n_outputs * LANES
    cdef Py_ssize_t kept = g * outputs
    cdef bint alone = batch.n_rows <= LANES
    if passing != BACKWARD or not alone:  # else all is as FORWARD left it
        lanes.gather_outputs(
            <const floating*> batch.targets, <const floating*> batch.sample_weight, batch.rows + first, size,
            net.n_outputs, thread + at.targets, thread + at.weights)
        forward_rows(batch, at, first, size, group_lanes(net, size), parameters, thread)
        prefetch_next_batch(batch, first)
    if passing == BACKWARD:
        memcpy(thread + at.d_logits, scratch + at.batch_d_logits + kept, outputs * sizeof(floating))
        return 0
    if passing == FORWARD:
        memcpy(scratch + at.batch_targets + kept, thread + at.targets, outputs * sizeof(floating))
        memcpy(scratch + at.batch_weights + g * LANES, thread + at.weights, LANES * sizeof(floating))
        memcpy(scratch + at.batch_logits + kept, thread + at.logits, outputs * sizeof(floating))
        return 0
    return losses.loss_and_gradient(thread + at.logits, thread + at.targets, thread + at.weights, net.n_outputs,
                                    batch.loss, batch.total_weight, thread + at.d_logits)


cdef double run_chunk(
    const Batch* batch, const Scratch* at, Pass passing, Py_ssize_t chunk, Py_ssize_t thread_number,
    const floating* parameters, floating* scratch,
) noexcept nogil:
    """The groups of a chunk, one after the other; their share of the loss."""
    cdef Py_ssize_t n_groups = count_groups(batch.n_rows)
    cdef Py_ssize_t n_chunks = count_chunks(n_groups)
    cdef floating* thread = scratch + at.threads + thread_number * at.thread_stride
    # A single thread has two gradients: the first chunk's, to which the others' are added, and the present one's.
    cdef Py_ssize_t number = chunk if at.n_threads > 1 else min(chunk, <Py_ssize_t> 1)
    cdef floating* gradient = scratch + at.gradients + number * at.gradient_stride
    cdef Py_ssize_t first = chunk * n_groups // n_chunks
    cdef Py_ssize_t stop = (chunk + 1) * n_groups // n_chunks
    cdef Py_ssize_t g
    cdef double value = 0
    cdef bint images = chunk == n_chunks - 1 and group_lanes(
        at.net, group_size(at.net, batch.n_rows, n_groups - 1)) == 1
    cdef Mode mode = flush_subnormals()
    if passing != FORWARD:
        begin_backward(at, images, parameters, thread, gradient)
    for g in range(first, stop):
        value += run_group(batch, at, passing, g, parameters, thread, scratch)
        if passing != FORWARD:
            backward_rows(at, group_size(at.net, batch.n_rows, g), g == first, parameters, thread, gradient)
    if passing != FORWARD:
        end_backward(at, stop - first > images, images, thread, gradient)
        if at.n_threads == 1 and chunk:
            add(gradient, at.net.n_trainable, scratch + at.gradients)
    restore_subnormals(mode)
    return value


# ---- prediction ----


cdef void predict_group(
    const Batch* batch, const Scratch* at, Py_ssize_t g, const floating* parameters, floating* thread,
    floating* logits_out, floating* hidden_out,
) noexcept nogil:
    """One group's rows of the outputs; `hidden_out` may be NULL."""
    cdef const Network* net = at.net
    cdef Py_ssize_t size = group_size(net, batch.n_rows, g)
    # One by one only if there is no whole group: among many rows, a row's bits do not depend on its place.
    cdef Py_ssize_t n_lanes = group_lanes(net, batch.n_rows)
    cdef floating* logits = thread + at.logits
    cdef floating* hidden = hidden_of(at, n_lanes, 0, thread)
    cdef Mode mode = flush_subnormals()
    cdef Py_ssize_t lane, k
    forward_rows(batch, at, g * LANES, size, n_lanes, parameters, thread)
    if at.standardized:
        standardization.standardize_running(
            parameters + net.running_means, parameters + net.running_variances, net.n_outputs, logits)
    for lane in range(size):
        for k in range(net.n_outputs):
            logits_out[(g * LANES + lane) * net.n_outputs + k] = logits[k * LANES + lane]
    if hidden_out != NULL:
        hidden_out += g * LANES * net.n_hidden
        if n_lanes == LANES:
            lanes.scatter(hidden, net.n_hidden, size, hidden_out)
        else:
            for lane in range(size):
                memcpy(hidden_out + lane * net.n_hidden, hidden + lane * at.image_stride,
                       net.n_hidden * sizeof(floating))
    restore_subnormals(mode)


cdef void predict_groups(
    const Batch* batch, const Scratch* at, const floating* parameters, floating* scratch, floating* logits_out,
    floating* hidden_out,
) noexcept nogil:
    cdef Py_ssize_t n_groups = count_groups(batch.n_rows)
    cdef Py_ssize_t g
    cdef floating* threads = scratch + at.threads
    if group_lanes(at.net, batch.n_rows) == LANES:
        transform_filters(at, parameters, threads)
    if at.n_threads == 1 or n_groups == 1:
        for g in range(n_groups):
            predict_group(batch, at, g, parameters, threads, logits_out, hidden_out)
    else:
        for g in prange(n_groups, schedule="dynamic", num_threads=<int> at.n_threads):
            predict_group(batch, at, g, parameters, threads + threadid() * at.thread_stride, logits_out, hidden_out)
