"use strict";

// What a network computes, without a page around it. Values of feature maps lie as (filter, row, column), as in skcnn.

/** Numbers of base64: of unsigned bytes, or of little-endian float32. */
function decodeNumbers({ type, base64 }) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  if (type === "uint8") return Float64Array.from(bytes);
  const view = new DataView(bytes.buffer);
  return Float64Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

const sigmoid = (value) => 1 / (1 + Math.exp(-value));
const FUNCTIONS = { sigmoid, tanh: Math.tanh, relu: (value) => Math.max(value, 0) };

/** Cross-correlation of maps {shape: [height, width, channels], values}, with zeros around them where it is padded. */
function convolve(layer, { shape: [height, width, nChannels], values }) {
  const [outHeight, outWidth, nFilters] = layer.out_shape;
  const [kernelHeight, kernelWidth] = layer.kernel_size;
  const out = new Float64Array(nFilters * outHeight * outWidth);
  for (let filter = 0, tap = 0; filter < nFilters; filter++) {
    const map = out.subarray(filter * outHeight * outWidth, (filter + 1) * outHeight * outWidth);
    map.fill(layer.intercepts[filter]);
    for (let channel = 0; channel < nChannels; channel++) {
      for (let u = 0; u < kernelHeight; u++) {
        for (let v = 0; v < kernelWidth; v++, tap++) {
          const weight = layer.filters[tap];
          // Output (i, j) reads the pixel (i + down, j + right); those outside are 0.
          const down = u - layer.pads[0], right = v - layer.pads[1];
          const firstRow = Math.max(0, -down), endRow = Math.min(outHeight, height - down);
          const first = Math.max(0, -right), end = Math.min(outWidth, width - right);
          for (let i = firstRow; i < endRow; i++) {
            const from = (channel * height + i + down) * width + right;
            for (let j = first; j < end; j++) map[i * outWidth + j] += weight * values[from + j];
          }
        }
      }
    }
  }
  return out;
}

/** The largest value of each pool; what fills no pool is dropped. */
function pool(layer, { shape: [height, width], values }) {
  const [outHeight, outWidth, nFilters] = layer.out_shape;
  const [poolHeight, poolWidth] = layer.pool_size;
  const out = new Float64Array(nFilters * outHeight * outWidth).fill(-Infinity);
  for (let filter = 0; filter < nFilters; filter++) {
    for (let i = 0; i < outHeight * poolHeight; i++) {
      for (let j = 0; j < outWidth * poolWidth; j++) {
        const to = (filter * outHeight + Math.floor(i / poolHeight)) * outWidth + Math.floor(j / poolWidth);
        out[to] = Math.max(out[to], values[(filter * height + i) * width + j]);
      }
    }
  }
  return out;
}

function poolGlobally(layer, { shape: [height, width, nFilters], values }) {
  const size = height * width;
  return Float64Array.from({ length: nFilters }, (_, filter) => {
    const map = values.subarray(filter * size, (filter + 1) * size);
    return layer.function === "max" ? Math.max(...map) : map.reduce((sum, value) => sum + value, 0) / size;
  });
}

function weigh(layer, { values }) {
  return layer.intercepts.map((intercept, output) => {
    const weights = layer.weights.subarray(output * values.length, (output + 1) * values.length);
    return weights.reduce((sum, weight, i) => sum + weight * values[i], intercept);
  });
}

const COMPUTE = {
  convolution: convolve,
  activation: (layer, { values }) => values.map(FUNCTIONS[layer.function]),
  "max-pooling": pool,
  "global pooling": poolGlobally,
  dense: weigh,
  // The number keeps logits that were all equal in training from becoming 0 / 0.
  standardization: ({ means, variances }, { values }) =>
    values.map((z, k) => (z - means[k]) / Math.sqrt(variances[k] + 1e-12)),
};

/** The network that `description`, the JSON that skcnn.export.to_html writes, describes. */
class Network {
  constructor(description) {
    Object.assign(this, description); // image_shape, rescale, classes, multilabel, ...
    const parameters = decodeNumbers(description.parameters);
    let start = 0;
    this.layers = description.layers.map((layer) => {
      const arrays = {};
      for (const [name, size] of layer.arrays) arrays[name] = parameters.subarray(start, (start += size));
      return { ...layer, ...arrays };
    });
  }

  /**
   * What every layer makes of an image, whose pixels lie as (row, column, channel):
   * {outputs: [{shape, values}, ...], one for each of `layers`; logits; probabilities}.
   */
  run(pixels) {
    const [height, width, nChannels] = this.image_shape;
    const size = height * width, nValues = size * nChannels;
    if (pixels.length !== nValues) throw new RangeError(`got ${pixels.length} pixels; it takes ${nValues}`);
    let maps = { shape: this.image_shape, values: new Float64Array(nValues) };
    for (let i = 0; i < nValues; i++) {
      maps.values[(i % nChannels) * size + Math.floor(i / nChannels)] = pixels[i] * this.rescale;
    }
    const outputs = [];
    for (const layer of this.layers) {
      maps = { shape: layer.out_shape, values: COMPUTE[layer.type](layer, maps) };
      outputs.push(maps);
    }
    return { outputs, logits: maps.values, probabilities: this.probabilities(maps.values) };
  }

  /** As `predict_proba`: sigmoids, and of several classes that exclude each other scaled to sum to 1. */
  probabilities(logits) {
    if (logits.length === 1 && !this.multilabel) return [sigmoid(-logits[0]), sigmoid(logits[0])];
    if (this.multilabel) return Array.from(logits, sigmoid);
    // On logarithms, log(sigmoid(z)) = min(z, 0) - log(1 + exp(-|z|)), so that they do not all vanish.
    const logs = Array.from(logits, (z) => Math.min(z, 0) - Math.log1p(Math.exp(-Math.abs(z))));
    const largest = Math.max(...logs);
    const odds = logs.map((log) => Math.exp(log - largest));
    const sum = odds.reduce((a, b) => a + b);
    return odds.map((value) => value / sum);
  }
}
