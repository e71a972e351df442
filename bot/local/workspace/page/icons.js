// Small pictures drawn here, so that the page needs no emoji font: the handful of emoji that cards use, and tools.

const SPACE = "http://www.w3.org/2000/svg";
const GREEN = "#2b9a63";
const RED = "#d13b32";
const AMBER = "#e3a008";
const BLUE = "#3b7dd8";

const stroke = (d, colour = "currentColor", width = 1.6) => ["path", { d, fill: "none", stroke: colour, "stroke-width": width, "stroke-linecap": "round", "stroke-linejoin": "round" }];
const solid = (d, colour = "currentColor") => ["path", { d, fill: colour }];
const disc = (colour, edge) => ["circle", { cx: 8, cy: 8, r: 5.6, fill: colour, stroke: edge ?? colour, "stroke-width": 1.4 }];
const box = (colour) => ["rect", { x: 1.5, y: 1.5, width: 13, height: 13, rx: 3.4, fill: colour }];

const DRAWN = {
  white_check_mark: [box(GREEN), stroke("M4.6 8.3l2.4 2.4 4.6-5.2", "#fff", 2)],
  heavy_check_mark: [stroke("M3 8.6l3.3 3.3L13 4.4", GREEN, 2.2)],
  x: [stroke("M3.8 3.8l8.4 8.4M12.2 3.8l-8.4 8.4", RED, 2.4)],
  warning: [solid("M8 1.4l7 12.6H1z", AMBER), stroke("M8 6v3.6M8 11.9v.1", "#3b2a00", 1.8)],
  hourglass: [stroke("M4 2h8M4 14h8M5 2c0 4 6 4 6 6s-6 2-6 6M11 2c0 4-6 4-6 6s6 2 6 6", "#b07d20", 1.5)],
  no_entry: [disc(RED), stroke("M5 8h6", "#fff", 2.2)],
  octagonal_sign: [solid("M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2z", RED), stroke("M5 8h6", "#fff", 2)],
  large_green_circle: [disc(GREEN)], large_yellow_circle: [disc(AMBER)], large_orange_circle: [disc("#e2711d")], red_circle: [disc(RED)], large_blue_circle: [disc(BLUE)],
  raising_hand: [disc("none", BLUE), stroke("M8 5.4v3.4M8 11v.1", BLUE, 1.8)],
  white_circle: [disc("none", "#93a19c")], black_circle: [disc("#3d4744")],
  bell: [stroke("M3.5 11.5h9c-1-1-1.3-2-1.3-4.2C11.2 5 9.9 3.6 8 3.6S4.8 5 4.8 7.3c0 2.2-.3 3.2-1.3 4.2zM7 13.6h2M8 2.2v1.2", AMBER)],
  calendar: [stroke("M2.5 4h11v9.5h-11zM2.5 7h11M5.5 2.3V5M10.5 2.3V5", BLUE)],
  heavy_minus_sign: [stroke("M3 8h10", "#93a19c", 2.4)],
  white_small_square: [stroke("M5 5h6v6H5z", "#93a19c", 1.4)],
  test_tube: [stroke("M6 2h4M6.8 2v9.6a1.7 1.7 0 003.4 0M9.2 2v9.6", GREEN, 1.5)],
  mailbox_with_no_mail: [stroke("M2 12V7.3a2.8 2.8 0 015.6 0V12zM4.8 4.5h6.4A2.8 2.8 0 0114 7.3V12H7.6M8 12v2.5", BLUE, 1.5)],
  lock: [stroke("M3.8 7.5h8.4v6H3.8zM5.5 7.3V5.2a2.5 2.5 0 015 0v2.1", "#b07d20")],
  memo: [stroke("M2.8 13.2l.7-3 7-7 2.3 2.3-7 7zM9.3 4.4l2.3 2.3")],
  speech_balloon: [stroke("M2 3.5h12v7.5H8l-3.5 2.8V11H2z")],
  eyes: [stroke("M1.3 8C3 5 5.3 3.6 8 3.6S13 5 14.7 8C13 11 10.7 12.4 8 12.4S3 11 1.3 8z"), solid("M8 5.9a2.1 2.1 0 110 4.2 2.1 2.1 0 010-4.2z")],
  tada: [stroke("M2 14l3.5-9L11 10.5zM10 5.5c0-1.8 1-2.8 2.5-3M11.5 8c1.2-.6 2.3-.5 3 .2M8 4V2", "#b5567f")],
  "+1": [stroke("M2 7.5h2.5v6H2zM4.5 8l3-5.5c1.3 0 1.9.9 1.6 2.2L8.7 6.8H13c.9 0 1.3.8 1.1 1.6l-1 4c-.2.7-.7 1.1-1.4 1.1H4.5", "#b07d20")],
  "-1": [stroke("M2 2.5h2.5v6H2zM4.5 8l3 5.5c1.3 0 1.9-.9 1.6-2.2L8.7 9.2H13c.9 0 1.3-.8 1.1-1.6l-1-4c-.2-.7-.7-1.1-1.4-1.1H4.5", "#b07d20")],
  question: [stroke("M5.2 5.6C5.2 3.8 6.3 2.8 8 2.8s2.8 1 2.8 2.5C10.8 7.6 8 7.6 8 9.8M8 12.9v.1", RED, 2)],
  exclamation: [stroke("M8 2.8v6.4M8 12.9v.1", RED, 2.4)],
  information_source: [disc(BLUE), stroke("M8 7.5V11M8 5v.1", "#fff", 1.8)],
  repeat: [stroke("M3 7.5C3 5.5 4.3 4.5 6 4.5h6.5M10.5 2.3l2.2 2.2-2.2 2.2M13 8.5c0 2-1.3 3-3 3H3.5M5.5 13.7l-2.2-2.2 2.2-2.2", BLUE)],
  credit_card: [stroke("M1.8 3.5h12.4v9H1.8zM1.8 6.5h12.4M4 10h3", BLUE)],
  moneybag: [disc("none", "#b07d20"), stroke("M9.8 6.3c-.3-.7-1-1-1.8-1-1 0-1.8.5-1.8 1.3 0 2 3.7.8 3.7 2.8 0 .9-.9 1.4-1.9 1.4-.9 0-1.7-.4-2-1.2M8 4.3v7.4", "#b07d20", 1.2)],
  package: [stroke("M2 5l6-3 6 3v6.5L8 14.5 2 11.5zM2 5l6 3 6-3M8 8v6.5", "#a5752a")],
  robot_face: [stroke("M3 5.5h10v7.5H3zM8 5.5v-3M6 8.5v1M10 8.5v1M6.5 11.3h3")],
  mag: [stroke("M7 2.5a4.5 4.5 0 110 9 4.5 4.5 0 010-9zM10.4 10.4l3.4 3.4")],
  pause_button: [box(BLUE), stroke("M6.2 5v6M9.8 5v6", "#fff", 1.8)],
  arrow_forward: [box(BLUE), solid("M6 4.8v6.4L11.2 8z", "#fff")],
  arrow_right: [stroke("M2.5 8h11M9.5 4l4 4-4 4", BLUE, 1.8)],
  stopwatch: [stroke("M8 3.8a5 5 0 110 10 5 5 0 010-10zM8 6.2v2.8l1.8 1.2M6.5 1.8h3")],
  bar_chart: [stroke("M2.5 13.5h11M4.5 13V8M8 13V3.5M11.5 13V6", BLUE, 1.8)],
  page_facing_up: [stroke("M4 1.8h5.5L12.5 5v9.2H4zM9.3 2v3.2h3M6 8.5h4.5M6 11h4.5")],
  shield: [stroke("M8 1.8l5 1.9v4c0 3-2 5.2-5 6.5-3-1.3-5-3.5-5-6.5v-4z", GREEN)],
  link: [stroke("M6.5 9.5l3-3M7.5 4.5l1.3-1.3a2.7 2.7 0 013.9 3.9L11.4 8.4M8.5 11.5l-1.3 1.3a2.7 2.7 0 01-3.9-3.9l1.3-1.3")],
  bulb: [stroke("M6 12h4M6.5 14h3M5.6 10C4.3 9.2 3.7 8 3.7 6.5a4.3 4.3 0 018.6 0c0 1.5-.6 2.7-1.9 3.5z", AMBER)],
  sparkles: [solid("M7 2l1.3 4.2L12.5 7.5 8.3 8.8 7 13 5.7 8.8 1.5 7.5l4.2-1.3zM13 10.5l.6 1.9 1.9.6-1.9.6-.6 1.9-.6-1.9-1.9-.6 1.9-.6z", AMBER)],
  wastebasket: [stroke("M3 4.5h10M6.3 4.3V2.5h3.4v1.8M4.3 4.7l.6 9h6.2l.6-9M6.8 7v4.5M9.2 7v4.5")],
  zap: [solid("M9 1L3 9.2h4L6.5 15 13 6.5H8.7z", AMBER)],
  frame_with_picture: [stroke("M2 3h12v10H2zM2.5 12l3.5-4 2.5 2.5L10.5 8l3 3.5")],
};
const ALIASES = {
  hourglass_flowing_sand: "hourglass", ballot_box_with_check: "white_check_mark", no_entry_sign: "no_entry", pencil: "memo", pencil2: "memo",
  thumbsup: "+1", thumbsdown: "-1", arrows_counterclockwise: "repeat", double_vertical_bar: "pause_button", alarm_clock: "stopwatch", clock1: "stopwatch",
  unlock: "lock", scroll: "page_facing_up", eye: "eyes",
};

function drawn(name) {
  return DRAWN[ALIASES[name] ?? name];
}

export function hasIcon(name) {
  return drawn(name) !== undefined;
}

// With a label it reads as that word; without one it is decoration.
export function icon(name, label) {
  const svg = document.createElementNS(SPACE, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "pictogram");
  if (label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
  } else svg.setAttribute("aria-hidden", "true");
  for (const [tag, attributes] of drawn(name)) {
    const part = document.createElementNS(SPACE, tag);
    for (const [key, value] of Object.entries(attributes)) part.setAttribute(key, String(value));
    svg.append(part);
  }
  return svg;
}
