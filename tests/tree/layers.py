"""Every #include of a component names the component itself or one that its CMake target uses."""
import pathlib
import re
import sys

src = pathlib.Path(sys.argv[1]) / "src"
uses = {}
for cmake in src.glob("*/CMakeLists.txt"):
    text = cmake.read_text()
    target = re.search(r"mii_component\(\s*(\w+)(.*?)\n?\)", text, re.S)
    if not target:  # the trainer, which also builds alone
        uses[cmake.parent.name] = set(re.findall(r"mii::(\w+)", text))
        continue
    listed = re.search(r"USES ([\w ]+?)(\n|LINKS|\)|$)", target.group(2))
    uses[target.group(1)] = set(listed.group(1).split()) if listed else set()


def reach(component):
    below = {component}
    for used in uses[component]:
        below |= reach(used)
    return below


wrong = []
for component in uses:
    allowed = reach(component)
    for path in sorted((src / component).rglob("*")):
        if path.suffix not in (".h", ".cpp"):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            included = re.match(r'#include "(\w+)/', line)
            if included and included.group(1) in uses and included.group(1) not in allowed:
                wrong.append(f"{path}:{number}: {component} may not include {included.group(1)}")
print("\n".join(wrong) or f"{len(uses)} components, all includes point down")
sys.exit(bool(wrong) or len(uses) < 7)
