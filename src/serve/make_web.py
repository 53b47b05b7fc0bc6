"""Writes web_files.cpp: the files of the workbench, as the program carries them. usage: make_web.py FOLDER"""
import hashlib
import pathlib
import sys

TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PIECE = 100  # bytes a line


def literal(data):
    pieces = [data[at:at + PIECE] for at in range(0, len(data), PIECE)] or [b""]
    return "\n".join('    "' + "".join(f"\\{byte:03o}" for byte in piece) + '"' for piece in pieces)


print('#include "serve/web_files.h"\n\nnamespace mii::serve {\nnamespace {\n')
print("constexpr WebFile kFiles[] = {")
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    data = path.read_bytes()
    etag = hashlib.sha256(data).hexdigest()[:16]
    print(f'  {{"{path.name}", "{TYPES[path.suffix]}; charset=utf-8", "\\"{etag}\\"", {{\n{literal(data)}, {len(data)}}}}},')
print("};\n\n}  // namespace\n\nstd::span<const WebFile> web_files() { return kFiles; }\n\n}  // namespace mii::serve")
