"use strict";

// Images, feature maps and filters as pictures: each is painted into a canvas, which CSS then scales.

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
const themeColour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A canvas of rows x columns, whose pixels have the colours [red, green, blue, opacity], 0 to 255, of `colourAt`. */
function paint(canvas, rows, columns, colourAt) {
  canvas.width = columns;
  canvas.height = rows;
  const image = new ImageData(columns, rows);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) image.data.set(colourAt(i, j), 4 * (i * columns + j));
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** A colour between those of a list, at `part` of the way from the first to the last. */
function between(colours, part) {
  const place = clamp(part, 0, 1) * (colours.length - 1);
  const first = Math.min(Math.floor(place), colours.length - 2);
  const [from, to] = [colours[first], colours[first + 1]];
  return [...from.map((value, k) => value + (to[k] - value) * (place - first)), 255];
}

const HEAT = [[14, 13, 38], [74, 30, 110], [170, 51, 106], [242, 112, 72], [254, 234, 176]];
const HEATS = Array.from({ length: 256 }, (_, i) => between(HEAT, i / 255));
const heat = (value, [least, most]) => HEATS[Math.round((255 * (value - least)) / (most - least || 1))];

const SMALL = { sides: [80, 40] }; // of curves

/** Curves, each a list of values; the last is drawn boldly. `marked` is where there is a cursor. */
function paintCurves(canvas, curves, [least, most], { sides = [160, 80], marked = null } = {}) {
  const dense = window.devicePixelRatio || 1;
  [canvas.width, canvas.height] = sides.map((side) => Math.round(side * dense));
  canvas.classList.add("curve");
  const context = canvas.getContext("2d");
  context.scale(dense, dense);
  const x = (i, n) => ((i + 0.5) / n) * sides[0];
  const y = (value) => 4 + (1 - (value - least) / (most - least || 1)) * (sides[1] - 8);
  const line = (colour, lineWidth, points) => {
    Object.assign(context, { strokeStyle: themeColour(colour), lineWidth, lineJoin: "round" });
    context.beginPath();
    for (const point of points) context.lineTo(...point);
    context.stroke();
  };
  const level = (value) => [[0, y(value)], [sides[0], y(value)]];
  if (least <= 0 && most >= 0) line("--line", 1, level(0));
  if (marked !== null) {
    const at = x(marked, curves[0].length);
    line("--soft", 2, [[at, 0], [at, sides[1]]]);
  }
  curves.forEach((curve, k) => {
    const points = Array.from(curve, (value, i) => [x(i, curve.length), y(value)]);
    const colour = k === curves.length - 1 ? "--accent" : "--soft";
    line(colour, sides[0] > 200 ? 3 : 1.5, points.length > 1 ? points : level(curve[0]));
  });
}

/** An image (row, column, channel) of the network: a colour, or the grey of one channel; or a signal's curves. */
function paintInput(canvas, { image_shape: [height, width, nChannels], low, high }, image, channel, options) {
  if (isSignalShape([height, width])) {
    const order = [...Array(nChannels).keys()].filter((k) => k !== channel).concat(channel);
    const curves = order.map((k) => image.filter((_, i) => i % nChannels === k));
    paintCurves(canvas, curves, [low, high], options);
    return;
  }
  const channels = nChannels === 3 ? [0, 1, 2] : [channel, channel, channel];
  const byte = (i, j, k) => (255 * (image[(i * width + j) * nChannels + k] - low)) / (high - low);
  paint(canvas, height, width, (i, j) => [...channels.map((k) => byte(i, j, k)), 255]);
}

const isSignalShape = ([height, width]) => Math.min(height, width) === 1 && Math.max(height, width) > 1;

/** The feature map of a filter, its colours or its curve's height between the smallest and largest value of `range`. */
function paintMap(canvas, { shape: [rows, columns], values }, filter, range, isSignal, options) {
  const map = values.subarray(filter * rows * columns, (filter + 1) * rows * columns);
  if (isSignal) paintCurves(canvas, [map], range, options);
  else paint(canvas, rows, columns, (i, j) => heat(map[i * columns + j], range));
}

/**
 * A filter of a convolution that reads `nRead` channels: in colour if these are an image's, curves if they are a
 * signal's, otherwise its channels side by side, blue below 0 and red above.
 */
function paintFilter(canvas, { layer, nRead, largest, isFirst, isSignal }, filter, options) {
  const [rows, columns] = layer.kernel_size;
  const size = rows * columns;
  const taps = layer.filters.subarray(filter * nRead * size, (filter + 1) * nRead * size);
  if (isFirst && isSignal) {
    const curves = Array.from({ length: nRead }, (_, k) => taps.subarray(k * size, (k + 1) * size));
    paintCurves(canvas, curves, [-largest, largest], options);
  } else if (isFirst && nRead === 3) {
    const byte = (value) => 127.5 * (1 + value / largest);
    paint(canvas, rows, columns, (i, j) => [...[0, 1, 2].map((k) => byte(taps[k * size + i * columns + j])), 255]);
  } else {
    paintMosaic(canvas, taps, { rows, columns, nRead, largest, across: isSignal ? 1 : Math.ceil(Math.sqrt(nRead)) });
  }
}

function paintMosaic(canvas, taps, { rows, columns, nRead, largest, across }) {
  const zero = themeColour("--zero").match(/[0-9a-f]{2}/g).map((digits) => parseInt(digits, 16));
  const colours = [[30, 100, 230], zero, [235, 80, 20]];
  const [scale, gap] = nRead > 1 ? [4, 1] : [1, 0]; // pixels of a tap, and between channels
  const cellHeight = rows * scale + gap, cellWidth = columns * scale + gap;
  paint(canvas, Math.ceil(nRead / across) * cellHeight - gap, across * cellWidth - gap, (i, j) => {
    const k = Math.floor(i / cellHeight) * across + Math.floor(j / cellWidth);
    const u = Math.floor((i % cellHeight) / scale), v = Math.floor((j % cellWidth) / scale);
    if (k >= nRead || u >= rows || v >= columns) return [0, 0, 0, 0];
    return between(colours, 0.5 + taps[(k * rows + u) * columns + v] / (2 * largest));
  });
  canvas.classList.toggle("mosaic", nRead > 1);
}
