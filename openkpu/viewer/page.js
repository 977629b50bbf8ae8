// SPDX-License-Identifier: Apache-2.0
"use strict";
const $ = id => document.getElementById(id);
const shape = s => s.join("\u00d7");
const MARK = {"X-OpenKPU": "page"};
const POLL = 150, FRAME = 300;
let model = null, layer = 0, channel = null, channels = 0, chosen = 0, turn = 0, stream = null;

async function answer(response) {
  const told = await response.json();
  if (!response.ok) throw new Error(told.error);
  return told;
}

function problem(text) { $("problem").textContent = text || ""; }

async function show() {
  const mine = ++turn;
  const facts = model.layers[layer];
  $("layer").textContent = `Layer ${layer}: ${facts.kind}, ${shape(facts.out_shape)}`;
  $("choice").value = String(layer);
  document.querySelectorAll("#layers button").forEach((b, i) => b.setAttribute("aria-current", i === layer));
  document.querySelector("#layers button[aria-current=true]").scrollIntoView({block: "nearest"});
  for (;;) {
    let told, one, map = null;
    try {
      told = await answer(await fetch(`state.json?layer=${layer}`));
      if (told.state === "ready") {
        one = channel !== null && channel < told.channels;
        const response = await fetch(`map.png?layer=${layer}&shown=${told.shown}${one ? `&channel=${channel}` : ""}`);
        if (!response.ok) await answer(response);
        if (response.status === 200) map = await response.blob();
      }
    } catch (error) { if (mine === turn) problem(error.message); return; }
    if (mine !== turn) return;
    document.body.classList.toggle("running", told.state === "running");
    if (told.state === "running") {
      $("progress").value = told.last ? told.layer / told.last : 0;
      $("facts").textContent = `running layer ${told.layer} of ${told.last}, ${told.seconds} s`;
    } else if (map) {
      channels = told.channels;
      $("map").classList.toggle("one", one);
      if ($("map").src) URL.revokeObjectURL($("map").src);
      $("map").src = URL.createObjectURL(map);
      $("facts").textContent = `${facts.name} (${facts.where}), ${told.dtype}, ${one ? `channel ${channel} of ${channels}` : `${channels} channels`}, values ${told.low} (black) to ${told.high} (white), `
        + (told.cycles === null ? `${told.seconds} s` : `${told.cycles.toLocaleString("en-US")} cycles`);
      return;
    } else if (told.state !== "ready") {  // a ready map that is gone belongs to a picture before the present one
      if (told.state === "error") problem(told.error);
      $("facts").textContent = told.state === "empty" ? "choose a picture" : "";
      return;
    }
    await new Promise(done => setTimeout(done, POLL));
  }
}

function select(index) {
  layer = Math.min(Math.max(index, 0), model.layers.length - 1);
  channel = null;
  show();
}

async function post(place, body) {
  problem("");
  try { await answer(await fetch(place, {method: "POST", headers: MARK, body})); } catch (error) { problem(error.message); return; }
  $("input").src = `input.png?turn=${++turn}`;
  await show();
}

function choose(index) {
  if (!model.pictures.length) return;
  chosen = (index + model.pictures.length) % model.pictures.length;
  $("pictures").value = String(chosen);
  post(`choose?picture=${chosen}`);
}

async function camera() {
  if (stream) {
    stream.getTracks().forEach(track => track.stop());
    stream = null;
  } else {
    try { stream = await navigator.mediaDevices.getUserMedia({video: true}); } catch (error) { problem(`no camera (${error.message})`); return; }
    const video = document.createElement("video"), canvas = document.createElement("canvas");
    video.srcObject = stream;
    video.muted = true;
    await video.play();
    (async () => {
      while (stream) {
        canvas.width = video.videoWidth;
        canvas.height = video.videoHeight;
        canvas.getContext("2d").drawImage(video, 0, 0);
        const frame = await new Promise(done => canvas.toBlob(done, "image/jpeg", .92));
        if (frame) await post("picture?name=camera", frame);
        await new Promise(done => setTimeout(done, FRAME));
      }
    })();
  }
  $("camera").setAttribute("aria-pressed", Boolean(stream));
}

$("map").addEventListener("load", () => {
  const image = $("map"), room = image.parentElement.clientWidth - 26;
  const factor = Math.floor(Math.min(room / image.naturalWidth, innerHeight * .74 / image.naturalHeight));
  image.style.width = image.classList.contains("one") || factor < 2 ? "" : `${factor * image.naturalWidth}px`;
});
$("map").addEventListener("click", event => {
  if (channel !== null) channel = null;
  else {
    // The grid of openkpu.draw.tiled: whole zoom factors, two pixels between tiles.
    const [height, width] = model.layers[layer].out_shape.slice(-2).map(Number);
    if (!(height && width)) return;
    const zoom = Math.max(1, Math.floor(64 / Math.max(height, width))), image = $("map");
    const x = event.offsetX * image.naturalWidth / image.clientWidth, y = event.offsetY * image.naturalHeight / image.clientHeight;
    const columns = Math.floor((image.naturalWidth - 2) / (width * zoom + 2));
    const found = Math.floor((y - 2) / (height * zoom + 2)) * columns + Math.floor((x - 2) / (width * zoom + 2));
    if (found < 0 || found >= channels) return;
    channel = found;
  }
  show();
});
document.addEventListener("keydown", event => {
  if (event.target.tagName === "SELECT") return;
  const keys = {ArrowUp: () => select(layer - 1), ArrowDown: () => select(layer + 1), ArrowLeft: () => choose(chosen - 1), ArrowRight: () => choose(chosen + 1)};
  if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
});
$("previous").addEventListener("click", () => choose(chosen - 1));
$("next").addEventListener("click", () => choose(chosen + 1));
$("pictures").addEventListener("change", () => choose(Number($("pictures").value)));
$("choice").addEventListener("change", () => select(Number($("choice").value)));
$("camera").addEventListener("click", camera);
$("file").addEventListener("change", () => { const [file] = $("file").files; if (file) post(`picture?name=${encodeURIComponent(file.name)}`, file); });

(async () => {
  model = await answer(await fetch("model.json"));
  $("title").textContent = model.model;
  $("about").textContent = `${model.format}, ${model.layers.length} layers, on the back end \u2018${model.backend}\u2019`;
  model.layers.forEach(l => {
    const line = document.createElement("li"), button = document.createElement("button"), small = document.createElement("small");
    button.textContent = `${l.index} ${l.kind}`;
    small.textContent = shape(l.out_shape);
    if (l.where !== "kpu") button.className = "host";
    button.append(small);
    button.addEventListener("click", () => select(l.index));
    line.append(button);
    $("layers").append(line);
    const option = document.createElement("option");
    option.value = l.index;
    option.textContent = `${l.index}: ${l.kind}, ${shape(l.out_shape)}`;
    $("choice").append(option);
  });
  model.pictures.forEach((name, i) => { const option = document.createElement("option"); option.value = i; option.textContent = name; $("pictures").append(option); });
  if (model.pictures.length) choose(0); else show();
  document.body.dataset.ready = "yes";
})();
