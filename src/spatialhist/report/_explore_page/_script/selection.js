// What is known of the selected spots: their means, and their names as a file.

const meanOf = (values, indices) => {
  let [sum, n] = [0, 0];
  for (let k = 0; k < indices.length; k++) {
    const value = values[indices[k]];
    if (value !== value) continue;
    sum += value;
    n++;
  }
  return n ? sum / n : NaN;
};

// a cell that a spreadsheet would take for a formula gets an apostrophe; numbers stay as they are
const asCell = (value) => {
  const text = String(value);
  const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text);
  const safe = /^[=+@\t\r-]/.test(text) && !isNumber ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

const asCsv = (header, rows) => [header, ...rows].map((row) => row.map(asCell).join(",")).join("\n") + "\n";

const csvOfSpots = (slide, gene, names, indices, columns) => {
  const header = ["spot", "slide", "gene", ...columns.map(([label]) => label)];
  const cellOf = (value) => (value === value ? Number(value.toPrecision(6)) : "");
  const rows = Array.from(indices, (i) => [names[i], slide, gene, ...columns.map(([, values]) => cellOf(values[i]))]);
  return asCsv(header, rows);
};

const saveText = (text, name) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};
