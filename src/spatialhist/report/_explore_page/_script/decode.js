// Numbers and names of the page, which lie in it compressed and in base64.

const inflate = async (text) => {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
};

// codes divide the range evenly; the highest one is an unknown value
const decodeNumbers = async ([low, high, text], bits, factor = 1) => {
  const buffer = await inflate(text);
  const codes = bits === 8 ? new Uint8Array(buffer) : new Uint16Array(buffer);
  const unknown = 2 ** bits - 1;
  const step = (high - low) / (unknown - 1);
  const values = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++) values[i] = codes[i] === unknown ? NaN : factor * (low + codes[i] * step);
  return values;
};

const decodeNames = async (text) => JSON.parse(new TextDecoder().decode(await inflate(text)));

// what is read once is removed, so that the page does not hold it twice
const takeJson = (id) => {
  const element = document.getElementById(id);
  const facts = JSON.parse(element.textContent);
  element.remove();
  return facts;
};
