"""What the passes know of a network: its stages, its dense layer, and how the parameter vector is divided.

A stage is a convolution with the normalisation, the pooling and the activation behind it: they run fused, a few rows
at a time, or filters where these are normalised. Every array between two stages is made of feature maps, planes of one
channel each, in which an image's rows lie one after the other. Sizes are counted in positions: a group of images has a
value in every lane at each, a single image has one. What a stage reads is surrounded by the zeros of its padding from
the start, so that no convolution need know of padding; and the gradient of its convolution is surrounded by as many
zeros as the backward pass needs.

CompiledNetwork (_network.pyx) fills these in, and checks that all of it lies within the memory that is taken for it.
"""

from skcnn.kernels.convolution cimport Taps
from skcnn.kernels.winograd cimport Tiles

cdef enum GlobalPool:
    NO_GLOBAL_POOL = 0
    GLOBAL_AVERAGE = 1
    GLOBAL_MAX = 2

cdef enum:
    MAX_STAGES = 16
    MAX_SPANS = 128
    MAX_POOL = 65536  # values: indices of maxima have 16 bits

cdef struct Stage:
    Py_ssize_t n_channels, height, width  # what it reads, without padding
    Py_ssize_t row, plane, start  # in that, with padding: to the next row, to the next channel, to the first pixel
    Py_ssize_t n_filters, kernel_width, kernel_size, n_taps  # kernel_size, n_taps: of a filter in one channel, in all
    Py_ssize_t out_height, out_width  # of the convolution, as far as pooling takes it
    Py_ssize_t pool_height, pool_width, pooled_height, pooled_width
    Py_ssize_t d_plane, d_start  # in the convolution's gradient: to the next filter, to the first value
    Py_ssize_t d_x_row, d_x_plane, d_x_start  # in a group's gradient of what it reads
    bint pooled
    int activation
    double epsilon  # of the normalisation, 0 for none
    # Of a group and of a single image: of its filters, and of the flipped ones in the convolution's gradient.
    Taps taps, image_taps, d_taps, image_d_taps
    # Winograd's convolution of a group, where it pays: its tiles; segments of a filter, rows of pools that are a strip,
    # values of the tiles that a strip reads; what is read, with channels as lanes; and what its products sum over.
    Tiles tiles
    Py_ssize_t n_tile_rows, n_tile_columns, n_segments, tile_strip, tile_run, swapped_height, swapped_width
    Taps channel_taps, filter_taps, pixel_taps
    # Into the parameter vector (what normalisation shifts by are intercepts, too); and into scratch memory, to what it
    # reads, to the indices of the maxima in their pools, to the convolution before it is normalised (all in positions),
    # to its flipped filters, to the sums of its gradient (in partial sums), to its filters' norms, and to its
    # transformed filters.
    Py_ssize_t filters, scales, intercepts, means, variances
    Py_ssize_t feature_maps, pool_indices, convolved, flipped, sums, norms, transformed

# A part of the parameter vector: whether the penalty shrinks it, whether the solver moves it, and the factor of Adam's
# learning rate.
cdef struct Span:
    Py_ssize_t start, stop
    bint penalized, trained
    double rate, largest_rate, input_scale

cdef struct Network:
    Stage stages[MAX_STAGES + 1]  # past the last one, what that makes: feature_maps, row, plane and start
    Py_ssize_t n_stages, n_feature_maps, n_pool_indices, n_convolved, n_flipped, n_sums, n_norms, n_transformed
    Py_ssize_t n_features, n_hidden, n_outputs
    int global_pool
    # Of an image, as it is shifted and mirrored.
    Py_ssize_t height, width
    # What the dense layer reads, among the feature maps; and behind it, where in its map a global maximum is.
    Py_ssize_t hidden, maxima
    Span spans[MAX_SPANS]
    Py_ssize_t n_spans, n_trainable, n_parameters
    Py_ssize_t weights, intercepts, running_means, running_variances
    double rescale
    bint standardize, normalize  # the logits, the convolutions

# What is worked on at a time: rows of pools of some neighbouring filters, of a group or of a single image.
cdef struct Strip:
    const Stage* stage
    Py_ssize_t number, image  # of the stage, and of the image where several go one by one (0 for a group)
    Py_ssize_t filter, n_filters, row, n_rows
