// Dropped files become entries: an image or volume each, or the files of one DICOM series in their order.
const HEAD_BYTES = 64 << 10;
export const MAX_ENTRIES = 1000;

const SERIES = 0x0020000e, INSTANCE_NUMBER = 0x00200013, TRANSFER_SYNTAX = 0x00020010;
const ITEM = 0xfffee000, END_OF_ITEM = 0xfffee00d, END_OF_SEQUENCE = 0xfffee0dd;
const IMPLICIT = "1.2.840.10008.1.2", UNREADABLE = ["1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"];  // big endian, deflated
const LONG_VRS = new Set(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]);
const UNDEFINED = 0xffffffff;

// The first data set's elements that are asked for, by tag, as far as these bytes have them. Little endian, explicit or
// implicit; sequences are passed over.
function elements(bytes, tags) {
  const data = new DataView(bytes.buffer), found = new Map(), last = Math.max(...tags);
  const letters = (from, to) => String.fromCharCode(...bytes.subarray(from, to));
  let at = 132, depth = 0;
  while (at + 12 <= bytes.length) {
    const tag = data.getUint16(at, true) * 0x10000 + data.getUint16(at + 2, true);
    const syntax = found.get(TRANSFER_SYNTAX);
    if (tag >>> 16 !== 2 && UNREADABLE.includes(syntax) || depth === 0 && tag > last) break;
    if ([ITEM, END_OF_ITEM, END_OF_SEQUENCE].includes(tag)) {
      if (tag === END_OF_SEQUENCE) --depth;
      at += 8;
      continue;
    }
    const explicit = tag >>> 16 === 2 || syntax !== IMPLICIT, long = explicit && LONG_VRS.has(letters(at + 4, at + 6));
    const length = explicit && !long ? data.getUint16(at + 6, true) : data.getUint32(at + (long ? 8 : 4), true);
    at += long ? 12 : 8;
    if (length === UNDEFINED) {
      ++depth;
      continue;
    }
    if (depth === 0 && tags.includes(tag)) found.set(tag, letters(at, Math.min(at + length, at + 64)).replace(/[\0 ]+$/, "").trim());
    at += length;
  }
  return found;
}

async function seriesOf(file) {
  const bytes = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
  if (bytes.length < 140 || String.fromCharCode(...bytes.slice(128, 132)) !== "DICM") return null;
  const found = elements(bytes, [TRANSFER_SYNTAX, SERIES, INSTANCE_NUMBER]), uid = found.get(SERIES);
  return uid ? {uid, number: Number(found.get(INSTANCE_NUMBER)) || 0} : null;
}

export async function entriesOf(files, maxBytes, onprogress, signal) {
  const entries = [], refused = [], series = new Map();
  let done = 0, full = false;
  for (const file of files) {
    if (signal.aborted) break;
    if (++done % 100 === 0) onprogress(done);
    if (file.size > maxBytes || file.size === 0) {
      refused.push(file);
      continue;
    }
    const found = await seriesOf(file).catch(() => null);
    if (found && series.has(found.uid)) {
      series.get(found.uid).slices.push({file, number: found.number});
      continue;
    }
    if (entries.length === MAX_ENTRIES) {
      full = true;
      continue;
    }
    const entry = {name: file.name, slices: [{file, number: found?.number ?? 0}]};
    if (found) series.set(found.uid, entry);
    entries.push(entry);
  }
  for (const entry of entries) entry.slices.sort((a, b) => a.number - b.number);
  return {entries, refused, full};
}

async function walk(item, into) {
  if (item.isFile) into.push(await new Promise((yes, no) => item.file(yes, no)));
  if (!item.isDirectory) return;
  const reader = item.createReader();
  for (;;) {
    const some = await new Promise((yes, no) => reader.readEntries(yes, no));
    if (!some.length) return;
    for (const one of some) await walk(one, into);
  }
}

export async function droppedFiles(transfer) {
  const roots = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!roots.length) return [...transfer.files];
  const files = [];
  for (const root of roots) await walk(root, files);
  return files.sort((a, b) => a.name.localeCompare(b.name, undefined, {numeric: true}));
}
