// The contrast of every pair of colours that the style sheets use, by WCAG 2.2: 4.5 for text, 3 for controls.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { UNPLAYED } from "../../static/js/format/waveform.js";

const [light, dark] = ["base", "dark"].map((name) => {
  const sheet = readFileSync(new URL(`../../static/css/${name}.css`, import.meta.url), "utf8");
  const [, body] = /:root \{([^}]*)\}/.exec(sheet);
  return Object.fromEntries([...body.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, variable, value]) => [variable, value]));
});

const TEXT = ["text", "muted", "accent", "other", "good", "warn", "bad"];
const GROUNDS = ["ground", "surface", "raised", "accent-ground"];
const PAIRS = [...TEXT.flatMap((text) => GROUNDS.map((ground) => [text, ground])), ["on-accent", "accent"], ["text", "mark"]];
const PARTS = ["line-strong", "focus", "accent"].flatMap((part) => ["ground", "surface"].map((ground) => [part, ground]));

function luminance(hex) {
  const [r, g, b] = [1, 3, 5].map((start) => {
    const channel = parseInt(hex.slice(start, start + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one, other) {
  const [darker, lighter] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

function blended(over, under, share) {
  const channels = [1, 3, 5].map((start) => {
    const [top, bottom] = [over, under].map((hex) => parseInt(hex.slice(start, start + 2), 16));
    return Math.round(top * share + bottom * (1 - share));
  });
  return `#${channels.map((channel) => channel.toString(16).padStart(2, "0")).join("")}`;
}

for (const [scheme, colours] of Object.entries({ light, dark: { ...light, ...dark } })) {
  test(`text is readable in ${scheme}`, () => {
    const weak = PAIRS.map(([text, ground]) => [text, ground, contrast(colours[text], colours[ground])]);
    assert.deepEqual(
      weak.filter(([, , ratio]) => !(ratio >= 4.5)),
      [],
    );
  });

  test(`controls are visible in ${scheme}`, () => {
    const weak = PARTS.map(([part, ground]) => [part, ground, contrast(colours[part], colours[ground])]);
    assert.deepEqual(
      weak.filter(([, , ratio]) => !(ratio >= 3)),
      [],
    );
  });

  test(`the waveform is visible in ${scheme}, played or not`, () => {
    for (const speaker of ["accent", "other", "muted"]) {
      assert.ok(contrast(blended(colours[speaker], colours.surface, UNPLAYED), colours.surface) >= 3, `${speaker}, not played`);
      assert.ok(contrast(colours[speaker], colours["accent-ground"]) >= 3, `${speaker}, played`);
    }
  });
}
