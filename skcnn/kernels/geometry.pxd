"""What the passes know of a network: the C views of skcnn.layers.Layer and skcnn.network.Network.

Every array between two layers is made of planes, one for each channel, in which an image's rows lie one after the
other. Sizes and places are counted in positions: a group's have a value in every lane, a single image's have one. What
a layer reads is surrounded by the zeros of its padding from the start, so that no convolution need know of padding;
and the gradient of its convolution is surrounded by as many zeros as the way back needs.
"""

cdef enum:
    MAX_LAYERS = 16

cdef struct Layer:
    Py_ssize_t n_channels, height, width  # what it reads, without padding
    Py_ssize_t row, plane, start  # in that, with padding: to the next row, to the next channel, to the first pixel
    Py_ssize_t n_taps, n_filters
    Py_ssize_t out_height, out_width  # of the convolution, as far as pooling takes it
    Py_ssize_t pool_height, pool_width, pooled_height, pooled_width
    Py_ssize_t d_plane, d_start  # in the convolution's gradient: to the next filter, to the first value
    bint pooled
    # Offsets of its first tap, of a group and of a single image; d_taps are those of the way back.
    const Py_ssize_t* taps
    const Py_ssize_t* pixel_taps
    const Py_ssize_t* d_taps
    const Py_ssize_t* pixel_d_taps
    # Into the parameter vector; and into scratch memory, to what it reads, to the places of its maxima (in positions),
    # to its filters turned round, and to the sums of its gradient (in partial sums).
    Py_ssize_t filters, intercepts
    Py_ssize_t maps, places, turned, sums

cdef struct Network:
    Layer layers[MAX_LAYERS + 1]  # past the last one, what the dense layer reads: maps, row, plane and start
    Py_ssize_t n_layers, n_maps, n_places, n_turned, n_sums
    Py_ssize_t n_features, n_hidden, n_outputs
    Py_ssize_t weights, intercepts, running_means, running_variances, n_trainable
    int activation
    double rescale
    bint fit_intercept, standardize
