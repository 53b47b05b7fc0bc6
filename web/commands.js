// The same question for a terminal and for programs.

// Single quotes for the shell; double quotes for names that curl would take apart at ";" and ",".
const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const curlFile = (name) => shell(`images=@"${name.replace(/[\\"]/g, "\\$&")}"`);
const quoted = (text) => JSON.stringify(String(text));  // in Python and in C++
const pairs = (fields) => Object.entries(fields).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
const given = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ""));
const address = (path) => new URL(path, location.href).href;

function curl({file, changes, fields, hasKey}) {
  const ask = (path, image, form) => [`curl -s ${address(path)}`, ...(hasKey ? ['-H "Authorization: Bearer $MII_KEY"'] : []), `-F ${image}`,
    ...pairs(form).map(([name, value]) => `--form-string ${shell(`${name}=${value}`)}`)].join(" \\\n  ");
  if (!changes) return ask("predict", curlFile(file), fields);
  return `${ask("render", curlFile(file), changes)} | jq -r .png | base64 -d > seen.png\n${ask("predict", curlFile("seen.png"), fields)}`;
}

function python({file, changes, fields, hasKey}) {
  const list = (form) => `[${pairs(form).map(([name, value]) => `(${quoted(name)}, ${quoted(value)})`).join(", ")}]`;
  const ask = (path, form) => `requests.post(${quoted(address(path))}, files={"images": image}, data=${list(form)}${hasKey ? ", headers=headers" : ""}).json()`;
  return [...(changes ? ["import base64"] : []), ...(hasKey ? ["import os"] : []), "import requests", "",
    ...(hasKey ? ['headers = {"Authorization": "Bearer " + os.environ["MII_KEY"]}'] : []),
    `with open(${quoted(file)}, "rb") as opened:`, "    image = opened.read()",
    ...(changes ? [`image = base64.b64decode(${ask("render", changes)}["png"])`] : []),
    `print(${ask("predict", fields)})`].join("\n");
}

function cpp({file, changes, fields, prompts}) {
  const list = (texts) => `{${texts.map(quoted).join(", ")}}`;
  const read = [changes?.profile ? `.profile = mii::Profile::parse(${quoted(changes.profile)})` : "", changes?.frame ? `.frame = ${changes.frame - 1}` : "",
    changes?.plane ? `.plane = mii::SlicePlane::${changes.plane}` : ""].filter(Boolean);
  const options = [fields.multilabel ? ".multilabel = true" : "", prompts ? `.prompts = ${list(fields.labels.map((label) => prompts[label] ?? label))}` : "",
    fields.templates ? `.templates = ${list(fields.templates)}` : ""].filter(Boolean);
  return `#include <mii/engine.h>

const auto engine = mii::Engine::open(model_folder);
std::vector<mii::Image> images;
images.push_back(mii::Image::read(${quoted(file)}${read.length ? `, {${read.join(", ")}}` : ""}));
const std::vector<std::string> labels${list(fields.labels)};
const mii::Matrix scores = engine.classify(images, labels${options.length ? `, {${options.join(", ")}}` : ""});`;
}

/// Of a question: the file's name, changes (fields of /render; none: the file itself is sent), fields of /predict, the prompts that
/// /predict answered, and whether the service has keys. A head is no part of the C++ library.
export function commands(question) {
  const all = {...question, changes: question.changes && given(question.changes)};
  return {curl: curl(all), Python: python(all), ...(question.fields.head ? {} : {"C++": cpp(all)})};
}
