// By which colour a value is shown: told apart by those who see colours differently (Okabe and Ito 2008), and for numbers a scale
// that also rises in lightness (viridis).
const NAMES = {
  light: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7a5195", "#6b4c00"],
  dark: ["#4da3e0", "#f07a2a", "#2bc596", "#e29bc4", "#a5dcff", "#f5bd4f", "#b694e0", "#f0e442"],
};
const SCALE = {
  light: ["#8ad34c", "#2fb47c", "#1f918c", "#2c6f8e", "#3e4a89", "#440154"],
  dark: ["#4a6ea8", "#2f8f9d", "#35b779", "#7ad151", "#c2df23", "#fdf08a"],
};
const GREY = {light: ["#b4bec6", "#77848f"], dark: ["#4b5965", "#8a98a5"]};
export const MOST_NAMES = NAMES.light.length;
export const STEPS = SCALE.light.length;

const rgb = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
/// Of no value, of any other value, and of the others in their order.
export function palette(numbers) {
  const theme = document.documentElement.dataset.theme === "dark" ? "dark" : "light";
  return [...GREY[theme], ...(numbers ? SCALE : NAMES)[theme]].map(rgb);
}
