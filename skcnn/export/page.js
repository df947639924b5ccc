"use strict";

// The page around the network: the board that one draws on, the probabilities, and what each layer makes of the image.

const network = new Network(JSON.parse(document.getElementById("model").textContent));
const [height, width, nChannels] = network.image_shape;
const { low, high, blank } = network;
const nPixels = height * width; // of each channel
const isSignal = isSignalShape(network.image_shape);
const isColour = nChannels === 3 && !isSignal;
const blankImage = () => Float64Array.from({ length: nPixels * nChannels }, (_, i) => blank[i % nChannels]);

let pixels = blankImage(); // (row, column, channel)
let channel = 0; // that one draws into, unless it is a colour
let erasing = false;

const byId = (id) => document.getElementById(id);
const times = (sides) => sides.join(" × ");
const percent = (p) => `${(100 * p).toFixed(1)} %`;

/** A new element with properties, and children. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const makePicture = (className = "") => make("canvas", { className, ariaHidden: "true" });

// ---- probabilities ----

const bars = network.classes.map((label) => {
  const bar = make("span"), share = make("td");
  const name = make("th", { scope: "row", textContent: label, title: label });
  const row = make("tr", {}, name, make("td", { ariaHidden: "true" }, make("span", { className: "bar" }, bar)), share);
  byId("bars").append(row);
  return { row, bar, share };
});

function showProbabilities(probabilities) {
  const best = probabilities.indexOf(Math.max(...probabilities));
  const isChosen = (k) => (network.multilabel ? probabilities[k] > 0.5 : k === best);
  probabilities.forEach((p, k) => {
    bars[k].bar.style.width = `${100 * p}%`;
    bars[k].share.textContent = percent(p);
    bars[k].row.classList.toggle("best", isChosen(k));
  });
  const text = network.classes.filter((_, k) => isChosen(k)).join(", ") || "none";
  if (byId("top").textContent !== text) byId("top").textContent = text; // else it would be read out again
  byId("top").classList.toggle("long", text.length > 6);
  byId("sure").textContent = network.multilabel ? "" : percent(probabilities[best]);
}

// ---- layers ----

/** A convolution, and what of its outputs is shown: after its activation, and after its pools if there are any. */
function makeStage(layer, index) {
  const { kernel_size: kernel, out_shape: shape } = layer;
  const [activation, next] = network.layers.slice(index + 1);
  const stage = {
    layer, isSignal, isFirst: index === 0,
    activated: index + 1,
    pooled: next.type === "max-pooling" ? index + 2 : null,
    nRead: index ? network.layers[index - 1].out_shape[2] : nChannels,
    largest: layer.filters.reduce((most, weight) => Math.max(most, Math.abs(weight)), 0) || 1,
    number: 1 + network.layers.slice(0, index).filter(({ type }) => type === "convolution").length,
  };
  stage.tiles = Array.from({ length: shape[2] }, (_, filter) => makeTile(stage, filter));
  const tiles = stage.tiles.map(({ button }) => make("li", {}, button));
  const pooled = stage.pooled && `, pooled ${times(next.pool_size)} to ${times(next.out_shape)}`;
  const below = pooled ? "Below each map: filter and pooled map." : "Below each map: its filter.";
  stage.scale = addCard(
    `Convolution ${stage.number}, ${times(kernel)}, ${activation.function}`,
    `${times(shape)}${pooled ?? ""}. ${below}`,
    make("ul", { className: `maps ${isSignal ? "curves" : tiles.length > 8 ? "" : "few"}` }, ...tiles),
    !isSignal,
  );
  return stage;
}

/** The feature map of a filter, with the filter and the pooled map below it: a button that enlarges them. */
function makeTile(stage, filter) {
  const title = `Filter ${filter + 1} of layer ${stage.number}`;
  const pictures = { map: makePicture(), filter: makePicture(), pooled: makePicture() };
  pictures.pooled.hidden = !stage.pooled;
  const below = make("span", { className: "below" }, pictures.filter, pictures.pooled);
  const onclick = () => enlarge(stage, filter, title);
  const ariaLabel = `${title}, enlarge`;
  const button = make("button", { type: "button", title, ariaLabel, onclick }, pictures.map, below);
  return { ...pictures, button };
}

/** A card below the others, and a function that shows the smallest and largest value in it, with colours between. */
function addCard(title, text, content, hasColours) {
  const from = make("span"), to = make("span"), colours = makePicture();
  paint(colours, 1, 64, (_, j) => heat(j, [0, 63]));
  const scale = make("span", { className: "scale" }, from, hasColours ? colours : "to", to);
  const head = make("div", { className: "head" }, make("h2", { textContent: title }), scale);
  byId("layers").append(make("section", { className: "card layer" }, head, make("p", { textContent: text }), content));
  return ([least, most]) => {
    const rounded = (value) => Number(value.toPrecision(2)) * (Math.abs(value) > (most - least) / 1000);
    from.textContent = rounded(least);
    to.textContent = rounded(most);
  };
}

function makeGlobalPooling(layer, index) {
  const picture = makePicture("strip");
  const text = "One number of each feature map, from the first to the last.";
  const scale = addCard(`Global ${layer.function} pooling`, text, picture, true);
  return { index, picture, scale };
}

const stages = [], globalPools = [];
network.layers.forEach((layer, index) => {
  if (layer.type === "convolution") stages.push(makeStage(layer, index));
  if (layer.type === "global pooling") globalPools.push(makeGlobalPooling(layer, index));
});

function rangeOf(values) {
  let least = Infinity, most = -Infinity;
  for (const value of values) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  return [least, most];
}

function showLayers(outputs) {
  for (const stage of stages) {
    const map = outputs[stage.activated], pooled = outputs[stage.pooled];
    const range = rangeOf(map.values); // of all maps, so that they can be compared
    stage.shown = { map, pooled, range };
    stage.scale(range);
    stage.tiles.forEach((tile, filter) => {
      paintMap(tile.map, map, filter, range, isSignal);
      if (pooled) paintMap(tile.pooled, pooled, filter, range, isSignal, SMALL);
    });
  }
  for (const { index, picture, scale } of globalPools) {
    const { values } = outputs[index];
    const range = rangeOf(values);
    paint(picture, 1, values.length, (_, j) => heat(values[j], range));
    scale(range);
  }
}

function showFilters() {
  for (const stage of stages) stage.tiles.forEach((tile, filter) => paintFilter(tile.filter, stage, filter, SMALL));
}

/** A feature map and its filter in large. */
function enlarge(stage, filter, title) {
  const { map, pooled, range } = stage.shown;
  const [rows, columns] = map.shape;
  const [least, most] = rangeOf(map.values.subarray(filter * rows * columns, (filter + 1) * rows * columns));
  const figures = [];
  const add = (text, fill) => {
    const picture = makePicture();
    fill(picture);
    figures.push(make("figure", {}, picture, make("figcaption", { textContent: text })));
  };
  add(`Feature map, ${least.toPrecision(3)} to ${most.toPrecision(3)}`, (canvas) =>
    paintMap(canvas, map, filter, range, isSignal));
  add(`Filter of ${times([...stage.layer.kernel_size, stage.nRead])}`, (canvas) => paintFilter(canvas, stage, filter));
  if (pooled) add("The map pooled", (canvas) => paintMap(canvas, pooled, filter, range, isSignal));
  byId("detail-title").textContent = title;
  byId("detail-figures").replaceChildren(...figures);
  byId("detail").showModal();
}

// ---- the board ----

const board = byId("board");
const BOARD = [640, 320]; // sides of a signal's
const cursor = { row: Math.floor((height - 1) / 2), column: Math.floor((width - 1) / 2) };
let awaited = false;

/** Compute and show everything anew, once before the next picture of the screen. */
function refresh() {
  if (awaited) return;
  awaited = true;
  requestAnimationFrame(() => {
    awaited = false;
    const { outputs, probabilities } = network.run(pixels);
    showBoard();
    showProbabilities(probabilities);
    showLayers(outputs);
  });
}

function showBoard() {
  const isMarked = board.matches(":focus-visible");
  paintInput(board, network, pixels, channel, { sides: BOARD, marked: isMarked ? cursor.row + cursor.column : null });
  const frame = byId("cursor"), share = (part, whole) => `${(100 * part) / whole}%`;
  frame.hidden = !isMarked || isSignal;
  Object.assign(frame.style, { left: share(cursor.column, width), top: share(cursor.row, height) });
  Object.assign(frame.style, { width: share(1, width), height: share(1, height) });
}

function setPixels(values) {
  pixels = Float64Array.from(values);
  refresh();
}

// Of the brush, in pixels; its edge is a pixel wide, and the eraser takes that of others away, too.
const penReach = Math.max(0.7, Math.min(height, width) / 22);
let stroke = null; // what was there before, how far it is covered, and where the pointer was

function beginStroke() {
  stroke = { before: pixels.slice(), covered: new Float64Array(nPixels), last: null };
  choose(null);
}

/** What the brush leaves in each channel: a colour, or the end of the range that is farther from an empty image. */
function ink() {
  if (erasing) return blank;
  if (!isColour) return blank.map((value) => (high - value >= value - low ? high : low));
  const bytes = byId("colour").value.match(/[0-9a-f]{2}/gi).map((digits) => parseInt(digits, 16));
  return bytes.map((byte) => low + ((high - low) * byte) / 255);
}

function stamp(x, y) {
  const colour = ink(), reach = penReach + (erasing ? 1 : 0);
  for (let i = Math.max(0, Math.floor(y - reach - 1)); i < Math.min(height, y + reach + 1); i++) {
    for (let j = Math.max(0, Math.floor(x - reach - 1)); j < Math.min(width, x + reach + 1); j++) {
      const at = i * width + j;
      const cover = clamp(reach + 0.5 - Math.hypot(i + 0.5 - y, j + 0.5 - x), 0, 1);
      stroke.covered[at] = Math.max(stroke.covered[at], cover); // so that slow strokes are no wider
      for (let k = isColour ? 0 : channel; k <= (isColour ? 2 : channel); k++) {
        const before = stroke.before[at * nChannels + k];
        pixels[at * nChannels + k] = before + (colour[k] - before) * stroke.covered[at];
      }
    }
  }
}

function bend(at, value) {
  const place = clamp(Math.floor(at), 0, nPixels - 1);
  pixels[place * nChannels + channel] = erasing ? blank[channel] : clamp(value, low, high);
}

/** The brush, on a straight line from where it was to a column and a row, or along a signal and to a value. */
function drawTo(x, y) {
  const [fromX, fromY] = stroke.last ?? [x, y];
  const nSteps = Math.max(1, Math.ceil(4 * Math.hypot(x - fromX, isSignal ? 0 : y - fromY)));
  for (let step = 1; step <= nSteps; step++) {
    const part = step / nSteps;
    (isSignal ? bend : stamp)(fromX + (x - fromX) * part, fromY + (y - fromY) * part);
  }
  stroke.last = [x, y];
  refresh();
}

function placeOf(event) {
  const box = board.getBoundingClientRect();
  const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
  if (!isSignal) return [x * width, y * height];
  return [x * nPixels, high - ((y * BOARD[1] - 4) / (BOARD[1] - 8)) * (high - low)]; // as paintCurves has it
}

board.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  board.setPointerCapture(event.pointerId);
  beginStroke();
  drawTo(...placeOf(event));
});
board.addEventListener("pointermove", (event) => {
  if (!stroke) return;
  const parts = event.getCoalescedEvents?.() ?? [];
  for (const part of parts.length ? parts : [event]) drawTo(...placeOf(part));
});
for (const end of ["pointerup", "pointercancel"]) board.addEventListener(end, () => (stroke = null));
for (const change of ["focus", "blur"]) board.addEventListener(change, refresh);

const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

board.addEventListener("keydown", (event) => {
  const move = MOVES[event.key];
  if (event.ctrlKey || event.altKey || event.metaKey || (!move && event.key !== " ")) return;
  event.preventDefault();
  if (move) (isSignal ? moveAlong : moveCursor)(...move);
  else if (!isSignal) paintAtCursor();
  refresh();
});

function moveCursor(down, right) {
  cursor.row = clamp(cursor.row + down, 0, height - 1);
  cursor.column = clamp(cursor.column + right, 0, width - 1);
  byId("place").textContent = `row ${cursor.row + 1}, column ${cursor.column + 1}`;
}

function paintAtCursor() {
  beginStroke();
  stamp(cursor.column + 0.5, cursor.row + 0.5);
  stroke = null;
}

/** Left and right go along a signal, whichever of its sides is long; up and down bend it. */
function moveAlong(down, right) {
  const at = clamp(cursor.row + cursor.column + right, 0, nPixels - 1);
  [cursor.row, cursor.column] = width > 1 ? [0, at] : [at, 0];
  if (down) {
    bend(at, pixels[at * nChannels + channel] - (down * (high - low)) / 20);
    choose(null);
  }
  byId("place").textContent = `at ${at + 1}: ${pixels[at * nChannels + channel].toPrecision(2)}`;
}

// ---- examples and tools ----

const examples = [];

/** Mark one of the examples, or none, as what is on the board. */
function choose(chosen) {
  for (const example of examples) example.button.ariaPressed = String(example === chosen);
}

function addExample(image, label) {
  const example = { image, picture: makePicture() };
  const onclick = () => {
    setPixels(image);
    choose(example);
  };
  const name = `Example ${examples.length + 1}`;
  const ariaLabel = label === undefined ? name : `${name}, ${label}`;
  const text = label === undefined ? "" : make("span", { textContent: label, title: label });
  example.button = make("button", { type: "button", ariaLabel, ariaPressed: "false", onclick }, example.picture, text);
  examples.push(example);
  byId("examples").append(make("li", {}, example.button));
}

function showExamples() {
  for (const { image, picture } of examples) paintInput(picture, network, image, channel, SMALL);
}

function setErasing(value) {
  erasing = value;
  byId("pen").ariaPressed = String(!value);
  byId("eraser").ariaPressed = String(value);
}

byId("pen").onclick = () => setErasing(false);
byId("eraser").onclick = () => setErasing(true);
byId("clear").onclick = () => {
  setPixels(blankImage());
  choose(null);
};
byId("close").onclick = () => byId("detail").close();
byId("colour").oninput = () => setErasing(false);
byId("channel").onchange = (event) => {
  channel = Number(event.target.value);
  showExamples();
  refresh();
};

// ---- the beginning ----

function describe() {
  const what = isSignal ? `signals of ${nPixels} values` : `images of ${height} × ${width} pixels`;
  const nClasses = `${network.classes.length} ${network.multilabel ? "labels" : "classes"}`;
  const channels = nChannels > 1 ? `, ${nChannels} channels` : "";
  const nParameters = `${network.n_parameters.toLocaleString("en")} parameters`;
  byId("facts").textContent = `${what}${channels} · ${nClasses} · ${nParameters}`;
  byId("answer-title").textContent = network.multilabel ? "Labels it finds" : "What it sees";
  const byKeys = isSignal ? "left and right go along the curve, up and down bend it" : "arrows move, space paints";
  byId("hint").textContent = `By keyboard: ${byKeys}.`;
  board.ariaLabel = `Drawing board for ${what}`;
  byId("frame").style.setProperty("--sides", isSignal ? BOARD[0] / BOARD[1] : width / height);
}

function setUpTools() {
  byId("colour").hidden = !isColour;
  byId("channel-tool").hidden = isColour || nChannels === 1;
  for (let k = 0; k < nChannels; k++) byId("channel").append(make("option", { value: k, textContent: k + 1 }));
  if (network.classes.length > 16) byId("scroll").tabIndex = 0; // keys scroll it, then
}

function setUpExamples() {
  const all = decodeNumbers(network.images), size = nPixels * nChannels;
  for (let k = 0; k * size < all.length; k++) addExample(all.slice(k * size, (k + 1) * size), network.labels[k]);
  byId("choice").hidden = !examples.length;
  byId("examples").className = `${isSignal ? "curves" : ""} ${examples.length > 5 ? "many" : ""}`;
  examples[0]?.button.click();
}

function showAll() {
  showFilters();
  showExamples();
  refresh();
}

describe();
setUpTools();
setUpExamples();
showAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showAll);

/**
 * For the console. skcnn.pixels is what is on the board, a list in the order (row, column, channel), and can be set;
 * skcnn.predict(pixels) are the probabilities of skcnn.classes, and skcnn.run(pixels) all that the layers compute.
 */
window.skcnn = Object.freeze({
  classes: network.classes,
  image_shape: network.image_shape,
  get pixels() {
    return Array.from(pixels);
  },
  set pixels(values) {
    network.run(values); // an error, if it is no image
    setPixels(values);
    choose(null);
  },
  predict: (values) => network.run(values).probabilities,
  run: (values) => network.run(values),
});
